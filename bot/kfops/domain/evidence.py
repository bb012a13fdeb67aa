"""Challenger beside champion, both scored on the same held-out rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Word(StrEnum):
    """What the interval of a difference says, with the metric's direction taken into account."""

    BETTER = "better"
    WORSE = "worse"
    WITHIN_NOISE = "within_noise"
    NOT_COMPARABLE = "not_comparable"


@dataclass(frozen=True)
class MetricRow:
    """`delta` is challenger − champion, [`low`, `high`] its paired bootstrap interval at `Comparison.level`.

    `word` is None where there is no champion. `reason` says why not comparable.
    """

    name: str
    challenger: float
    champion: float | None = None
    delta: float | None = None
    low: float | None = None
    high: float | None = None
    word: Word | None = None
    reason: str = ""


@dataclass(frozen=True)
class Comparison:
    """`level` is 1 − 0.05/attempts. `overlap`: so many held-out rows were among the champion's training rows.

    `reason` is a sentence when the champion cannot be compared at all; `warnings` are for people.
    """

    rows: tuple[MetricRow, ...]
    heldout_rows: int
    level: float = 0.95
    overlap: int = 0
    reason: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def challenger(self) -> Mapping[str, float]:
        return {row.name: row.challenger for row in self.rows}

    @property
    def champion(self) -> Mapping[str, float]:
        """Empty where there is none, or where it cannot be compared: a flattered champion must not gate anybody."""
        return {
            row.name: row.champion
            for row in self.rows
            if row.champion is not None and row.word is not Word.NOT_COMPARABLE
        }

    def row(self, name: str) -> MetricRow | None:
        return next((row for row in self.rows if row.name == name), None)


@dataclass(frozen=True)
class ScoringFailure:
    """The challenger could not be scored: its model does not load, or does not take the held-out rows."""

    summary: str
    log_tail: str = ""
