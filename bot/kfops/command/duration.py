"""Durations as people write them: `500ms`, `30s`, `5m`, `2h`, `7d`, `1h30m`."""

from __future__ import annotations

import re
from datetime import timedelta

_UNITS = {
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
    "ms": timedelta(milliseconds=1),
}
PATTERN = r"^(?:[0-9]{1,6}d)?(?:[0-9]{1,6}h)?(?:[0-9]{1,6}m)?(?:[0-9]{1,6}s)?(?:[0-9]{1,6}ms)?$"
_DURATION = re.compile(PATTERN)
_PART = re.compile(r"([0-9]+)(ms|[dhms])")
LONGEST = timedelta(days=366)
RULE = "a duration such as 500ms, 30s, 5m, 2h or 1h30m, at most 366d"


def parse_duration(text: str) -> timedelta | None:
    """None when `text` is not a duration: a number needs its unit, units go from large to small."""
    if not text or _DURATION.fullmatch(text) is None:
        return None
    whole = sum((int(amount) * _UNITS[unit] for amount, unit in _PART.findall(text)), timedelta())
    return whole if whole <= LONGEST else None


def format_duration(duration: timedelta) -> str:
    """The shortest text that `parse_duration` reads back; parts below a millisecond are dropped."""
    rest, text = duration, ""
    for name, unit in _UNITS.items():
        amount, rest = divmod(rest, unit)
        text += f"{amount}{name}" if amount else ""
    return text or "0s"
