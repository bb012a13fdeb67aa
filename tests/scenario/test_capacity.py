"""How much is under way at once: no more than the operator allows, and whoever waits costs nothing until it is its turn."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.support.world import World, model, world

from kfops.config.policy import Limits, Policy
from kfops.domain.operation import Outcome
from kfops.domain.run import ENDED

PULLS = 3
TRAINING_S = 40.0


@pytest.fixture
def here(tmp_path):
    with world(tmp_path) as made:
        for _ in range(PULLS):
            made.pull_request("ana", model(roc_auc=0.82, steps={"train": TRAINING_S}))
        yield made


def allow(here: World, max_runs: int, **limits: int) -> None:
    here.options = replace(here.options, max_runs=max_runs, policy=Policy(version=1, limits=Limits(**limits)))


def under_way(here: World) -> list[str]:
    return [name for name in here.pipelines.runs if here.pipelines.status(name).state not in ENDED]


@pytest.mark.parametrize(("max_runs", "limits"), [(1, {}), (5, {"runs": 1})], ids=["of one", "of all"])
def test_runs_beyond_what_is_allowed_wait_for_one_another_in_order_and_are_woken(here, max_runs, limits):
    allow(here, max_runs, **limits)
    began = here.clock.at
    asked = [here.comment(number, "/build_run") for number in range(1, PULLS + 1)]
    idle = 0
    for _ in here.walk():
        assert len(under_way(here)) <= 1
        waiting = [one for one in here.opened if one.phase == "submit" and one.due_at > here.clock.at]
        idle = max(idle, len(waiting))

    ended = [here.operation(comment) for comment in asked]
    assert [one.outcome for one in ended] == [Outcome.SUCCEEDED] * PULLS
    assert list(here.pipelines.runs) == [f"op-{one.id}-1" for one in ended]
    assert idle == PULLS - 1
    assert here.clock.at - began < PULLS * timedelta(seconds=TRAINING_S + 5), "who waits is woken at once"
    assert here.ledger.locks("place:") == ()


def test_two_may_train_at_once_and_a_run_that_is_cancelled_makes_room(here):
    allow(here, 2)
    asked = [here.comment(number, "/build_run") for number in range(1, PULLS + 1)]
    for _ in range(5):
        here.turn(timedelta(seconds=1))
    assert under_way(here) == ["op-1-1", "op-2-1"]

    here.comment(1, "/cancel")
    here.turn(timedelta(seconds=1))
    here.turn(timedelta(seconds=1))

    assert here.operation(asked[0]).outcome is Outcome.CANCELED
    assert under_way(here) == ["op-2-1", "op-3-1"]


def test_a_place_outlives_the_bot_and_not_its_operation(here):
    allow(here, 1)
    here.comment(1, "/build_run")
    for _ in range(3):
        here.turn(timedelta(seconds=1))
    here.restart()
    here.ledger.end_leases()
    allow(here, 1)
    asked = here.comment(2, "/build_run")
    for _ in range(3):
        here.turn(timedelta(seconds=1))
    assert under_way(here) == ["op-1-1"]

    # As an operator ends a row by hand.
    here.ledger.database.engine.dispose()
    with here.ledger.database.write() as connection:
        connection.exec_driver_sql(
            "UPDATE operations SET ended_at = created_at, phase = 'ended' WHERE id = 1"
        )
    here.settle()

    assert here.operation(asked).outcome is Outcome.SUCCEEDED


def test_a_repository_with_too_much_under_way_is_told_so_and_can_still_stop_it(here):
    allow(here, 2, open_operations=2)
    for number in (1, 2):
        here.comment(number, "/build_run")
    here.turn(timedelta(seconds=1))
    third = here.comment(3, "/build_run")
    here.turn(timedelta(seconds=1))
    assert (here.operation(third).outcome, here.operation(third).reason_code) == (Outcome.REFUSED, "policy")
    assert "as many operations under way as the server's policy allows" in here.reply(3)

    here.comment(1, "/cancel")
    here.settle()

    again = here.comment(3, "/build_run")
    here.settle()
    assert here.operation(again).outcome is Outcome.SUCCEEDED
