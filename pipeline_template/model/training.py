"""Search for a good model with FLAML, then fit the winner as a plain scikit-learn pipeline on raw rows."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from features import preprocessing
from progress import watched
from sklearn.base import clone
from sklearn.pipeline import Pipeline

# Kfops' names to FLAML's, for two classes and for more.
METRICS = {
    "roc_auc": ("roc_auc", "roc_auc_ovr"),
    "accuracy": ("accuracy", "accuracy"),
    "f1": ("f1", "macro_f1"),
    "log_loss": ("log_loss", "log_loss"),
}
LEARNERS = ["lgbm", "rf", "extra_tree", "lrl1"]


def fit(
    rows: pd.DataFrame, labels: pd.Series, *, metric: str, time_budget: float, max_iter: int, seed: int
) -> tuple[Pipeline, dict[str, Any]]:
    """The fitted pipeline, and what was learnt about it.

    The search ends after `time_budget` seconds or `max_iter` trials, whichever comes first; 0 means no such bound. A
    time budget is never reproducible; `max_iter` alone is, with the same seed.
    """
    if metric not in METRICS:
        raise ValueError(f"metric is {metric!r}; expected one of {', '.join(METRICS)}")
    if not time_budget and not max_iter:
        raise ValueError("time_budget and max_iter are both 0: the search would never end")
    steps = preprocessing(rows)
    numbers = steps.fit_transform(rows)
    classes, codes = np.unique(labels.to_numpy(dtype=str), return_inverse=True)
    winner, learnt = _search(numbers, codes, len(classes), metric, time_budget, max_iter, seed)
    pipeline = Pipeline([*steps.steps, ("estimator", winner)])
    return pipeline.fit(rows, labels.to_numpy(dtype=str)), learnt


def _search(
    numbers: Any, codes: Any, classes: int, metric: str, time_budget: float, max_iter: int, seed: int
) -> tuple[Any, dict[str, Any]]:
    from flaml import AutoML

    logging.getLogger("flaml").setLevel(logging.ERROR)
    search = AutoML()
    bounds: dict[str, Any] = {"time_budget": time_budget or -1}
    if max_iter:
        bounds["max_iter"] = max_iter
    with tempfile.TemporaryDirectory() as folder:
        trials = Path(folder) / "trials.jsonl"
        fixed = {"budget": time_budget or None, "max_trials": max_iter or None}
        with watched(trials, metric=metric, score=lambda loss: as_score(metric, loss), **fixed):
            search.fit(
                numbers,
                codes,
                task="classification",
                metric=METRICS[metric][classes > 2],
                estimator_list=LEARNERS,
                seed=seed,
                n_jobs=1,
                verbose=0,
                mlflow_logging=False,
                log_file_name=str(trials),
                log_type="all",
                **bounds,
            )
    # The fitted winner saw codes for labels; a copy of it is fitted on the labels themselves.
    learnt = {
        "learner": search.best_estimator,
        "settings": {name: _plain(value) for name, value in search.best_config.items()},
        "validation": as_score(metric, float(search.best_loss)),
    }
    return clone(search.model.estimator), learnt


def as_score(metric: str, loss: float) -> float:
    """FLAML minimises: what is better when higher comes as 1 - score."""
    return loss if metric == "log_loss" else 1 - loss


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
