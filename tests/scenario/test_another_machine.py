"""Replicas share the ledger, the storage and the engines, and no folder: each step may be another machine's."""

from __future__ import annotations

import shutil
from dataclasses import replace
from hashlib import sha256
from itertools import count

import pytest
from tests.support.world import model, world

from kfops.domain.operation import Outcome


@pytest.fixture
def here(tmp_path):
    with world(tmp_path) as made:
        made.options = replace(made.options, data_dir=tmp_path / "machine")
        yield made


def settle_on_many_machines(here) -> None:
    """Each step finds a data folder in which nothing of the steps before it is."""
    for _ in here.walk():
        shutil.rmtree(here.options.data_dir, ignore_errors=True)


def test_every_step_of_a_command_may_be_taken_on_a_machine_that_has_seen_none_of_the_others(here):
    number = here.pull_request("ana", model(roc_auc=0.82))
    for text in ("/build", "/run", "/build_run", "/staging_deploy", "/deploy"):
        asked = here.comment(number, text)
        settle_on_many_machines(here)
        assert here.operation(asked).outcome is Outcome.SUCCEEDED, here.reply(number)
    assert here.pull(number).is_merged


def test_a_pipeline_file_that_gives_something_else_each_time_is_told_so(here):
    number = here.pull_request("ana", model(roc_auc=0.82))
    here.pipelines.compile = changing(here.pipelines.compile)
    asked = here.comment(number, "/build_run")
    settle_on_many_machines(here)

    assert here.operation(asked).reason_code == "compile_failed"
    assert "compiled once more, it gives another package" in here.reply(number)


def changing(compile_once):
    """As a file that writes down when it was compiled."""
    times = count(1)

    def compile_again(order):
        made = compile_once(order)
        made.path.write_text(made.path.read_text() + " " * next(times))
        return replace(made, digest=sha256(made.path.read_bytes()).hexdigest())

    return compile_again
