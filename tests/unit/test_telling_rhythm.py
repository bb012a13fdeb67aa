"""When the living comment is edited: on news, then after 10, 30 and 60 seconds, then seldom."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from tests.support.rollout_world import NOON, World

from kfops.domain.facts import DeployFacts, RunFacts
from kfops.domain.operation import Kind, Operation, Subject
from kfops.domain.pull_request import Actor
from kfops.domain.rollout import Phase, RolloutPlan
from kfops.workflow.telling import is_time

SUBJECT = Subject(1, 1, 1, 0, {}, Actor(1, "ana"), "", NOON)


def told(kind: Kind, facts: RunFacts | DeployFacts, until_s: int) -> list[float]:
    """Seconds after the operation began, looked at twice a second."""
    operation = Operation(1, kind, SUBJECT, "", "follow", {}, NOON, NOON)
    found = []
    for half in range(2 * until_s):
        now = NOON + timedelta(seconds=half / 2)
        if is_time(operation, facts, now):
            found.append(half / 2)
            operation = replace(operation, told_at=now)
    return found


def test_a_run_is_told_after_ten_thirty_and_sixty_seconds_and_then_every_minute():
    assert told(Kind.BUILD_RUN, RunFacts(), 301) == [0, 10, 30, 60, 120, 180, 240, 300]


def test_a_canary_is_told_every_half_minute():
    assert told(Kind.DEPLOY, DeployFacts("production"), 151) == [0, 10, 30, 60, 90, 120, 150]


def test_news_of_a_canary_are_told_at_once_and_those_that_come_together_once():
    world = World(RolloutPlan(steps=(5, 50), hold=timedelta(seconds=120)))
    rollout = world.run(until=Phase.HOLD)
    began = rollout.timeline[-1].at
    facts = DeployFacts("production", rollout=rollout)
    operation = Operation(1, Kind.DEPLOY, SUBJECT, "", "rollout", {}, began, began)
    told_before = replace(operation, told_at=began - timedelta(seconds=1))
    assert not is_time(told_before, facts, began + timedelta(seconds=3.5))
    assert is_time(told_before, facts, began + timedelta(seconds=4))
    assert not is_time(
        replace(operation, told_at=began + timedelta(seconds=4)), facts, began + timedelta(seconds=9.5)
    )
