"""Webhooks that never arrived: the bot looks for them by itself, and nothing runs twice or too late."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from tests.support.weather import Fault
from tests.support.world import World, model, world

from kfops.domain.operation import Outcome
from kfops.playground.state import Delivery
from kfops.ports.errors import Refused
from kfops.workflow.recovery import EVERY, FURTHER, OVERLAP, Recovery

MINUTE = timedelta(minutes=1)


@pytest.fixture
def here(tmp_path):
    with world(tmp_path) as made:
        yield made


def look(here: World, owner: str = "one", *, is_served: Callable[[str], bool] = lambda _: True) -> int:
    """What the bot does every three minutes, and then its work."""
    found = Recovery(here.forge, here.ledger, here.ledger.accept, here.clock, is_served, owner).look()
    here.turn()
    return found


def unheard(here: World, number: int, text: str, by: str = "ana") -> tuple[int, list[Delivery]]:
    """A comment whose webhook goes nowhere; its id, and what the forge sent."""
    here.is_mail_held = True
    asked = here.comment(number, text, by=by)
    lost, here.mail[:] = list(here.mail), []
    here.is_mail_held = False
    return asked, lost


def refused(lost: list[Delivery], status: str = "Invalid HTTP Response: 503", code: int = 503) -> None:
    """The forge saw them fail."""
    for one in lost:
        one.status, one.status_code = status, code


def outcomes(here: World, comment: int) -> list[Outcome | None]:
    return [one.outcome for one in here.operations() if one.subject.comment_id == comment]


@pytest.mark.parametrize(
    ("status", "code"),
    [("Invalid HTTP Response: 503", 503), ("timed out", 0), ("failed to connect to host", 0)],
)
def test_r3_a_delivery_that_failed_is_asked_for_again_and_its_command_runs_once(here, status, code):
    number = here.pull_request("ana", model())
    asked, lost = unheard(here, number, "/help")
    refused(lost, status, code)
    assert look(here) == 0
    assert "POST /api/v3/app/hook/deliveries/" in "\n".join(here.weather.calls)

    assert outcomes(here, asked) == [Outcome.SUCCEEDED]
    here.turn(EVERY)
    assert look(here) == 0
    assert len(here.replies(number)) == 1


def test_r3_a_comment_that_nobody_delivered_is_found_and_runs_once(here):
    number = here.pull_request("ana", model())
    look(here)
    asked, lost = unheard(here, number, "/build_run")
    here.turn(EVERY)
    assert look(here) == 1
    here.settle()
    assert outcomes(here, asked) == [Outcome.SUCCEEDED]

    for late in lost:
        assert here.receive(late) == 202
    here.turn(EVERY)
    assert look(here) == 0
    here.settle()
    assert len(here.replies(number)) == 1
    assert len(here.pipelines.runs) == 1


def test_r3_what_cannot_be_undone_is_reported_when_it_is_found_late_and_not_carried_out(here):
    number = here.pull_request("ana", model())
    here.comment(number, "/build_run")
    here.settle()
    look(here)
    late, _ = unheard(here, number, "/deploy")
    here.turn(16 * MINUTE)
    assert look(here) == 1
    here.settle()

    assert outcomes(here, late) == [Outcome.REFUSED]
    assert here.operation(late).reason_code == "too_late"
    assert "15 minutes" in here.reply(number)
    assert here.serving().stable.version is None
    assert not here.pull(number).is_merged

    in_time, _ = unheard(here, number, "/deploy")
    here.turn(4 * MINUTE)
    assert look(here) == 1
    here.settle()
    assert outcomes(here, in_time) == [Outcome.SUCCEEDED]


def test_r3_a_rollback_found_late_is_reported_and_a_run_found_late_runs(here):
    number = here.pull_request("ana", model())
    here.comment(number, "/build_run\n/deploy")
    here.settle()
    other = here.pull_request("ana", model(roc_auc=0.9))
    look(here)
    back, _ = unheard(here, other, '/rollback production --reason "it looks odd"')
    run, _ = unheard(here, other, "/build_run")
    here.turn(20 * MINUTE)
    assert look(here) == 2
    here.settle()

    assert here.operation(back).reason_code == "too_late"
    assert outcomes(here, run) == [Outcome.SUCCEEDED]


def test_r3_r4_an_edited_comment_is_never_found_it_may_be_another_persons_words(here):
    number = here.pull_request("cleo", model())
    look(here)
    here.is_mail_held = True
    said = here.comment(number, "What a good model!", by="ana")
    here.clock.at += 10 * timedelta(seconds=1)
    here.edit_comment(said, "/build_run", by="olga")
    here.mail.clear()
    here.is_mail_held = False
    here.turn(EVERY)

    assert look(here) == 0
    assert outcomes(here, said) == []


def test_r3_r4_nothing_is_found_on_a_closed_pull_request_nor_talk_nor_what_was_just_said(here):
    closed, open_one = here.pull_request("ana", model()), here.pull_request("ana", model(roc_auc=0.9))
    look(here)
    unheard(here, closed, "/build_run")
    here.close(closed)
    unheard(here, open_one, "I would not `/deploy` this.")
    here.turn(EVERY)
    unheard(here, open_one, "/build_run")
    assert look(here) == 0

    here.turn(EVERY)
    assert look(here) == 1


def test_r3_after_days_away_the_bot_finds_what_was_said_meanwhile(here):
    number = here.pull_request("ana", model())
    look(here)
    asked, lost = unheard(here, number, "/help")
    refused(lost)
    run, _ = unheard(here, number, "/build_run")
    here.clock.at += timedelta(days=2)
    here.restart()
    look(here)
    here.settle()

    assert (outcomes(here, asked), outcomes(here, run)) == ([Outcome.SUCCEEDED], [Outcome.SUCCEEDED])


def test_r3_one_replica_looks_at_a_time_and_another_when_that_one_is_gone(here):
    number = here.pull_request("ana", model())
    look(here, "one")
    asked, _ = unheard(here, number, "/help")
    here.turn(MINUTE)
    assert look(here, "two") == 0
    assert outcomes(here, asked) == []
    here.turn(EVERY)
    assert look(here, "two") == 1


def test_r3_while_the_forge_is_away_no_cursor_moves(here):
    number = here.pull_request("ana", model())
    look(here)
    asked, _ = unheard(here, number, "/help")
    here.turn(EVERY)
    here.weather.falls = lambda _, what: Fault.SERVER_ERROR if "comments" in what else None
    assert look(here) == 0
    here.weather.falls = lambda _, __: None
    here.clock.at += timedelta(hours=1)
    look(here)

    assert outcomes(here, asked) == [Outcome.SUCCEEDED]


@pytest.mark.parametrize("error", [Refused("404 Not Found"), KeyError("merged")])
def test_r3_a_comment_that_cannot_be_taken_hides_none_of_those_behind_it(here, monkeypatch, error):
    gone, number = here.pull_request("ana", model()), here.pull_request("ana", model(roc_auc=0.9))
    look(here)
    lost, _ = unheard(here, gone, "/help")
    asked, _ = unheard(here, number, "/help")
    here.turn(EVERY)
    read, times = here.forge.pull_request, []

    def refuses(repository_id, wanted):
        if wanted == gone:
            times.append(here.clock.at)
            raise error
        return read(repository_id, wanted)

    monkeypatch.setattr(here.forge, "pull_request", refuses)
    assert look(here) == 1
    assert (outcomes(here, lost), outcomes(here, asked)) == ([], [Outcome.SUCCEEDED])
    for _round in range(5):
        here.turn(EVERY)
        assert look(here) == 0
    assert max(times) - min(times) <= OVERLAP


def test_r3_a_repository_that_cannot_be_read_holds_up_no_other(here, monkeypatch):
    number = here.pull_request("ana", model())
    look(here)
    asked, _ = unheard(here, number, "/help")
    here.turn(EVERY)
    read, known = here.forge.comments_since, here.ledger.repositories()
    monkeypatch.setattr(here.ledger, "repositories", lambda: ((1, "olga/odd", None), *known))

    def is_odd(repository_id, since):
        if repository_id == 1:
            raise KeyError("created_at")
        return read(repository_id, since)

    monkeypatch.setattr(here.forge, "comments_since", is_odd)
    assert look(here) == 1
    assert outcomes(here, asked) == [Outcome.SUCCEEDED]


def test_r3_what_came_before_the_first_look_that_succeeded_is_found(here):
    number = here.pull_request("ana", model())
    asked, _ = unheard(here, number, "/help")
    here.turn(MINUTE)
    here.weather.falls = lambda _, what: Fault.SERVER_ERROR if "comments" in what else None
    for _round in range(5):
        assert look(here) == 0
        here.turn(EVERY)
    here.weather.falls = lambda _, __: None

    assert look(here) == 1
    assert outcomes(here, asked) == [Outcome.SUCCEEDED]


def test_r3_a_list_without_end_is_read_on_from_where_it_stopped(here, monkeypatch):
    monkeypatch.setattr("kfops.adapters.github.client.PER_PAGE", 1)
    monkeypatch.setattr("kfops.adapters.github.transport.MOST_PAGES", 2)
    number = here.pull_request("ana", model())
    look(here)
    asked = []
    for _one in range(5):
        here.turn(2 * OVERLAP)
        asked.append(unheard(here, number, "/help")[0])
    here.turn(EVERY)
    for _round in range(5):
        look(here)
        here.turn(EVERY)

    assert [outcomes(here, one) for one in asked] == [[Outcome.SUCCEEDED]] * 5


def test_r3_failures_without_end_are_asked_for_from_where_the_last_look_stopped(here, monkeypatch):
    monkeypatch.setattr("kfops.adapters.github.deliveries.PER_PAGE", 1)
    monkeypatch.setattr("kfops.adapters.github.deliveries.MOST_PAGES", 2)
    number = here.pull_request("ana", model())
    look(here)
    asked = []
    for _one in range(5):
        here.turn(MINUTE)
        one, lost = unheard(here, number, "/help")
        refused(lost)
        asked.append(one)
    here.weather.falls = lambda _, what: Fault.SERVER_ERROR if what.endswith("/issues/comments") else None
    for _round in range(3):
        look(here)
        here.turn(EVERY)

    assert [outcomes(here, one) for one in asked] == [[Outcome.SUCCEEDED]] * 5


def test_r3_where_the_forge_forgot_the_page_to_go_on_with_a_look_begins_anew(here):
    number = here.pull_request("ana", model())
    asked, lost = unheard(here, number, "/help")
    refused(lost)
    since = here.clock.at - MINUTE
    here.clock.at += timedelta(hours=1)
    here.ledger.set_cursor("deliveries", here.clock.at.isoformat())
    here.ledger.set_cursor(FURTHER, f"{since.isoformat()} gone")
    look(here)
    assert outcomes(here, asked) == []
    here.turn(EVERY)
    look(here)
    assert outcomes(here, asked) == [Outcome.SUCCEEDED]


def test_r1_r3_a_repository_that_is_not_served_is_not_looked_at(here):
    number = here.pull_request("ana", model())
    look(here)
    unheard(here, number, "/help")
    here.turn(EVERY)
    here.weather.calls.clear()

    assert look(here, is_served=lambda _: False) == 0
    assert not [call for call in here.weather.calls if "comments" in call]
