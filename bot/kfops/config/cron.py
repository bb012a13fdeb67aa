"""When a schedule is due: five fields of cron, in UTC, as `cronsim` reads them (Debian's cron and its extensions).

A moment is a whole minute. Which moments were served is the ledger's to know; here is only arithmetic.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from cronsim import CronSim, CronSimError

_EXPECTED = (
    "numbers from 0 to 59 for the minute, such as 0, */15 or 0,30",
    "numbers from 0 to 23 for the hour, such as 3, */6 or 9-17",
    "numbers from 1 to 31 for the day of the month (L: the last), and one that there is in that month",
    "numbers from 1 to 12 for the month, or JAN to DEC, such as 1, */3 or MAR-MAY",
    "numbers from 0 (Sunday) to 7 for the day of the week, or SUN to SAT, such as MON-FRI or 1#1",
)
_DAY = 2
_LONGEST = 100
_ANY_MOMENT = datetime(2000, 1, 1, tzinfo=UTC)
FIVE = "five fields of cron: minute, hour, day of the month, month, day of the week (UTC)"


class CronSyntaxError(ValueError):
    """`at`: where in the text, from 0, what is wrong begins; `expected`: what would have done there."""

    def __init__(self, at: int, expected: str) -> None:
        super().__init__(expected)
        self.at, self.expected = at, expected


def parse_cron(text: str) -> str:
    """The expression with single blanks between its fields; raises CronSyntaxError."""
    parts = text.split() if len(text) <= _LONGEST else []
    if len(parts) != len(_EXPECTED):
        raise CronSyntaxError(0, FIVE)
    at = 0
    for number, (part, expected) in enumerate(zip(parts, _EXPECTED, strict=True)):
        at = text.index(part, at)
        if not _is_read({number: part}):
            raise CronSyntaxError(at, expected)
        at += len(part)
    if not _is_read(dict(enumerate(parts))):  # each for itself is right: 30 February
        raise CronSyntaxError(text.index(parts[_DAY], len(parts[0]) + len(parts[1])), _EXPECTED[_DAY])
    return " ".join(parts)


def _is_read(fields: Mapping[int, str]) -> bool:
    """`fields` by their number; the others are stars."""
    try:
        CronSim(" ".join(fields.get(number, "*") for number in range(len(_EXPECTED))), _ANY_MOMENT)
    except CronSimError:
        return False
    return True


def latest(expression: str, now: datetime) -> datetime | None:
    """The last moment up to `now`, itself included; None where there has been none for decades."""
    after = now.replace(microsecond=0) + timedelta(seconds=1)
    return next(CronSim(expression, after, reverse=True), None)


def following(expression: str, now: datetime) -> datetime | None:
    """The first moment after `now`."""
    return next(CronSim(expression, now), None)


def due(expression: str, since: datetime, now: datetime, every: timedelta = timedelta(0)) -> datetime | None:
    """The moment to serve now; None: none is due.

    `since`: the moment that was served last, or when the schedule was first seen. However many moments were missed
    meanwhile, the last of them is served, once. `every`: the shortest time between two.
    """
    moment = latest(expression, now)
    return moment if moment is not None and moment > since and moment - since >= every else None
