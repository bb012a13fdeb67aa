"""Everything outside reaches a final state, whatever was away, refused or killed (R18)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from tests.support.replaced import put_in
from tests.support.ways import comes_to, trained
from tests.support.weather import Fault
from tests.support.world import World, model, world

from kfops.domain.operation import Outcome
from kfops.ports.forge import CheckReport
from kfops.workflow import closing

HOUR = timedelta(hours=1)


@pytest.fixture
def here(tmp_path):
    with world(tmp_path) as made:
        yield made


def falls_on(here: World, *words: str) -> None:
    """Calls whose METHOD /path has one of these words in it fail; none: fair weather."""
    here.weather.falls = lambda _, what: Fault.SERVER_ERROR if any(one in what for one in words) else None


def test_r18_closing_ends_when_the_forge_was_away_for_six_hours_however_often_it_was_tried(here):
    number = trained(here)
    asked = here.comment(number, "/deploy")
    comes_to(here, asked, "closing")
    falls_on(here, "deployments")
    here.turn()
    began = here.clock.at
    while here.operation(asked).ended_at is None:
        here.turn(timedelta(minutes=50))
        assert here.clock.at - began < 7 * HOUR, here.describe()

    assert here.clock.at - began > closing.PATIENCE
    assert here.operation(asked).outcome is Outcome.SUCCEEDED
    assert here.ledger.verify(here.repository.id) is None


def test_r18_what_ended_untold_is_told_when_the_forge_is_back(here):
    number = trained(here)
    asked = here.comment(number, "/deploy")
    comes_to(here, asked, "closing")
    falls_on(here, "deployments", "check-runs", "issues")
    here.turn()
    while here.operation(asked).ended_at is None:
        here.turn(2 * HOUR)
    assert not [one for one in here.deployments() if one.statuses]

    here.turn(HOUR)
    assert here.sweep() == 1
    falls_on(here)
    here.turn(2 * HOUR)
    assert here.sweep() == 1
    assert [one.statuses[-1].state for one in here.deployments()] == ["success"]
    assert len(here.replies(number)) == 2
    assert "rocket" in here.reactions(asked)
    here.turn(24 * HOUR)
    assert here.sweep() == 0
    assert len(here.ledger.trail(here.repository.id)) == 2


def test_r18_while_an_end_cannot_be_told_nobody_waits_for_the_environment(here):
    number = trained(here)
    asked = here.comment(number, "/deploy")
    comes_to(here, asked, "closing")
    falls_on(here, "deployments")
    here.turn()

    assert here.operation(asked).ended_at is None
    assert here.ledger.locks("env:") == ()


def test_r18_a_comment_that_somebody_deleted_keeps_nothing_else_from_its_end(here):
    number = trained(here)
    asked = here.comment(number, "/deploy")
    comes_to(here, asked, "closing")
    for comment, said in list(here.repository.comments.items()):
        if said.app_id is not None:
            here.delete_comment(comment, by="olga")
    here.settle()

    assert here.operation(asked).outcome is Outcome.SUCCEEDED
    assert [one.statuses[-1].state for one in here.deployments()] == ["success"]
    assert "rocket" in here.reactions(asked)


def test_r18_a_deployment_gets_one_end_however_often_the_rest_is_tried(here):
    number = trained(here)
    asked = here.comment(number, "/deploy")
    comes_to(here, asked, "closing")
    falls_on(here, "issues")
    for _ in range(4):
        here.turn(timedelta(minutes=2))
    falls_on(here)
    here.settle()

    assert [[status.state for status in one.statuses] for one in here.deployments()] == [["success"]]


def test_r18_a_deployment_whose_number_a_crash_took_away_gets_its_end(here):
    """Made outside, and the process was gone before it was written down; the next one no longer wants to deploy."""
    number = trained(here)
    asked = here.comment(number, "/deploy")
    for _ in here.walk():
        if here.operation(asked).phase == "begin":
            break
    operation = here.operation(asked)
    claimed = here.ledger.claim("killed", here.clock.now(), here.options.lease)
    assert claimed is not None
    here.ledger.effect_about(claimed, "deployment", here.clock.now())
    here.forge.create_deployment(
        here.repository.id,
        sha=str(operation.subject.head_sha),
        environment="production",
        external_id=f"kfops-{operation.id}",
    )
    here.restart()
    here.clock.at += timedelta(minutes=1)
    here.ledger.request_cancel(operation.id, "bo", here.clock.now())
    here.settle()

    assert here.operation(asked).outcome is Outcome.CANCELED
    assert [[status.state for status in one.statuses] for one in here.deployments()] == [["failure"]]


def test_r18_what_a_paused_worker_overwrites_after_its_lease_is_set_right(here):
    """Its call was on the way when another worker ended the operation: fences stop writes, not calls (R14)."""
    number = here.pull_request("ana", model(steps={"train": 300.0}))
    asked = here.comment(number, "/build_run")
    here.turn(timedelta(minutes=1))
    assert [one.status for one in here.check_runs(number)] == ["in_progress"]
    paused = here.ledger.claim("paused", here.clock.now() + timedelta(seconds=60), here.options.lease)
    assert paused is not None
    here.clock.at += timedelta(minutes=3)
    here.settle()
    assert [one.status for one in here.check_runs(number)] == ["completed"]

    late = CheckReport(
        "kfops/build_run", str(paused.subject.head_sha), "under way", "late", f"kfops-{paused.id}"
    )
    here.forge.report_check(here.repository.id, late)
    assert [one.status for one in here.check_runs(number)] == ["in_progress"]
    assert here.sweep() == 0
    here.turn(timedelta(minutes=3))
    assert here.sweep() == 1
    assert [(one.status, one.conclusion) for one in here.check_runs(number)] == [("completed", "success")]
    assert here.operation(asked).takeovers == 1
    assert here.sweep() == 0


def paused_before(here: World, method: str) -> None:
    """The next such call to the forge is made late: its worker sleeps past its lease, and another goes on to the end."""
    call, awake = getattr(here.forge, method), here.ports

    def late(*given: Any, **named: Any) -> Any:
        here.ports = awake
        here.clock.at += 2 * here.options.lease
        here.settle()
        return call(*given, **named)

    put_in(here, "forge", **{method: late})


def test_r18_a_comment_that_a_paused_worker_wrote_late_is_taken_away(here):
    number = here.pull_request("ana", model())
    asked = here.comment(number, "/build_run")
    paused_before(here, "create_comment")
    here.settle()
    assert len(here.replies(number)) == 2

    here.turn(closing.LATE)
    assert here.sweep() == 1
    assert len(here.replies(number)) == 1
    assert "succeeded" in here.reply(number)
    assert here.operation(asked).takeovers == 1
    assert here.sweep() == 0


def test_r18_what_a_paused_worker_told_late_is_told_as_it_is(here):
    number = here.pull_request("ana", model(steps={"train": 50.0}))
    here.comment(number, "/build_run")
    here.turn(timedelta(seconds=12))
    paused_before(here, "edit_comment")
    here.settle()
    assert "`/cancel` stops it." in here.reply(number)

    here.turn(closing.LATE)
    assert here.sweep() == 1
    assert "succeeded" in here.reply(number)


def test_r18_a_late_answer_is_there_once_too(here):
    number = here.pull_request("ana", model())
    here.comment(number, "/help")
    paused_before(here, "create_comment")
    here.settle()

    here.turn(closing.LATE)
    assert here.sweep() == 1
    assert len(here.replies(number)) == 1


def test_r18_a_run_that_a_paused_worker_submitted_late_is_ended(here):
    number = here.pull_request("ana", model())
    here.comment(number, "/build_run")
    kept: list[tuple[str, str]] = []
    submit, awake = here.pipelines.submit, here.ports

    def late(order: Any) -> str:
        here.ports = awake
        here.clock.at += 2 * here.options.lease
        here.settle()
        return submit(order)

    put_in(here, "pipelines", submit=late)
    here.settle()
    here.turn(closing.LATE)
    put_in(here, "pipelines", keep_one=lambda *one: kept.append(one))

    assert here.sweep() == 1
    assert kept == [("op-1-1", "op-1-1")]
