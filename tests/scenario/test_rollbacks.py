"""`/rollback`, as people see it: where it goes, what it takes back, what holds it up."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.ways import comes_to, deployed, rollout, said, trained, until
from tests.support.world import World, model, world

from kfops.config.policy import load_policy
from kfops.domain.record import Lock
from kfops.domain.rollout import Phase
from kfops.workflow.holding import key_of

CLIMB = (
    "{steps: [5, 50], hold: 2s, min_requests: 30, max_error_increase: 0.2, max_latency_ratio: 5, watch: 1s}"
)


@pytest.fixture
def here(tmp_path):
    with world(tmp_path, canary=CLIMB) as made:
        yield made


def rolling(here: World) -> tuple[int, int]:
    """A model more at its first share: its pull request and the comment that asked."""
    number = trained(here, roc_auc=0.84)
    asked = here.comment(number, "/deploy")
    until(here, asked, Phase.HOLD)
    return number, asked


def test_a_rollback_serves_the_last_good_revision_again(here):
    deployed(here)
    deployed(here, roc_auc=0.84)
    other = here.pull_request("ana", model())
    asked = here.comment(other, '/rollback --reason "scores drift"', by="cleo")
    here.settle()

    assert here.reactions(asked) == ["eyes", "rocket"]
    assert here.serving().stable.version == "1"
    assert "**production serves version 1 again.** Reason: scores drift" in here.reply(other)


@pytest.mark.parametrize("earlier", [1, 2])
def test_r20_a_rollback_aborts_the_rollout_that_is_under_way_and_stays_with_what_served_beside_it(
    here, earlier
):
    for _ in range(earlier):
        deployed(here)
    number, asked = rolling(here)
    back = here.comment(number, '/rollback --reason "wrong data"', by="cleo")
    here.settle()

    assert here.reactions(asked) == ["eyes", "confused"]
    assert here.reactions(back) == ["eyes", "rocket"]
    assert here.serving().stable.version == str(earlier)
    assert not here.pull(number).is_merged
    assert "Further back: `/rollback production --to VERSION" in here.reply(number)


def test_r20_during_a_rollout_an_older_revision_may_be_named(here):
    deployed(here)
    deployed(here, roc_auc=0.83)
    number, _ = rolling(here)
    said(here, number, '/rollback --to 1 --reason "both are wrong"')
    here.settle()

    assert here.serving().stable.version == "1"


def test_r8_r20_a_rollback_that_comes_when_a_rollout_cannot_be_stopped_any_more_takes_back_just_that(here):
    deployed(here)
    deployed(here, roc_auc=0.83)
    other = here.pull_request("ana", model())
    number, asked = rolling(here)
    comes_to(here, asked, "promoted")
    here.comment(other, '/rollback --reason "scores drift"', by="cleo")
    here.settle()

    assert here.pull(number).is_merged
    assert here.serving().stable.version == "2"


def test_r8_r20_a_rollback_that_is_taken_back_while_it_waits_switches_nothing(here):
    deployed(here)
    deployed(here, roc_auc=0.83)
    number, asked = rolling(here)
    back = here.comment(number, '/rollback --to 1 --reason "wrong data"', by="cleo")
    comes_to(here, back, "take")
    here.delete_comment(back)
    here.settle()

    assert here.operation(back).reason_code == "comment_changed"
    assert here.serving().stable.version == "2"
    assert rollout(here, asked).phase is Phase.ROLLED_BACK


def test_r14_r20_a_person_who_holds_the_environment_before_a_waiting_rollback_is_not_passed_over(here):
    deployed(here)
    deployed(here, roc_auc=0.83)
    number, asked = rolling(here)
    back = here.comment(number, '/rollback --to 1 --reason "wrong data"', by="cleo")
    comes_to(here, asked, "ended")
    assert here.operation(back).phase == "take"
    first = Lock(key_of(here.repository.id, "production"), "bo", "incident", here.clock.at, None, None)
    here.ledger.acquire(first)
    here.settle()

    assert here.operation(back).reason_code == "locked"
    assert here.serving().stable.version == "2"


def test_r20_a_rollback_is_refused_where_there_is_nothing_or_a_person_holds_the_environment(here):
    deployed(here)
    other = here.pull_request("ana", model())
    assert "`no_revision`" in said(here, other, "/rollback --reason x")
    deployed(here, roc_auc=0.84)
    assert "`no_revision`" in said(here, other, "/rollback --to 7 --reason x")
    assert "one of 1" in here.reply(other)
    assert "`permission_denied`" in said(here, other, "/rollback --reason x", by="dan")

    said(here, other, '/lock production --reason "incident"', by="bo")
    assert "`locked`" in said(here, other, "/rollback --reason x")
    assert here.serving().stable.version == "2"


def test_r10_a_rollback_reaches_no_environment_that_the_operator_took_away(here):
    deployed(here)
    deployed(here, roc_auc=0.84)
    other = here.pull_request("ana", model())
    grant = "{models: [churn], namespaces: [churn, churn-staging], environments: [staging]}"
    granted = f"version: 1\nrepositories: {{olga/churn: {grant}}}"
    here.options = replace(here.options, policy=load_policy(granted, filename="policy.yaml"))

    assert "`policy`" in said(here, other, "/rollback --reason x")
    assert "production" not in said(here, other, "/status")
    assert here.serving().stable.version == "2"
