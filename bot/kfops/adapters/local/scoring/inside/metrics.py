"""Metrics of many resamples at once. Each takes weights (resamples x rows: how often a row was drawn) and returns one
number a resample, so that a paired bootstrap is one call for each of the two models with the same weights.

Formulas: Fawcett, "An introduction to ROC analysis" (2006) for AUC, precision and recall; the rest are textbook.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Metric = Callable[[Any], Any]
LOWER_IS_BETTER = frozenset({"log_loss", "mae", "rmse", "mape"})
_TINY = 1e-15


def classification(truth: Any, guess: Any, chances: Any, classes: list[Any]) -> dict[str, Metric]:
    """`truth` and `guess` are positions in `classes`; `chances` (rows x classes) is None where the model has none."""
    correct = (truth == guess).astype(float)
    found: dict[str, Metric] = {}
    if chances is not None:
        # Two classes have one curve: that of the second, which is what is looked for.
        looked_for = [1] if len(classes) == 2 else range(len(classes))  # noqa: PLR2004
        curves = [_auc(truth == place, chances[:, place]) for place in looked_for]
        found["roc_auc"] = lambda weights: np.mean([curve(weights) for curve in curves], axis=0)
    found["accuracy"] = lambda weights: _mean(weights, correct)
    sides = [1] if len(classes) == 2 else range(len(classes))  # noqa: PLR2004
    found["f1"] = lambda weights: np.mean([_f1(weights, truth == s, guess == s) for s in sides], axis=0)
    if chances is not None:
        certain = np.clip(chances / chances.sum(axis=1, keepdims=True), _TINY, 1)
        loss = -np.log(certain[np.arange(len(truth)), truth])
        found["log_loss"] = lambda weights: _mean(weights, loss)
    return found


def regression(truth: Any, guess: Any) -> dict[str, Metric]:
    error = truth - guess
    found: dict[str, Metric] = {
        "r2": lambda weights: 1 - (weights @ error**2) / _variation(weights, truth),
        "mae": lambda weights: _mean(weights, np.abs(error)),
        "rmse": lambda weights: np.sqrt(_mean(weights, error**2)),
    }
    if np.all(truth != 0):
        share = np.abs(error / truth)
        found["mape"] = lambda weights: _mean(weights, share)
    return found


def _mean(weights: Any, values: Any) -> Any:
    return (weights @ values) / weights.sum(axis=1)


def _variation(weights: Any, truth: Any) -> Any:
    mean = _mean(weights, truth)
    return np.einsum("br,br->b", weights, (truth[None, :] - mean[:, None]) ** 2)


def _f1(weights: Any, truth: Any, guess: Any) -> Any:
    hits = weights @ (truth & guess).astype(float)
    total = weights @ truth.astype(float) + weights @ guess.astype(float)
    return np.divide(2 * hits, total, out=np.zeros_like(hits), where=total > 0)


def _auc(is_positive: Any, score: Any) -> Metric:
    """The share of (positive, negative) pairs in the right order, ties counting half."""
    order = np.argsort(score, kind="stable")
    positive = is_positive[order].astype(float)
    _, starts = np.unique(score[order], return_index=True)

    def of(weights: Any) -> Any:
        drawn = weights[:, order]
        positives = np.add.reduceat(drawn * positive, starts, axis=1)
        negatives = np.add.reduceat(drawn * (1 - positive), starts, axis=1)
        below = np.cumsum(negatives, axis=1) - negatives
        pairs = positives.sum(axis=1) * negatives.sum(axis=1)
        right = (positives * (below + negatives / 2)).sum(axis=1)
        return np.divide(right, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0)

    return of


def draws(rows: int, resamples: int, seed: int, block: int = 1) -> Any:
    """Weights of `resamples` bootstrap samples; `block` > 1 draws runs of neighbours, for rows in the order of time
    (moving blocks: Künsch, 1989).
    """
    random = np.random.default_rng(seed)
    if block <= 1:
        return random.multinomial(rows, np.full(rows, 1 / rows), size=resamples).astype(float)
    weights = np.zeros((resamples, rows))
    starts = random.integers(0, rows - block + 1, size=(resamples, -(-rows // block)))
    for resample in range(resamples):
        places = (starts[resample][:, None] + np.arange(block)).ravel()[:rows]
        weights[resample] = np.bincount(places, minlength=rows)
    return weights
