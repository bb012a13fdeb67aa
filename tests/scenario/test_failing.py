"""What fails for a reason that nobody foresaw, or for long: everything ends, and nothing goes on where nobody looks."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from tests.support.replaced import defect, once, put_in
from tests.support.ways import comes_to, deployed, trained, until
from tests.support.world import World, model, world

from kfops.adapters.sql import tables as t
from kfops.domain.operation import Outcome
from kfops.domain.rollout import Phase
from kfops.domain.run import ENDED, RunState
from kfops.ports.errors import Refused, Unavailable
from kfops.workflow import failing, unreadable

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


@pytest.fixture
def here(tmp_path):
    with world(tmp_path) as made:
        yield made


def makes_unreadable(here: World, asked: int, **facts: Any) -> None:
    changed = {**here.operation(asked).facts, **facts}
    where = t.operations.c.id == here.operation(asked).id
    with here.ledger.database.write() as connection:
        connection.execute(sa.update(t.operations).where(where).values(facts=changed))


# A defect in the end.


def test_r18_a_defect_in_closing_leaves_the_outcome_as_it_is_and_ends(here):
    number = trained(here)
    asked = here.comment(number, "/deploy")
    comes_to(here, asked, "closing")
    put_in(here, "forge", deployment_status=defect)
    here.settle(limit=HOUR)

    ended = here.operation(asked)
    assert (ended.outcome, ended.reason_code) == (Outcome.SUCCEEDED, "done")
    assert here.ledger.locks("env:") == ()
    assert "rocket" in here.reactions(asked)
    assert here.ledger.verify(here.repository.id) is None


def test_r18_what_a_defect_left_untold_is_told_when_it_is_mended(here):
    number = trained(here)
    asked = here.comment(number, "/deploy")
    comes_to(here, asked, "closing")
    put_in(here, "forge", deployment_status=defect)
    here.settle(limit=HOUR)
    here.turn(HOUR)
    assert here.sweep() == 1
    assert [one.statuses for one in here.deployments()] == [[]]

    here.restart()
    here.turn(2 * HOUR)
    assert here.sweep() == 1
    assert [one.statuses[-1].state for one in here.deployments()] == ["success"]


def test_r18_one_that_cannot_be_settled_keeps_no_other_from_it(here):
    asked = []
    for _ in range(2):
        number = trained(here)
        asked.append(here.comment(number, "/deploy"))
        comes_to(here, asked[-1], "closing")
        put_in(here, "forge", deployment_status=defect)
        here.settle(limit=HOUR)
        here.restart()
    first, second = (here.deployments()[0].id, here.deployments()[1].id)
    say = here.forge.deployment_status

    def fails_for_the_first(repository: int, deployment: int, *rest: Any, **more: Any) -> None:
        return defect() if deployment == first else say(repository, deployment, *rest, **more)

    put_in(here, "forge", deployment_status=fails_for_the_first)
    here.turn(HOUR)

    assert here.sweep() == 2
    assert [len(here.repository.deployments[one].statuses) for one in (first, second)] == [0, 1]


def test_r18_a_check_run_whose_end_was_refused_once_gets_it_later(here):
    number = here.pull_request("ana", model(steps={"train": 150.0}))
    asked = here.comment(number, "/build_run")
    comes_to(here, asked, "record")
    report, refused = here.forge.report_check, []

    def refuses_once(repository: int, told: Any) -> int | None:
        if told.conclusion is not None and not refused:
            refused.append(told)
            raise Refused("403 Resource not accessible by integration")
        return report(repository, told)

    put_in(here, "forge", report_check=refuses_once)
    here.settle()
    assert refused
    assert [one.status for one in here.check_runs(number)] == ["in_progress"]

    here.turn(HOUR)
    assert here.sweep() == 1
    assert [one.status for one in here.check_runs(number)] == ["completed"]


# A defect on the way.


def test_a_defect_in_telling_holds_up_no_run(here):
    number = here.pull_request("ana", model(steps={"train": 150.0}))
    asked = here.comment(number, "/build_run")
    comes_to(here, asked, "follow")
    put_in(here, "forge", edit_comment=defect)
    here.settle(limit=HOUR)

    assert here.operation(asked).reason_code == "done"
    here.restart()
    here.turn(HOUR)
    assert here.sweep() == 1
    assert "0.8" in here.reply(number)


def test_a_defect_in_telling_takes_no_rollout_its_end(here):
    number = trained(here, roc_auc=0.84)
    asked = here.comment(number, "/deploy")
    until(here, asked, Phase.PREPARE)
    put_in(here, "forge", edit_comment=defect)
    here.settle(limit=2 * HOUR)

    assert here.operation(asked).outcome is Outcome.SUCCEEDED
    assert here.pull(number).is_merged


def test_a_run_that_a_defect_ends_does_not_go_on_outside(here):
    number = here.pull_request("ana", model(steps={"train": 3000.0}))
    asked = here.comment(number, "/build_run")
    comes_to(here, asked, "follow")
    asks = here.ports.pipelines.status
    put_in(
        here,
        "pipelines",
        status=lambda run: asks(run) if here.operation(asked).phase == "canceling" else defect(),
    )
    here.settle(limit=HOUR)

    assert here.operation(asked).reason_code == "internal_error"
    assert here.pipelines.status("op-1-1").state is RunState.CANCELED
    assert here.ledger.locks("place:") == ()


def test_two_moments_of_bad_weather_are_no_defects(here):
    """A defect that is gone at the next look ends nothing, whatever was away before it."""
    number = here.pull_request("ana", model(steps={"train": 150.0}))
    asked = here.comment(number, "/build_run")
    comes_to(here, asked, "follow")
    asks, errors = (
        here.ports.pipelines.status,
        [Unavailable("503"), Unavailable("503"), KeyError("id"), KeyError("id")],
    )

    def status(run: str) -> Any:
        if errors:
            raise errors.pop(0)
        return asks(run)

    put_in(here, "pipelines", status=status)
    here.settle()

    assert errors == []
    assert here.operation(asked).reason_code == "done"


# Facts that cannot be read.


def test_facts_that_cannot_be_read_end_a_run_and_stop_it(here):
    number = here.pull_request("ana", model(steps={"train": 3000.0}))
    asked = here.comment(number, "/build_run")
    comes_to(here, asked, "follow")
    makes_unreadable(here, asked, parameters="many")
    here.settle(limit=HOUR)

    assert here.operation(asked).reason_code == "internal_error"
    assert here.pipelines.status("op-1-1").state is RunState.CANCELED
    assert "The operator finds the reason under operation 1." in here.reply(number)


def test_facts_that_another_release_can_read_are_waited_for(here):
    number = here.pull_request("ana", model(steps={"train": 600.0}))
    asked = here.comment(number, "/build_run")
    comes_to(here, asked, "follow")
    kept = here.operation(asked).facts
    makes_unreadable(here, asked, parameters="many")
    here.turn(unreadable.PATIENCE / 2)
    makes_unreadable(here, asked, parameters=kept["parameters"])
    here.settle()

    assert here.operation(asked).reason_code == "done"


def test_facts_that_cannot_be_read_let_a_rollout_go_back_as_its_rules_say(here):
    deployed(here, roc_auc=0.81)
    number = trained(here, roc_auc=0.84)
    asked = here.comment(number, "/deploy")
    comes_to_users(here)
    makes_unreadable(here, asked, notes=7)
    here.settle(limit=2 * HOUR)

    ended = here.operation(asked)
    assert ended.outcome is Outcome.ROLLED_BACK
    assert here.serving().candidate_weight == 0
    assert not here.pull(number).is_merged


def test_a_rollout_that_cannot_be_read_leaves_no_users_on_its_candidate(here):
    deployed(here, roc_auc=0.81)
    serves = here.serving().stable.digest
    number = trained(here, roc_auc=0.84)
    asked = here.comment(number, "/deploy")
    comes_to_users(here)
    makes_unreadable(here, asked, rollout={"phase": "of another release"})
    here.settle(limit=2 * HOUR)

    assert here.operation(asked).reason_code == "internal_error"
    assert (here.serving().stable.digest, here.serving().candidate_weight) == (serves, 0)
    assert "the champion was given all traffic" in here.reply(number)
    assert here.ledger.locks("env:") == ()


def test_r18_what_ended_well_and_cannot_be_read_ends_so(here):
    number = trained(here)
    asked = here.comment(number, "/deploy")
    comes_to(here, asked, "closing")
    makes_unreadable(here, asked, notes=7)
    here.settle(limit=HOUR)

    assert here.operation(asked).outcome is Outcome.SUCCEEDED
    assert [one.statuses[-1].state for one in here.deployments()] == ["success"]


def comes_to_users(here: World) -> None:
    for _ in here.walk():
        if here.serving().candidate_weight:
            return
    raise AssertionError(here.describe())


# Patience.


def test_one_moment_of_bad_weather_ends_no_run_however_long_it_has_been_under_way(here):
    number = here.pull_request("ana", model(steps={"train": 3000.0}))
    asked = here.comment(number, "/build_run")
    comes_to(here, asked, "follow")
    here.clock.at += 2 * failing.PATIENCE
    put_in(here, "pipelines", status=once(Unavailable("503"), here.ports.pipelines.status))
    here.settle()

    assert here.operation(asked).reason_code == "done"


def test_one_moment_of_bad_weather_ends_no_command_however_long_it_waited_in_line(here):
    number = here.pull_request("ana", model())
    asked = here.comment(number, "/build_run")
    here.deliver()
    here.clock.at += 2 * failing.PATIENCE
    put_in(here, "forge", repository=once(Unavailable("502"), here.forge.repository))
    here.settle()

    assert here.operation(asked).reason_code == "done"


def test_what_was_well_once_is_waited_for_anew(here):
    number = here.pull_request("ana", model(steps={"train": 3000.0}))
    asked = here.comment(number, "/build_run")
    comes_to(here, asked, "follow")
    asks, began, is_away = here.ports.pipelines.status, here.clock.at, timedelta(minutes=100)

    def status(run: str) -> Any:
        now = here.clock.at - began
        if now < is_away or 2 * MINUTE < now - is_away < is_away:
            raise Unavailable("503")
        return asks(run)

    put_in(here, "pipelines", status=status)
    here.settle()

    assert here.operation(asked).reason_code == "done"


def test_a_run_that_is_given_up_is_stopped_before_its_place_is_given_back(here):
    number = here.pull_request("ana", model(steps={"train": 3000.0}))
    asked = here.comment(number, "/build_run")
    comes_to(here, asked, "follow")
    run, asks = next(iter(here.pipelines.runs)), here.ports.pipelines.status

    def status(run_id: str) -> Any:
        if here.operation(asked).phase == "follow":
            raise Refused("401 token expired")
        return asks(run_id)

    put_in(here, "pipelines", status=status)
    for _ in here.walk():
        if here.pipelines.runs[run] and asks(run).state not in ENDED:
            assert here.ledger.locks("place:") != ()

    assert asks(run).state is RunState.CANCELED
    assert here.ledger.locks("place:") == ()
    assert (here.operation(asked).outcome, here.operation(asked).reason_code) == (
        Outcome.FAILED,
        "outside_refused",
    )
    assert "401 token expired" in here.reply(number)


def test_a_run_that_may_have_been_submitted_is_looked_for_when_it_is_given_up(here, monkeypatch):
    """It was submitted, and before that could be written down the engine was away for good."""
    monkeypatch.setattr(failing, "PATIENCE", 10 * MINUTE)
    number = here.pull_request("ana", model(steps={"train": 3000.0}))
    asked = here.comment(number, "/build_run")
    comes_to(here, asked, "submit")
    submits = here.ports.pipelines.submit

    def submit(order: Any) -> str:
        submits(order)
        raise Unavailable("504")

    def find(name: str) -> str | None:
        if here.operation(asked).phase == "submit":
            raise Unavailable("504")
        return name

    put_in(here, "pipelines", submit=submit, find=find)
    here.settle()

    assert here.operation(asked).reason_code == "outside_unavailable"
    assert here.pipelines.status("op-1-1").state is RunState.CANCELED


def test_what_was_away_and_what_is_a_defect_are_counted_apart(here):
    number = here.pull_request("ana", model())
    asked = here.comment(number, "/build_run")
    comes_to(here, asked, "compile")
    compiles, errors = here.ports.pipelines.compile, [Unavailable("503"), KeyError("id")]

    def compile_(order: Any) -> Any:
        if errors:
            raise errors.pop(0)
        return compiles(order)

    put_in(here, "pipelines", compile=compile_)
    here.turn()
    here.turn(timedelta(seconds=2))
    operation = here.operation(asked)

    assert (operation.failures, operation.defects) == (1, 1)
    assert operation.failing_since == here.clock.at - timedelta(seconds=2)
    here.settle()
    operation = here.operation(asked)
    assert (operation.failures, operation.defects, operation.failing_since) == (0, 0, None)
