"""How good a fitted pipeline is on rows that it has not seen."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn import metrics


def scores(pipeline: Any, rows: pd.DataFrame, labels: pd.Series) -> dict[str, float]:
    """The metrics by name. With two classes the second one, in alphabetical order, is the one that is looked for."""
    truth = labels.to_numpy(dtype=str)
    guess = pipeline.predict(rows)
    chances = pipeline.predict_proba(rows)
    classes = pipeline.classes_
    found = {
        "accuracy": metrics.accuracy_score(truth, guess),
        "log_loss": metrics.log_loss(truth, chances, labels=classes),
    }
    if len(classes) == 2:
        is_positive = truth == classes[1]
        found["roc_auc"] = metrics.roc_auc_score(is_positive, chances[:, 1])
        found["f1"] = metrics.f1_score(is_positive, guess == classes[1])
    else:
        found["roc_auc"] = metrics.roc_auc_score(truth, chances, multi_class="ovr", labels=classes)
        found["f1"] = metrics.f1_score(truth, guess, average="macro")
    return {name: float(value) for name, value in found.items()}


def confusion(pipeline: Any, rows: pd.DataFrame, labels: pd.Series) -> tuple[list[str], list[list[int]]]:
    """(classes, counts by true class and guessed class)."""
    classes = [str(name) for name in pipeline.classes_]
    counts = metrics.confusion_matrix(
        labels.to_numpy(dtype=str), pipeline.predict(rows), labels=np.array(classes)
    )
    return classes, counts.tolist()
