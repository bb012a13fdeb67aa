"""From a row as a caller sends it to the numbers that a model learns from. The place for your ideas.

This module travels inside the model, by value: it may import libraries, but nothing else of this repository.
"""

from __future__ import annotations

import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

ADD_ONS = ["online_security", "online_backup", "device_protection", "tech_support"]


def add_columns(rows: pd.DataFrame) -> pd.DataFrame:
    """Columns that are computed from others, row by row: what is done here is done for every caller too."""
    rows = rows.copy()
    if set(ADD_ONS) <= set(rows.columns):
        rows["add_ons"] = (rows[ADD_ONS] == "Yes").sum(axis=1)
    return rows


def preprocessing(rows: pd.DataFrame) -> Pipeline:
    """The steps before the estimator, for a table like this one. A category never seen before counts as none of them."""
    sample = add_columns(rows.head(100))
    numbers = [name for name in sample.columns if pd.api.types.is_numeric_dtype(sample[name])]
    words = [name for name in sample.columns if name not in numbers]
    columns = ColumnTransformer(
        [
            ("numbers", Pipeline([("fill", SimpleImputer()), ("scale", StandardScaler())]), numbers),
            ("words", OneHotEncoder(handle_unknown="ignore", sparse_output=False), words),
        ]
    )
    return Pipeline([("add", FunctionTransformer(add_columns)), ("columns", columns)])
