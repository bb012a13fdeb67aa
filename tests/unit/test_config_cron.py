"""When a schedule is due: caught up once, never twice, and not before it was seen."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as some

from kfops.config.cron import CronSyntaxError, due, following, latest, parse_cron

MONDAYS = "0 3 * * 1"
MONDAY = datetime(2026, 3, 2, 3, tzinfo=UTC)
WEEK, MINUTE = timedelta(weeks=1), timedelta(minutes=1)


def test_the_last_moment_is_the_present_minute_too():
    assert latest(MONDAYS, MONDAY) == MONDAY
    assert latest(MONDAYS, MONDAY - timedelta(microseconds=1)) == MONDAY - WEEK
    assert latest(MONDAYS, MONDAY + timedelta(days=6, microseconds=5)) == MONDAY
    assert following(MONDAYS, MONDAY) == MONDAY + WEEK


def test_weeks_that_were_missed_are_caught_up_once_by_the_last_of_them():
    now = MONDAY + 3 * WEEK + timedelta(days=2)
    assert due(MONDAYS, MONDAY, now) == MONDAY + 3 * WEEK
    assert due(MONDAYS, MONDAY + 3 * WEEK, now) is None


def test_what_lies_before_the_schedule_was_seen_is_nobodys_to_catch_up():
    assert due(MONDAYS, MONDAY + MINUTE, MONDAY + timedelta(days=3)) is None
    assert due(MONDAYS, MONDAY + MINUTE, MONDAY + WEEK) == MONDAY + WEEK


def test_the_operator_bounds_how_often():
    every_minute = "* * * * *"
    assert due(every_minute, MONDAY, MONDAY + timedelta(hours=5), timedelta(hours=6)) is None
    later = MONDAY + timedelta(hours=6, seconds=20)
    assert due(every_minute, MONDAY, later, timedelta(hours=6)) == MONDAY + timedelta(hours=6)


@pytest.mark.parametrize(
    "text", ["0 3 * * 1", "*/15 * * * *", "0 0 L * *", "30 2 29 2 *", "0 9 * JAN-MAR MON#1"]
)
def test_what_cron_knows_is_kept_as_it_stands(text):
    assert parse_cron(text.replace(" ", "   ")) == text


@given(some.text(alphabet="0123456789*/-,#LW MONJA²", max_size=120))
def test_anything_else_is_refused_with_a_place_in_the_text(text):
    wrong = problem(text)
    if wrong is None:
        moment = latest(parse_cron(text), MONDAY)
        assert moment is None or moment <= MONDAY
    else:
        assert 0 <= wrong.at <= len(text)
        assert wrong.expected


def problem(text: str) -> CronSyntaxError | None:
    try:
        parse_cron(text)
    except CronSyntaxError as wrong:
        return wrong
    return None
