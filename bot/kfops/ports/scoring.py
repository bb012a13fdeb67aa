"""What the bot needs to compare two models: loading them, or reading what a pipeline left, is work for somewhere confined."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from kfops.domain.evidence import Comparison, ScoringFailure
from kfops.domain.golden import Answers, Questions


@dataclass(frozen=True)
class Heldout:
    """Held-out rows (Parquet, with the target) and what they are held against.

    `task`: classification, regression or ts_forecast. `champion_training_rows`: hashes of the rows that the champion
    was trained on, where they are known. `attempts`: runs of this commit so far, which widens the intervals.
    """

    path: Path
    task: str
    target: str
    champion_training_rows: Path | None = None
    attempts: int = 1
    seed: int = 0


class Scoring(Protocol):
    """Every method may raise `Unavailable`; Refused for an unknown task."""

    def compare(
        self,
        challenger: Path,
        champion: Path | None,
        heldout: Path,
        *,
        task: str,
        target: str,
        attempts: int = 1,
        champion_training_rows: Path | None = None,
        seed: int = 0,
    ) -> Comparison | ScoringFailure:
        """Score MLflow model directories on the held-out rows (Parquet, with the target), raw as callers send them.

        `task`: classification, regression or ts_forecast. `attempts`: runs of this commit so far, which widens the
        intervals. A champion that fails on the rows makes the comparison "not comparable"; only a challenger that
        fails is a `ScoringFailure`. May raise `Unavailable`; Refused for an unknown task.
        """
        ...

    def questions(self, heldout: Path, *, target: str, most: int) -> Questions | ScoringFailure:
        """The first `most` held-out rows as callers send them, to be asked of models that serve."""
        ...

    def judge(
        self, challenger: Answers, champion: Answers | None, heldout: Heldout
    ) -> Comparison | ScoringFailure:
        """Score answers that were given to the first rows of the held-out table, one answer a row."""
        ...
