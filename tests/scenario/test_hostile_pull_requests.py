"""Pull requests that reach for more than is theirs, through the whole bot: refused with a sentence, and it goes on.

Every point of the corpus and where it is played: `tests/contract/README.md`.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.model_repository import CONFIG, source
from tests.support.servers.forge_here import commit
from tests.support.world import model, world

from kfops.config.policy import load_policy

GRANT = """\
version: 1
repositories:
  olga/churn: {models: [churn], namespaces: [churn, churn-staging], data_prefixes: ["s3://ml/churn/"]}
"""
SOFT = CONFIG.replace("CANARY", "{steps: [99], hold: 0s}").replace("REQUIRES", "[]").replace("0.70", "0.01")


@pytest.fixture
def here(tmp_path):
    with world(tmp_path, requires=("approval",)) as made:
        yield made


def said(here, number, command, by="ana"):
    here.comment(number, command, by=by)
    here.settle()
    return here.reply(number)


def trains(here):
    """The bot goes on: the next pull request gets its evidence."""
    number = here.pull_request("bo", model(roc_auc=0.84))
    return "0.84" in said(here, number, "/build_run", by="bo")


def test_r10_data_of_another_team_is_refused(here):
    here.options = replace(here.options, policy=load_policy(GRANT, filename="policy.yaml"))
    inputs = {"data": "data/churn.csv", "seed": 0, "extra": ""}
    hidden = here.pull_request(
        "ana", {"pipeline.py": source(inputs={**inputs, "extra": "s3://ml/pricing/x.csv"})}
    )
    reply = said(here, hidden, "/build_run")
    assert "extra reaches for data" in reply
    assert "policy" in reply

    open_one = here.pull_request(
        "ana", {"pipeline.py": source(inputs={**inputs, "data": "s3://ml/pricing/x.csv"})}
    )
    assert "data reaches for data" in said(here, open_one, "/build_run")
    assert trains(here)


def test_r10_a_branch_with_softer_rules_as_the_base_softens_nothing(here):
    """The rules are those of the default branch, and nothing is deployed onto another base."""
    commit(
        here.playground,
        here.repository,
        "soft",
        {"kfops.yaml": SOFT},
        onto=here.repository.default_branch,
        by=here.playground.user("ana"),
    )
    bad = here.pull_request("ana", {**model(roc_auc=0.5), "kfops.yaml": SOFT}, base="soft")
    assert "0.70" in said(here, bad, "/build_run")
    assert "metric_gate" in said(here, bad, "/deploy")

    good = here.pull_request("ana", {**model(roc_auc=0.84), "kfops.yaml": SOFT}, base="soft")
    assert "0.84" in said(here, good, "/build_run")
    assert "base_not_allowed" in said(here, good, "/deploy")
    assert here.serving().stable.version is None
    assert not here.pull(good).is_merged
