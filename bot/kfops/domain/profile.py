"""What a table is like: rows, and by column type, missing values and statistics."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

_LONGEST_NAME = 100
_MOST_COLUMNS = 5_000
_MOST_VALUES = 100
_LARGEST_COUNT = 10**15


@dataclass(frozen=True)
class Column:
    """One column's profile. The numbers are None for a column without numbers; `std` is the sample's (n − 1).

    `top` has the most frequent values of a column without numbers, most frequent first, with their counts.
    """

    name: str
    type: str
    missing: int
    unique: int
    min: float | None = None
    mean: float | None = None
    max: float | None = None
    std: float | None = None
    top: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class Profile:
    rows: int
    columns: tuple[Column, ...]


@dataclass(frozen=True)
class ColumnDrift:
    """How a column differs from production's. `effect`: a distance; None where no number says how far."""

    name: str
    what: str
    then: str
    now: str
    effect: float | None


@dataclass(frozen=True)
class DataDrift:
    """The table of a run beside the one that production's model was trained on; the largest differences first."""

    rows: int
    champion_rows: int
    columns: tuple[ColumnDrift, ...] = ()


def read_profile(content: bytes) -> Profile | None:
    """From the JSON that a pipeline hands over; None when it is none. What it says is the pipeline's word."""
    try:
        told = json.loads(content)
        columns = tuple(_column(one) for one in told["columns"][:_MOST_COLUMNS])
        return Profile(_count(told["rows"]), columns)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return None


def _column(told: Any) -> Column:
    top = tuple(
        (str(value)[:_LONGEST_NAME], _count(count)) for value, count in told.get("top", ())[:_MOST_VALUES]
    )
    return Column(
        str(told["name"])[:_LONGEST_NAME],
        str(told.get("type", ""))[:_LONGEST_NAME],
        _count(told.get("missing", 0)),
        _count(told.get("unique", 0)),
        min=_finite(told.get("min")),
        mean=_finite(told.get("mean")),
        max=_finite(told.get("max")),
        std=_finite(told.get("std")),
        top=top,
    )


def _count(value: Any) -> int:
    return min(max(int(value), 0), _LARGEST_COUNT)


def _finite(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None
