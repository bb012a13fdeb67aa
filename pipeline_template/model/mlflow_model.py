"""Write a fitted pipeline as an MLflow model directory that answers for raw rows, wherever it is loaded."""

from __future__ import annotations

import warnings
from importlib.metadata import version
from typing import Any

import pandas as pd


def save(pipeline: Any, rows: pd.DataFrame, directory: str) -> None:
    """`rows`: some rows as callers send them; their types become the model's signature, the first ones its example."""
    import cloudpickle
    import features
    from mlflow.models import infer_signature
    from mlflow.sklearn import save_model

    # By value, so that whoever loads the model needs the libraries and not this repository.
    cloudpickle.register_pickle_by_value(features)
    example = rows.head(5)
    # A whole number that is missing can only be a float, so callers may send either.
    whole = example.select_dtypes("integer").columns
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        save_model(
            pipeline,
            directory,
            serialization_format="cloudpickle",
            signature=infer_signature(rows.astype(dict.fromkeys(whole, float)), pipeline.predict(example)),
            input_example=example,
            # What it needs where it serves; said here, because finding it out takes MLflow ten seconds.
            pip_requirements=[f"{name}=={version(name)}" for name in _needs(pipeline)],
        )


def _needs(pipeline: Any) -> list[str]:
    estimator = type(pipeline.steps[-1][1]).__module__
    learner = ["lightgbm"] if estimator.startswith("lightgbm") else []
    return ["cloudpickle", "numpy", "pandas", "scikit-learn", *learner]
