"""Read a table, check it against the rules, describe it, and split it."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd

ROW = "__row__"
"""The column that holds a row's hash in the held-out table: it tells which rows a model has seen."""

HELD_OUT = 0.25
"""The share of rows that no model is trained on."""


def read(path: str) -> pd.DataFrame:
    """A table of this machine; or, on Kubeflow, where data are handed over through a bucket, its `s3://` address."""
    if path.startswith("s3://"):
        with tempfile.TemporaryDirectory() as folder:
            return read(_fetched(path, folder))
    suffix = Path(path).suffix.lower()
    if suffix == ".csv":
        return pd.read_csv(path)
    if suffix == ".parquet":
        return pd.read_parquet(path)
    if suffix == ".xlsx":
        return pd.read_excel(path)
    raise ValueError(f"{path}: {suffix or 'no suffix'} is not read; expected .csv, .parquet or .xlsx")


def _fetched(address: str, folder: str) -> str:
    """With the step's own rights: the service account, or boto3's environment variables, give them."""
    import boto3

    bucket, _, key = address.removeprefix("s3://").partition("/")
    file = str(Path(folder) / Path(key).name)
    boto3.client("s3").download_file(bucket, key, file)
    return file


def check(frame: pd.DataFrame, target: str, rules: dict[str, Any]) -> list[str]:
    """What is wrong with the table, one sentence each; empty when it is fit to train on."""
    if target not in frame.columns:
        return [f"there is no target column {target!r}; the table has: {', '.join(map(str, frame.columns))}"]
    problems = []
    if len(frame) < (fewest := rules.get("min_rows", 1)):
        problems.append(f"the table has {len(frame)} rows; expected at least {fewest:g}")
    if missing := int(frame[target].isna().sum()):
        problems.append(f"the target {target!r} is missing in {missing} rows")
    if frame[target].nunique() < 2:
        problems.append(f"the target {target!r} has one value only")
    problems += [
        f"column {column!r} holds {twice} values more than once"
        for column in rules.get("unique", [])
        if column in frame.columns and (twice := int(frame[column].duplicated().sum()))
    ]
    for column, rule in rules.get("columns", {}).items():
        if column not in frame.columns:
            problems.append(f"there is no column {column!r}, which the rules name")
        else:
            problems += [f"column {column!r} {problem}" for problem in _column(frame[column], rule)]
    return problems


def _column(values: pd.Series, rule: dict[str, Any]) -> list[str]:
    problems = []
    missing = values.isna().mean()
    if missing > rule.get("max_missing", 1.0):
        problems.append(
            f"is missing in {missing:.1%} of the rows; expected at most {rule['max_missing']:.1%}"
        )
    present = values.dropna()
    if "values" in rule and (unknown := sorted(set(present) - set(rule["values"]), key=str)):
        problems.append(f"holds {', '.join(map(repr, unknown[:5]))}; expected one of {rule['values']}")
    if "min" in rule or "max" in rule:
        if not pd.api.types.is_numeric_dtype(present):
            return [*problems, f"holds {present.dtype}; expected numbers"]
        if "min" in rule and present.min() < rule["min"]:
            problems.append(f"goes down to {present.min():g}; expected at least {rule['min']:g}")
        if "max" in rule and present.max() > rule["max"]:
            problems.append(f"goes up to {present.max():g}; expected at most {rule['max']:g}")
    return problems


def profile(frame: pd.DataFrame) -> dict[str, Any]:
    """Rows, and by column: type, missing and distinct values, and what the values are like."""
    return {"rows": len(frame), "columns": [_describe(str(name), frame[name]) for name in frame.columns]}


def _describe(name: str, values: pd.Series) -> dict[str, Any]:
    column = {
        "name": name,
        "type": str(values.dtype),
        "missing": int(values.isna().sum()),
        "unique": int(values.nunique()),
    }
    if pd.api.types.is_numeric_dtype(values) and values.notna().any():
        return column | {key: float(getattr(values, key)()) for key in ("min", "mean", "max", "std")}
    top = values.value_counts().head(10)
    return column | {"top": [[str(value), int(count)] for value, count in top.items()]}


def row_hashes(frame: pd.DataFrame, target: str) -> pd.Series:
    """One hash a row, over everything but the target: the same row has the same one in every table and every run."""
    columns = sorted(str(name) for name in frame.columns if name not in (target, ROW))
    texts = ["\x1f".join(row) for row in zip(*(_as_text(frame[name]) for name in columns), strict=True)]
    return pd.Series([hashlib.sha256(text.encode()).hexdigest()[:32] for text in texts], index=frame.index)


def _as_text(values: pd.Series) -> list[str]:
    if pd.api.types.is_numeric_dtype(values):
        return ["" if pd.isna(value) else f"{float(value):.12g}" for value in values]
    return ["" if pd.isna(value) else str(value) for value in values]


def split(frame: pd.DataFrame, target: str) -> tuple[pd.DataFrame, pd.DataFrame, list[str]]:
    """(rows to train on, held-out rows with their hashes, hashes of the rows to train on).

    A row's own hash decides, never a seed: whoever trains, on whatever version of the table, holds out the same rows.
    So the model of one pull request can be compared with that of another.
    """
    hashes = row_hashes(frame, target)
    held_out = hashes.map(lambda digest: int(digest[:8], 16) / 2**32 < HELD_OUT)
    return frame[~held_out], frame[held_out].assign(**{ROW: hashes[held_out]}), sorted(hashes[~held_out])
