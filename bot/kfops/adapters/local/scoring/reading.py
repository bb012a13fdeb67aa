"""What the tools in the sandbox said, as values. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kfops.adapters.local.confined import Ended
from kfops.domain.evidence import Comparison, MetricRow, ScoringFailure, Word
from kfops.domain.golden import Answers, Questions


def given(answers: Answers) -> dict[str, Any]:
    return {
        "predictions": list(answers.predictions),
        "probabilities": answers.probabilities and [list(one) for one in answers.probabilities],
        "classes": None,
    }


def questions(ended: Ended) -> Questions | ScoringFailure:
    content = ended.answer or {}
    rows, labels = content.get("rows"), content.get("labels")
    if not isinstance(rows, list) or not isinstance(labels, list) or len(rows) != len(labels):
        return failure(ended)
    return Questions(tuple(rows), tuple(labels))


def comparison(
    answer: Mapping[str, Any], attempts: int, *, has_champion: bool, trouble: str
) -> Comparison | ScoringFailure:
    """The judge's answer as values. Pure."""
    overlap, warnings, reason = answer["overlap"], list(answer["warnings"]), ""
    if trouble:
        reason = f"production's model cannot score these rows: {trouble}"
    elif overlap:
        reason = f"production was trained on {overlap} of these rows"
    elif has_champion and overlap is None:
        warnings.append("it is not known which rows production was trained on, so it may be flattered")
    rows = tuple(_row(row, reason, has_champion=has_champion) for row in answer["rows"])
    if not rows:
        return ScoringFailure("no metric could be computed from the model's predictions")
    return Comparison(
        rows=rows,
        heldout_rows=int(answer["heldout_rows"]),
        level=1 - 0.05 / attempts,
        overlap=overlap or 0,
        reason=reason,
        warnings=tuple(warnings),
    )


def _row(row: Mapping[str, Any], reason: str, *, has_champion: bool) -> MetricRow:
    name, challenger, champion = row["name"], row["challenger"], row["champion"]
    if not has_champion:
        return MetricRow(name, challenger)
    if champion is None or row.get("low") is None:
        why = reason or f"production's model gives no {name}"
        return MetricRow(name, challenger, champion, word=Word.NOT_COMPARABLE, reason=why)
    low, high = row["low"], row["high"]
    delta = challenger - champion
    if reason:
        return MetricRow(name, challenger, champion, delta, low, high, Word.NOT_COMPARABLE, reason)
    return MetricRow(
        name, challenger, champion, delta, low, high, _word(low, high, lower=row["lower_is_better"])
    )


def _word(low: float, high: float, *, lower: bool) -> Word:
    if low <= 0 <= high:
        return Word.WITHIN_NOISE
    return Word.BETTER if (low > 0) != lower else Word.WORSE


def answered(ended: Ended | None) -> dict[str, Any] | None:
    """Predictions; None where there are none."""
    if ended is None or ended.answer is None or "predictions" not in ended.answer:
        return None
    return ended.answer


def failure(ended: Ended) -> ScoringFailure:
    return ScoringFailure(why(ended), ended.log_tail)


def why(ended: Ended) -> str:
    if ended.stopped:
        return ended.stopped
    if ended.code is None:
        return "no answer within the time allowed"
    if ended.answer is not None and isinstance(ended.answer.get("error"), str):
        return str(ended.answer["error"])
    return ended.last_line or f"the process ended with exit code {ended.code}"
