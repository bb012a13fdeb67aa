"""The same rows, answered twice: by both arms of a canary, or by a model where it was trained and where it serves."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from kfops.domain.canary_facts import ReplayResult, SliceShift
from kfops.domain.golden import Answers, Row
from kfops.rules.verdict import population_stability

# Between a number that was computed twice, on the same machine with other threads.
_RELATIVE, _ABSOLUTE = 1e-6, 1e-9
_BINS = 10
_MOST_VALUES = 12  # of a column that makes slices
_SMALLEST_SLICE = 20  # rows: below that a mean says little
_MOST_SLICES = 5


@dataclass(frozen=True)
class Pair:
    """One row with both answers, None where there was none. `label` None: not known, or nothing to be right about."""

    row: Row
    candidate: Answers | None
    champion: Answers | None
    label: Any = None


def is_same(one: Any, other: Any) -> bool:
    """Equal, numbers to six digits; 1, 1.0 and True are one label."""
    if isinstance(one, int | float) and isinstance(other, int | float):
        return math.isclose(one, other, rel_tol=_RELATIVE, abs_tol=_ABSOLUTE)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(is_same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(is_same(one[name], other[name]) for name in one)
    return bool(one == other)


def difference(trained: Answers, served: Answers) -> str | None:
    """The first row at which what is served is not what was trained, in words; None where all are the same."""
    if len(trained.predictions) != len(served.predictions):
        return (
            f"{len(trained.predictions)} rows were answered in training, {len(served.predictions)} as served"
        )
    pairs = zip(trained.predictions, served.predictions, strict=True)
    for number, (expected, found) in enumerate(pairs, 1):
        if not is_same(expected, found):
            return f"row {number} was {_short(expected)} in training and is {_short(found)} as served"
    if trained.probabilities is None or served.probabilities is None:
        return None
    chances = zip(trained.probabilities, served.probabilities, strict=False)
    for number, (one, other) in enumerate(chances, 1):
        if not is_same(one, other):
            return f"the probabilities of row {number} were {_short(one)} in training and are {_short(other)} as served"
    return None


def compared(pairs: Sequence[Pair]) -> ReplayResult:
    """How often both arms differ, where most, and by how much. A failed answer is an error, not a disagreement."""
    both = [pair for pair in pairs if pair.candidate is not None and pair.champion is not None]
    differing = [pair for pair in both if _differ(pair)]
    labelled = [pair for pair in both if pair.label is not None]
    wrong = [
        (_is_wrong(pair.candidate, pair.label), _is_wrong(pair.champion, pair.label)) for pair in labelled
    ]
    scores = _scores(both)
    return ReplayResult(
        pairs=len(pairs),
        disagreements=len(differing),
        candidate_errors=sum(pair.candidate is None for pair in pairs),
        champion_errors=sum(pair.champion is None for pair in pairs),
        labelled=len(labelled),
        candidate_wrong=sum(new and not old for new, old in wrong),
        champion_wrong=sum(old and not new for new, old in wrong),
        psi=_psi(scores),
        shift=fmean(new - old for new, old in scores) if scores else None,
        slices=_slices(both),
    )


def score(answers: Answers | None) -> float | None:
    """Of one row: the last class's probability, else a number that is predicted."""
    if answers is None:
        return None
    if answers.probabilities:
        last = answers.probabilities[0][-1:]
        return float(last[0]) if last and _is_number(last[0]) else None
    value = answers.predictions[0]
    return float(value) if _is_number(value) else None


def _scores(pairs: Sequence[Pair]) -> list[tuple[float, float]]:
    """The candidate's and the champion's, of rows where both have one."""
    both = ((score(pair.candidate), score(pair.champion)) for pair in pairs)
    return [(new, old) for new, old in both if new is not None and old is not None]


def _differ(pair: Pair) -> bool:
    return not is_same(_prediction(pair.candidate), _prediction(pair.champion))


def _prediction(answers: Answers | None) -> Any:
    return answers.predictions[0] if answers else None


def _is_wrong(answers: Answers | None, label: Any) -> bool:
    said = _prediction(answers)
    return not (is_same(said, label) or str(said) == str(label))


def _psi(scores: Sequence[tuple[float, float]]) -> float | None:
    """In ten bins that the champion's scores fill evenly."""
    if not scores:
        return None
    ordered = sorted(old for _, old in scores)
    edges = sorted({ordered[len(ordered) * part // _BINS] for part in range(1, _BINS)})
    return population_stability(
        _histogram((old for _, old in scores), edges), _histogram((new for new, _ in scores), edges)
    )


def _histogram(values: Iterable[float], edges: Sequence[float]) -> list[int]:
    counts = [0] * (len(edges) + 1)
    for value in values:
        counts[bisect_right(edges, value)] += 1
    return counts


def _slices(pairs: Sequence[Pair]) -> tuple[SliceShift, ...]:
    """Of columns with few values, those in which the arms differ most: by share of disagreements, then by shift."""
    groups: dict[tuple[str, str], list[Pair]] = defaultdict(list)
    for column in _slicing(pairs):
        for pair in pairs:
            groups[column, str(pair.row.get(column))].append(pair)
    found = [_slice(*key, group) for key, group in groups.items() if len(group) >= _SMALLEST_SLICE]
    found = [one for one in found if one.disagreements or one.shift]
    found.sort(key=lambda one: (one.disagreements / one.rows, abs(one.shift or 0.0)), reverse=True)
    return tuple(found[:_MOST_SLICES])


def _slicing(pairs: Sequence[Pair]) -> list[str]:
    """A column with one value is the whole table; one with many makes slices of single rows."""
    if not all(isinstance(pair.row, Mapping) for pair in pairs):
        return []
    columns = [name for pair in pairs[:1] for name in pair.row]
    values = {name: {str(pair.row.get(name)) for pair in pairs} for name in columns}
    return [name for name, seen in values.items() if 1 < len(seen) <= _MOST_VALUES]


def _slice(column: str, value: str, pairs: Sequence[Pair]) -> SliceShift:
    shifts = [new - old for new, old in _scores(pairs)]
    return SliceShift(
        column, value[:60], len(pairs), sum(map(_differ, pairs)), fmean(shifts) if shifts else None
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _short(value: Any) -> str:
    return f"`{str(value)[:60].replace('`', ' ')}`"
