"""Rows with known answers, and what a model says to them. All of it is foreign: rows from a pipeline, answers from a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Row = Any
"""A row as callers send it: a JSON object by column, a list, or one value."""


@dataclass(frozen=True)
class Questions:
    """Held-out rows as a caller would send them (JSON values, no target, no row hash), and the target's value of each."""

    rows: tuple[Row, ...]
    labels: tuple[Any, ...]


@dataclass(frozen=True)
class Answers:
    """One prediction a row; `probabilities` by row in the order of the classes, None where the model gives none."""

    predictions: tuple[Any, ...]
    probabilities: tuple[tuple[float, ...], ...] | None = None


@dataclass(frozen=True)
class GoldenPayload:
    """What a run kept for itself: rows, and what the model answered to them where it was trained."""

    instances: tuple[Any, ...]
    answers: Answers
