"""`pipeline.requirements`, as an author sees it: what is refused, and what is remembered of what was made."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from tests.support.servers.package_index import wheel
from tests.support.world import CONFIG, model, world

from kfops.adapters.local.environments.adapter import LocalEnvironments
from kfops.adapters.local.environments.index_source import OperatorsIndex
from kfops.adapters.local.sandbox import NoSandbox
from kfops.config.policy import load_policy
from kfops.domain.model_version import Alias
from kfops.ports.environments import EnvironmentOrder, Making

WITH_REQUIREMENTS = CONFIG.replace(
    "{source: pipeline.py,", "{source: pipeline.py, requirements: requirements.txt,"
)
GRANT = "version: 1\nrepositories: {olga/churn: {models: [churn], namespaces: [churn, churn-staging]}}\n"


@pytest.fixture
def here(tmp_path):
    with world(tmp_path, config=WITH_REQUIREMENTS) as made:
        yield made


def run(here, requirements):
    number = here.pull_request("ana", {**model(roc_auc=0.84), "requirements.txt": requirements})
    here.comment(number, "/build_run", by="ana")
    here.settle()
    return here.reply(number)


def installing(here):
    """A server whose operator lets packages be installed."""
    wheel(here.folder / "wheels", "acme_tool", "1.0", "")
    index = OperatorsIndex(flat=((here.folder / "wheels").as_uri(),))
    made = LocalEnvironments(here.folder / "made", NoSandbox(), is_allowed=True, index=lambda: index)
    here.ports = replace(here.ports, environments=made)
    return made


def test_r11_requirements_need_the_operators_leave(here):
    reply = run(here, "acme-tool==1.0\n")
    assert "acme-tool==1.0 (it is not installed)" in reply
    assert "KFOPS_INSTALL=true" in reply
    assert "policy" in reply


def test_what_kfops_brings_needs_nobodys_leave(here):
    assert "0.84" in run(here, "packaging>=20  # there already\n")


def test_r11_a_repository_needs_a_grant_where_there_are_grants(here):
    installing(here)
    here.options = replace(here.options, policy=load_policy(GRANT, filename="policy.yaml"))
    assert "for this repository" in run(here, "acme-tool==1.0\n")


def test_r11_lines_that_are_no_plain_requirement_are_told_with_their_numbers(here):
    installing(here)
    reply = run(here, "acme-tool\n--index-url https://evil.example/simple\n-e .\n")
    assert "requirements.txt, line 2: options are not taken" in reply
    assert "requirements.txt, line 3: options are not taken" in reply
    assert "environment_failed" in reply


def test_a_file_that_is_not_there_is_told(here):
    number = here.pull_request("ana", model(roc_auc=0.84))
    here.comment(number, "/build_run", by="ana")
    here.settle()
    assert "requirements.txt is no file" in here.reply(number)


def test_r13_a_model_is_recorded_with_the_environment_that_it_was_trained_in(here):
    made = installing(here)
    deadline = time.monotonic() + 30
    while isinstance(ready := made.make(EnvironmentOrder("acme-tool==1.0")), Making):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert "0.84" in run(here, "acme-tool==1.0\n")
    version = here.models.by_alias("churn", Alias.CHALLENGER)
    assert version.tags["environment_digest"] == ready.digest
    assert made.packages_of(version.digest) == made.packages(ready.key)
