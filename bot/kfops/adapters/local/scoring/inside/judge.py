"""`python judge.py HELDOUT TRAINING_ROWS|- TASK TARGET ROW_COLUMN ATTEMPTS SEED LARGEST`: compare predictions.

Runs in the sandbox, because the held-out table is foreign, but loads no model. Standard input: {"challenger":
predictions, "champion": predictions or null}. Standard output: one JSON object, as `adapter.py` reads it.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from metrics import LOWER_IS_BETTER, classification, draws, regression  # type: ignore[import-not-found]

_RESAMPLES = 500
_MOST_ROUNDS = 10


def main(
    heldout: str,
    training_rows: str,
    task: str,
    target: str,
    row_column: str,
    attempts: str,
    seed: str,
    largest: str,
) -> None:
    frame = pd.read_parquet(heldout)
    given = json.load(sys.stdin)
    used = frame.head(int(largest))
    if target not in frame.columns:
        raise SystemExit(f"the held-out rows have no column {target!r}, which is the target")
    content: dict[str, Any] = {"heldout_rows": len(used), "overlap": None, "warnings": []}
    if len(used) < len(frame):
        content["warnings"].append(f"scored on the first {len(used)} of {len(frame)} held-out rows")
    if given["champion"] is not None:
        content["overlap"] = overlap(frame, row_column, training_rows)
    content["rows"] = compared(used[target], given, task, int(attempts), int(seed))
    json.dump(content, sys.stdout)


def overlap(frame: Any, row_column: str, training_rows: str) -> int | None:
    """How many held-out rows the champion was trained on; None when that cannot be known."""
    if training_rows == "-" or row_column not in frame.columns:
        return None
    seen = set(Path(training_rows).read_text().split())
    return int(frame[row_column].isin(seen).sum())


def compared(labels: Any, given: dict[str, Any], task: str, attempts: int, seed: int) -> list[dict[str, Any]]:
    challenger = metrics_of(labels, given["challenger"], task)
    champion = metrics_of(labels, given["champion"], task) if given["champion"] else {}
    once = np.ones((1, len(labels)))
    rows = [
        {"name": name, "challenger": number(metric(once)[0]), "champion": None}
        for name, metric in challenger.items()
    ]
    for row in rows:
        if row["name"] in champion:
            row["champion"] = number(champion[row["name"]](once)[0])
    both = [name for name in challenger if name in champion]
    for name, (low, high) in intervals(both, challenger, champion, len(labels), task, attempts, seed).items():
        row = next(row for row in rows if row["name"] == name)
        row |= {"low": low, "high": high, "lower_is_better": name in LOWER_IS_BETTER}
    return [row for row in rows if row["challenger"] is not None]


def intervals(
    names: list[str], challenger: Any, champion: Any, count: int, task: str, attempts: int, seed: int
) -> dict[str, tuple[float | None, float | None]]:
    """Percentiles of the paired difference: both models meet the same resamples. The more attempts, the wider, and
    the more resamples, so that the tails still hold some.
    """
    if not names:
        return {}
    block = max(2, round(count ** (1 / 3))) if task == "ts_forecast" else 1
    differences: dict[str, list[Any]] = {name: [] for name in names}
    for part in range(min(attempts, _MOST_ROUNDS)):
        weights = draws(count, _RESAMPLES, seed + part, block)
        for name in names:
            differences[name].append(challenger[name](weights) - champion[name](weights))
    tail = 0.05 / attempts / 2
    found = {}
    for name in names:
        values = np.concatenate(differences[name])
        values = values[np.isfinite(values)]
        low, high = np.quantile(values, [tail, 1 - tail]) if len(values) else (math.nan, math.nan)
        found[name] = (number(low), number(high))
    return found


def metrics_of(labels: Any, predicted: dict[str, Any], task: str) -> Any:
    if len(predicted["predictions"]) != len(labels):
        raise SystemExit(f"{len(predicted['predictions'])} predictions for {len(labels)} rows")
    if task != "classification":
        return regression(labels.to_numpy(dtype=float), np.asarray(predicted["predictions"], dtype=float))
    truth = labels.map(word).tolist()
    guess = [word(value) for value in predicted["predictions"]]
    named = [word(value) for value in predicted["classes"] or natural(labels)]
    classes = sorted({*truth, *guess, *named})
    place = {name: index for index, name in enumerate(classes)}
    return classification(
        np.array([place[value] for value in truth]),
        np.array([place[value] for value in guess]),
        chances(predicted["probabilities"], named, place),
        classes,
    )


def chances(probabilities: Any, named: list[str], place: dict[str, int]) -> Any:
    """By the places of all classes: a model may know fewer than the rows show."""
    if probabilities is None:
        return None
    given = np.asarray(probabilities, dtype=float)
    if given.ndim != 2 or given.shape[1] != len(named) or not np.isfinite(given).all():  # noqa: PLR2004
        return None
    table = np.zeros((len(given), len(place)))
    table[:, [place[name] for name in named]] = given
    return table if (table.sum(axis=1) > 0).all() else None


def natural(labels: Any) -> list[Any]:
    """The classes in the order in which a model that does not name them has them: numbers as numbers, words as words."""
    found = list(labels.dropna().unique())
    try:
        return sorted(found)
    except TypeError:
        return sorted(found, key=word)


def word(value: Any) -> str:
    """1, 1.0 and True are one label, whatever the table made of it."""
    if isinstance(value, bool | np.bool_):
        return str(int(value))
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def number(value: Any) -> float | None:
    return float(value) if math.isfinite(value) else None


if __name__ == "__main__":
    main(*sys.argv[1:])
