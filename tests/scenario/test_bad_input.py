"""Files of a commit that are not what kfops.yaml says: told at once, before anything is trained.

Elsewhere, by what is wrong: more of kfops.yaml in unit/test_config_load.py; a pipeline file that raises, loops, writes
outside or looks for secrets in contract/test_local_pipelines.py; parameters there and in scenario/test_kfc.py; a
delivery without a signature or over the limit in unit/test_webhook_app.py.
"""

from __future__ import annotations

import re

import pytest
from tests.support.in_memory.pipelines import InMemoryPipelines
from tests.support.world import CONFIG, World, model, world

from kfops.adapters.local.pipelines.compiling import Compiler
from kfops.adapters.local.sandbox import NoSandbox
from kfops.domain.package_policy import Allowed

WITH_DATA = CONFIG.replace(
    "{source: pipeline.py,", "{source: pipeline.py, parameters: {data: data/churn.csv},"
)
TABLE = "tenure,churn\n1,0\n"


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """One bot for all: each test opens pull requests of its own."""
    with world(tmp_path_factory.mktemp("bad"), config=WITH_DATA) as made:
        yield made


def run(here: World, change: dict[str, str | None], command: str = "/build_run") -> str:
    inputs = model(roc_auc=0.84, inputs={"seed": 3, "data": "data/churn.csv"})
    number = here.pull_request("ana", {**inputs, "data/churn.csv": TABLE, **change})
    here.comment(number, command, by="ana")
    here.settle()
    return str(here.reply(number))


def test_a_commit_that_is_well_is_run(here):
    assert "0.84" in run(here, {})


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("not JSON", "is no JSON"),
        ("[" * 5_000, "is no JSON"),
        ("[" + "1," * 600_000 + "1]", "at most 1048576 bytes"),
        (None, "no file of this commit"),
    ],
    ids=["no JSON", "too deep", "too large", "missing"],
)
def test_a_sample_request_that_is_none_is_told_with_its_file(here, content, words):
    reply = run(here, {"samples/request.json": content})

    assert "samples/request.json" in reply
    assert words in reply
    assert "config_invalid" in reply


def test_data_without_the_target_are_told_with_the_columns_that_there_are(here):
    reply = run(here, {"data/churn.csv": "tenure,left\n1,0\n"})

    assert "no column" in reply
    assert "data.target" in reply
    assert "tenure, left" in reply


def test_an_empty_table_has_no_columns(here):
    assert "no columns" in run(here, {"data/churn.csv": ""})


FILES = {
    "": "is empty",
    "# nothing\n": "no keys",
    "a" * ((1 << 18) + 1): "too large",
    "version: 1\nmodel: [a\n": "not YAML",
    "a: &x [1]\nb: *x\n": "anchors",
    CONFIG.replace("timeout: 1h", "timeuot: 1h"): "timeout",  # did you mean
    CONFIG.replace("timeout: 1h", "timeout: soon"): "soon",
}


def test_a_kfops_yaml_that_is_none_is_answered_with_its_place(here):
    asked = {}
    for content, words in FILES.items():
        number = here.pull_request("ana", {**model(roc_auc=0.84), "kfops.yaml": content})
        asked[number] = words
        here.comment(number, "/build_run", by="ana")
    gone = here.pull_request("ana", {**model(roc_auc=0.84), "kfops.yaml": None})
    here.comment(gone, "/build_run", by="ana")
    here.settle()

    for number, words in asked.items():
        assert "config_invalid" in here.reply(number)
        assert words in here.reply(number)
        assert re.search(r"kfops\.yaml:\d+:\d+", here.reply(number))
    assert "config_missing" in here.reply(gone)
    assert "kfc init" in here.reply(gone)


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("/build_run --set sed=4", ["sed", "Did you mean seed"]),
        ("/build_run --set seed=four", ["seed", "four", "whole number"]),
        ("/build_run --set seed", ["--set", "NAME=VALUE"]),
    ],
)
def test_a_parameter_that_is_none_is_answered_with_what_was_meant(here, command, words):
    before = set(here.pipelines.runs)
    reply = run(here, {}, command)

    for word in words:
        assert word in reply
    assert set(here.pipelines.runs) == before


class Compiled(InMemoryPipelines):
    """The files of the commit are Python, compiled in earnest."""

    def compile(self, order):
        return Compiler(NoSandbox(), Allowed()).compile(order)


STEP = "from kfp import dsl\n\n@dsl.component\ndef step() -> None:\n    pass\n\n"
PIPELINE = "@dsl.pipeline\ndef {name}():\n    step()\n\n"


@pytest.mark.parametrize(
    ("pipeline", "words"),
    [
        (None, ["pipeline.py"]),
        (STEP, ["no pipeline"]),
        (STEP + PIPELINE.format(name="one") + PIPELINE.format(name="two"), ["one, two", "pipeline.function"]),
    ],
    ids=["no file", "no pipeline", "two pipelines"],
)
def test_a_commit_without_one_pipeline_is_told_what_there_is(tmp_path, pipeline, words):
    with world(tmp_path) as here:
        here.pipelines = Compiled(tmp_path / "compiled", here.clock)
        here.restart()
        number = here.pull_request("ana", {**model(roc_auc=0.84), "pipeline.py": pipeline})
        here.comment(number, "/build_run", by="ana")
        here.settle()

        assert "compile_failed" in here.reply(number)
        for word in words:
            assert word in here.reply(number)
