"""What the bot needs to compare two models: loading them runs foreign code, so it happens somewhere confined."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from kfops.domain.evidence import Comparison, ScoringFailure


class Scoring(Protocol):
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
