"""Rows to one arm alone, past the traffic split: many in a request, one by one where a request fails."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kfops.domain.environment import EnvironmentKey
from kfops.domain.golden import Answers, Row
from kfops.ports.serving import Answer, ArmName
from kfops.workflow.context import Context

OK = 200
_BATCH = 100
_AT_LEAST_S = (
    10.0  # many rows may take longer than the one request that the endpoint check allows its time for
)


@dataclass(frozen=True)
class Fault:
    """No usable answer; `message` is part foreign text."""

    message: str


def each(
    context: Context, place: EnvironmentKey, arm: ArmName, rows: Sequence[Row], limit_s: float
) -> list[Answers | Fault]:
    """One answer a row. Raises what the backend raises."""
    found: list[Answers | Fault] = []
    for start in range(0, len(rows), _BATCH):
        batch = rows[start : start + _BATCH]
        together = _ask(context, place, arm, batch, limit_s)
        if isinstance(together, Fault) and len(batch) > 1:
            for row in batch:
                alone = _ask(context, place, arm, [row], limit_s)
                found.append(alone)
        elif isinstance(together, Fault):
            found.append(together)
        else:
            found.extend(_one(together, number) for number in range(len(batch)))
    return found


def until_fault(
    context: Context, place: EnvironmentKey, arm: ArmName, rows: Sequence[Row], limit_s: float
) -> Answers | Fault:
    """All answers together, or the first row that has none."""
    predictions: list[Any] = []
    chances: list[tuple[float, ...]] = []
    for start in range(0, len(rows), _BATCH):
        batch = rows[start : start + _BATCH]
        together = _ask(context, place, arm, batch, limit_s)
        if isinstance(together, Fault):
            return _first(context, place, arm, batch, start, limit_s) or together
        predictions.extend(together.predictions)
        chances.extend(together.probabilities or ())
    return Answers(tuple(predictions), tuple(chances) if len(chances) == len(predictions) else None)


def read(body: bytes, rows: int) -> Answers | None:
    """An answer's predictions; None where it has not as many as there were rows."""
    try:
        content = json.loads(body)
        predictions, chances = content["predictions"], content.get("probabilities")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    if not isinstance(predictions, list) or len(predictions) != rows:
        return None
    is_table = (
        isinstance(chances, list) and len(chances) == rows and all(isinstance(one, list) for one in chances)
    )
    return Answers(tuple(predictions), tuple(tuple(one) for one in chances) if is_table else None)


def text_of(answer: Answer) -> str:
    return answer.body[:200].decode(errors="replace")


def _first(
    context: Context, place: EnvironmentKey, arm: ArmName, rows: Sequence[Row], start: int, limit_s: float
) -> Fault | None:
    for number, row in enumerate(rows, start + 1):
        alone = _ask(context, place, arm, [row], limit_s)
        if isinstance(alone, Fault):
            return Fault(f"row {number}: {alone.message}")
    return None


def _ask(
    context: Context, place: EnvironmentKey, arm: ArmName, rows: Sequence[Row], limit_s: float
) -> Answers | Fault:
    body = json.dumps({"instances": list(rows)}).encode()
    answer = context.ports.serving.ask(place, arm, body, max(limit_s, _AT_LEAST_S))
    if answer.status is None:
        return Fault(answer.message)
    if answer.status != OK:
        return Fault(f"HTTP {answer.status}: {text_of(answer)}")
    return read(answer.body, len(rows)) or Fault(f"not one prediction for each of {len(rows)} rows")


def _one(answers: Answers, number: int) -> Answers:
    chances = answers.probabilities
    return Answers((answers.predictions[number],), None if chances is None else (chances[number],))
