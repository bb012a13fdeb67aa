"""A model's way into production, as its author sees it: the whole bot, the clock in the test's hand."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.support.world import model, world


@pytest.fixture
def here(tmp_path):
    with world(tmp_path, requires=("approval",)) as made:
        yield made


def deployed(here, change, author="ana", reviewer="bo"):
    """A pull request that went all the way."""
    number = here.pull_request(author, change)
    here.comment(number, "/build_run", by=author)
    here.settle()
    here.approve(number, by=reviewer)
    here.comment(number, "/deploy", by=author)
    here.settle()
    return number


def test_the_first_model_is_trained_deployed_and_merged(here):
    first = here.pull_request("ana", model(roc_auc=0.82))
    asked = here.comment(first, "/build_run", by="ana")
    here.turn(timedelta(seconds=1))
    assert here.reactions(asked) == ["eyes"]

    here.settle()
    assert here.reactions(asked) == ["eyes", "rocket"]
    assert "0.82" in here.reply(first)

    here.comment(first, "/deploy", by="ana")
    here.settle()
    assert "approval" in here.reply(first)
    assert here.serving().stable.version is None

    here.approve(first, by="bo")
    here.comment(first, "/deploy", by="ana")
    here.settle()
    assert here.serving().stable.version == "1"
    assert here.pull(first).is_merged
    assert here.pull(first).labels == ["Deployed-to-production"]
    assert len(here.replies(first)) == 3  # one for each command


def test_a_better_model_takes_over_from_the_one_that_serves(here):
    first = deployed(here, model(roc_auc=0.82))
    second = here.pull_request("cleo", model(roc_auc=0.85))
    here.comment(second, "/build_run", by="cleo")
    here.settle()
    assert "0.82" in here.reply(second)  # the champion, beside the challenger

    here.approve(second, by="bo")
    here.comment(second, "/deploy", by="ana")
    shares = set()
    for _ in here.walk():
        shares.add(here.serving().candidate_weight)
    assert shares == {0, 50, 100}
    assert here.failed == 0
    assert here.serving().stable.version == "2"
    assert here.pull(second).is_merged
    assert (here.pull(first).labels, here.pull(second).labels) == ([], ["Deployed-to-production"])


def test_data_unlike_those_of_production_s_model_are_told(here):
    def table(tenure):
        numbers = {"name": "tenure", "type": "int64", "missing": 0, "unique": 72, "mean": tenure, "std": 20.0}
        return {"rows": 7043, "columns": [numbers]}

    first = deployed(here, model(roc_auc=0.82, profile=table(32.0)))
    assert "Data drift" not in here.replies(first)[0]
    alike, unlike = (here.pull_request("cleo", model(roc_auc=0.85, profile=table(t))) for t in (32.5, 48.0))
    for number in (alike, unlike):
        here.comment(number, "/build_run", by="cleo")
        here.settle()
    assert "Data drift" not in here.reply(alike)
    assert "| `tenure` | mean | `32` | `48` | 0.8 |" in here.reply(unlike)


def test_a_model_that_fails_its_users_is_taken_back(here):
    deployed(here, model(roc_auc=0.82))
    bad = here.pull_request("ana", model(answers="fails_for_some", roc_auc=0.86))
    here.comment(bad, "/build_run", by="ana")
    here.settle()
    here.approve(bad, by="bo")
    asked = here.comment(bad, "/deploy", by="ana")
    here.settle()

    assert here.reactions(asked) == ["eyes", "confused"]
    assert (here.serving().stable.version, here.serving().candidate_weight) == ("1", 0)
    assert not here.pull(bad).is_merged
    assert "errors" in here.reply(bad)
    assert here.deployments()[-1].statuses[-1].state == "failure"


def test_nothing_is_forgotten_when_the_process_ends_at_every_step(here):
    number = here.pull_request("ana", model(roc_auc=0.82))
    here.approve(number, by="bo")
    here.comment(number, "/build_run\n/deploy", by="ana")
    for _ in here.walk():
        here.restart()
    assert here.pull(number).is_merged
    assert here.serving().stable.version == "1"
    assert len(here.replies(number)) == 2
