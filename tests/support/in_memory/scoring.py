"""An engine for the port `Scoring` that believes what a model of the in-memory pipelines says of itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.support.in_memory.pipelines import MODEL_FILE

from kfops.domain.evidence import Comparison, MetricRow, ScoringFailure, Word
from kfops.domain.golden import Answers, Questions
from kfops.ports.errors import Refused
from kfops.ports.scoring import Heldout

METRIC = "roc_auc"
NOISE = 0.01
ROWS = 500


class InMemoryScoring:
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
        assert heldout.is_file()
        assert target
        assert champion_training_rows is None or champion_training_rows.is_file()
        assert seed == 0
        if task not in {"classification", "regression", "ts_forecast"}:
            raise Refused(f"the task {task!r} is not known")
        score = said_by(challenger).get(METRIC)
        if not isinstance(score, float):
            return ScoringFailure("the model does not take the held-out rows")
        other = said_by(champion).get(METRIC) if champion else None
        level = 1 - 0.05 / attempts
        return Comparison((_row(score, other),), ROWS, level)

    def questions(self, heldout: Path, *, target: str, most: int) -> Questions | ScoringFailure:
        """Its models answer nothing but the sample request, so the run's own evidence has to do."""
        assert heldout.is_file()
        assert target
        assert most
        return ScoringFailure("no rows are kept in memory")

    def judge(
        self, challenger: Answers, champion: Answers | None, heldout: Heldout
    ) -> Comparison | ScoringFailure:
        raise AssertionError("nothing was asked, so nothing can be judged")


def said_by(model: Path) -> dict[str, Any]:
    """What the model was made to be."""
    found: dict[str, Any] = json.loads((model / MODEL_FILE).read_text())
    return found


def _row(score: float, other: float | None) -> MetricRow:
    if other is None:
        return MetricRow(METRIC, score)
    delta = score - other
    word = Word.WITHIN_NOISE if abs(delta) <= NOISE else Word.BETTER if delta > 0 else Word.WORSE
    return MetricRow(METRIC, score, other, delta, delta - NOISE, delta + NOISE, word)
