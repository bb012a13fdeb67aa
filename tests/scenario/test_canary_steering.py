"""A canary steered by people, by a push and by mishap: the whole bot, the clock in the test's hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.support.in_memory.serving import Behaviour
from tests.support.ways import deployed, rollout, said, trained, until
from tests.support.world import World, model, world

from kfops.domain.canary_facts import Counts, Failure, FailureKind, Readiness, Unknown
from kfops.domain.facts import DeployFacts, load
from kfops.domain.operation import Kind
from kfops.domain.rollout import Phase, Reason
from kfops.ports.errors import Refused

CLIMB = (
    "{steps: [5, 50], hold: 1m, min_requests: 30, max_error_increase: 0.2, max_latency_ratio: 5,"
    " patience: 1h, watch: 2s}"
)


def canary(here: World, **told) -> tuple[int, int]:
    """A second model at its first share: its pull request and the comment that asked."""
    deployed(here)
    number = trained(here, roc_auc=0.84, **told)
    asked = here.comment(number, "/deploy")
    until(here, asked, Phase.HOLD)
    return number, asked


def assert_restored(here: World, version: str = "1") -> None:
    served = here.serving()
    assert (served.stable.version, served.candidate_weight) == (version, 0)
    assert served.candidate.readiness is Readiness.ABSENT
    active = next(one for one in here.ledger.revisions(here.repository.id, "production") if one.is_active)
    assert active.digest == served.stable.digest


@pytest.fixture
def here(tmp_path):
    with world(tmp_path, canary=CLIMB) as made:
        yield made


def test_promoted_by_hand_it_is_watched_and_merged(here):
    number, asked = canary(here)
    said(here, number, "/canary promote")
    here.settle()
    found = rollout(here, asked)
    assert (found.phase, found.reason) == (Phase.DONE, Reason.BY_HAND)
    assert any(step.is_watch for step in found.steps)
    assert here.pull(number).is_merged
    assert "ana promoted the candidate by hand." in "\n".join(here.replies(number))


def test_r8_promotion_by_hand_reads_the_gates_of_the_deployment_again(tmp_path):
    with world(tmp_path, canary=CLIMB, requires=("approval",)) as here:
        first = here.pull_request("ana", model())
        here.comment(first, "/build_run")
        here.approve(first, "bo")
        here.settle()
        here.comment(first, "/deploy")
        here.settle()
        second = trained(here, roc_auc=0.84)
        review = here.approve(second, "bo")
        asked = here.comment(second, "/deploy")
        until(here, asked, Phase.HOLD)

        here.dismiss(second, review)
        said(here, second, "/canary promote")
        here.turn(timedelta(seconds=2))
        found = rollout(here, asked)
        assert found.phase is Phase.HOLD
        assert "ana asked to promote; refused" in found.timeline[-1].sentence
        here.approve(second, "bo")
        here.turn(timedelta(seconds=31))
        said(here, second, "/canary promote")
        here.settle()
        assert here.pull(second).is_merged


def test_steering_takes_the_right_to_deploy_and_looking_does_not(here):
    number, asked = canary(here)
    for action in ("pause", "resume", "promote", "abort"):
        assert "`permission_denied`" in said(here, number, f"/canary {action}", by="cleo")
    assert "5 % on the candidate" in said(here, number, "/canary status", by="dan")
    assert rollout(here, asked).phase is Phase.HOLD
    assert rollout(here, asked).paused_at is None


def test_aborted_by_hand_the_champion_has_all_traffic_and_the_reply_says_since_when(here):
    number, asked = canary(here)
    for _ in range(10):
        here.turn(timedelta(seconds=1))
    said(here, number, "/canary abort")
    here.settle()
    assert_restored(here)
    told = next(one for one in here.replies(number) if "aborted the rollout" in one)
    assert "Restored: version **1**" in told
    assert "The candidate's last request came at" in told
    assert "after the decision" in told
    assert rollout(here, asked).rollback.still_at is not None
    assert not here.pull(number).is_merged


@pytest.mark.parametrize("phase", [Phase.PREPARE, Phase.HOLD, Phase.WATCH])
def test_a_push_in_any_phase_takes_the_canary_back(here, phase):
    deployed(here)
    number = trained(here, roc_auc=0.84)
    asked = here.comment(number, "/deploy")
    until(here, asked, Phase.HOLD if phase is Phase.WATCH else phase)
    if phase is Phase.WATCH:
        here.comment(number, "/canary promote")
        until(here, asked, phase)
    pushed = here.push(number, model(roc_auc=0.85))
    here.settle()
    assert_restored(here)
    assert rollout(here, asked).reason is Reason.SUPERSEDED
    assert f"A push ({pushed[:7]}) superseded this rollout." in "\n".join(here.replies(number))
    assert not here.pull(number).is_merged


def test_r8_a_pull_request_that_is_closed_takes_its_canary_back_at_the_next_share(here):
    number, comment = canary(here)
    until(here, comment, Phase.HOLD)
    here.close(number)
    began = here.clock.now()
    here.settle()

    assert_restored(here)
    assert here.clock.now() - began < timedelta(minutes=10)  # not its patience, which is an hour
    assert "is closed" in here.reply(number)


def test_two_rollouts_of_one_environment_never_overlap(tmp_path):
    with world(tmp_path, canary=CLIMB.replace("[5, 50]", "[50]").replace("1m", "1s")) as here:
        deployed(here)
        numbers = [trained(here, roc_auc=0.84 + one / 1000) for one in range(2)]
        asked = [here.comment(number, "/deploy") for number in reversed(numbers)]
        order = []
        for _ in here.walk():
            under_way = [one for one in asked if (found := rollout(here, one)) and not found.phase.is_final]
            assert len(under_way) <= 1, here.describe()
            order += [one for one in under_way if one not in order]
            digests = {rollout_digest(here, one) for one in under_way}
            candidate = here.serving().candidate.digest
            assert candidate is None or candidate in digests
        assert order[0] == asked[0]  # in the order in which they were asked for


def rollout_digest(here: World, comment: int) -> str:
    return load(DeployFacts, here.operation(comment).facts).model_digest


def test_rollouts_of_two_environments_go_on_at_the_same_time(here):
    deployed(here)
    one, other = trained(here, roc_auc=0.84), trained(here, roc_auc=0.85)
    production, staging = here.comment(one, "/deploy"), here.comment(other, "/staging_deploy")
    until(here, production, Phase.HOLD)
    for _ in here.walk():
        if here.operation(staging).ended_at is not None:
            break
    assert rollout(here, production).phase is Phase.HOLD
    assert here.serving("staging").stable.version == "3"


def test_a_rollback_to_a_named_revision_says_since_when_it_serves(here):
    deployed(here)
    for score in (0.84, 0.85):
        number = trained(here, roc_auc=score)
        asked = here.comment(number, "/deploy")
        until(here, asked, Phase.HOLD)
        here.comment(number, "/canary promote")
        here.settle()
    other = here.pull_request("ana", model())
    here.comment(other, '/rollback --to 1 --reason "drill"')
    here.settle()
    assert_restored(here, "1")
    assert "**production serves version 1 again.** Reason: drill" in here.reply(other)
    assert "It has all traffic since 1" in here.reply(other)
    assert "s after it was asked for." in here.reply(other)


def test_r20_a_recorded_revision_that_does_not_start_any_more_is_not_switched_to(here):
    deployed(here)
    old = here.serving().stable.digest
    number = trained(here, roc_auc=0.84)
    asked = here.comment(number, "/deploy")
    until(here, asked, Phase.HOLD)
    here.comment(number, "/canary promote")
    here.settle()
    here.serving_engine.behaviours[old] = Behaviour(starts=Failure(FailureKind.DOES_NOT_START, "gone"))
    other = here.pull_request("ana", model())
    here.comment(other, '/rollback --reason "drill"')
    here.settle()
    assert_restored(here, "2")
    assert "It does not start" in here.reply(other)
    assert "Nothing was switched." in here.reply(other)


class Uncountable:
    """Users' requests cannot be counted: a defect in the adapter, or what it asks refuses for good."""

    def __init__(self, inner, error: Exception) -> None:
        self._inner, self._error = inner, error

    def counts(self, *_given) -> Counts | Unknown:
        raise self._error

    def standstill(self, place):
        return self._inner.standstill(place)


@pytest.mark.parametrize("error", [Refused("the counters are gone"), KeyError("requests")])
def test_a_rollout_that_cannot_go_on_gives_the_champion_everything_back_before_it_ends(here, error):
    number, asked = canary(here)
    here.ports = replace(here.ports, traffic=Uncountable(here.ports.traffic, error))
    here.settle()
    assert_restored(here)
    assert rollout(here, asked).reason is Reason.STOPPED
    assert "The rollout cannot go on" in here.reply(number)
    assert here.operation(asked).kind is Kind.DEPLOY
