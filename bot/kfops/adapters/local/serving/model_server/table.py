"""From what a caller sent to what a model takes, by the model's own signature."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_NUMBERS = {"double": "float64", "float": "float32", "long": "int64", "integer": "int32"}


class BadInput(Exception):  # noqa: N818 - the caller's mistake: answered with 400 and this sentence
    pass


@dataclass(frozen=True)
class Column:
    name: str
    type: str
    required: bool


@dataclass(frozen=True)
class Signature:
    """The columns in the model's order; `dtype` instead where it takes a tensor. Both None: unknown, nothing is checked."""

    columns: tuple[Column, ...] | None = None
    dtype: str | None = None


def read_signature(description: Mapping[str, Any]) -> Signature:
    """From the content of an `MLmodel` file."""
    inputs = (description.get("signature") or {}).get("inputs")
    fields = json.loads(inputs) if isinstance(inputs, str) else (inputs or [])
    if fields and all(
        f.get("name") and isinstance(f.get("type"), str) and f["type"] != "tensor" for f in fields
    ):
        return Signature(tuple(Column(f["name"], f["type"], f.get("required", True)) for f in fields))
    if len(fields) == 1 and fields[0].get("type") == "tensor":
        return Signature(dtype=fields[0]["tensor-spec"]["dtype"])
    return Signature()


def table(rows: Sequence[Any], signature: Signature, where: str = "instances") -> Any:
    """A data frame with the signature's columns, or an array; BadInput says which value does not fit."""
    import numpy as np
    import pandas as pd

    if not isinstance(rows, list) or not rows:
        raise BadInput(f"{where}: expected a list with at least one row")
    if signature.columns is None:
        if all(isinstance(row, dict) for row in rows):
            return pd.DataFrame(rows)
        try:
            return np.asarray(rows, dtype=signature.dtype)
        except (ValueError, TypeError) as error:
            raise BadInput(
                f"{where}: the rows are no array of {signature.dtype or 'equal length'}: {error}"
            ) from error
    values = [_row(row, signature.columns, f"{where}[{index}]") for index, row in enumerate(rows)]
    return pd.DataFrame(
        {
            column.name: _series([row[place] for row in values], column, where)
            for place, column in enumerate(signature.columns)
        }
    )


def by_columns(columns: Mapping[str, Sequence[Any]], signature: Signature, where: str) -> Any:
    """The same from columns (a mapping of name to values of equal length)."""
    lengths = {len(values) for values in columns.values()}
    if len(lengths) > 1:
        raise BadInput(f"{where}: the columns have different lengths: {sorted(lengths)}")
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return table(rows, signature, where)


def _row(row: Any, columns: Sequence[Column], where: str) -> list[Any]:
    if isinstance(row, dict):
        missing = [f"{c.name!r} ({c.type})" for c in columns if c.required and c.name not in row]
        if missing:
            raise BadInput(
                f"{where}: {', '.join(missing)} missing; found {', '.join(map(repr, row)) or 'nothing'}"
            )
        return [row.get(column.name) for column in columns]
    values = row if isinstance(row, list) else [row]
    if len(values) != len(columns):
        raise BadInput(
            f"{where}: found {len(values)} values; expected {len(columns)}: {', '.join(c.name for c in columns)}"
        )
    return values


def _series(values: list[Any], column: Column, where: str) -> Any:
    import pandas as pd

    for index, value in enumerate(values):
        if value is not None and not _fits(value, column.type):
            raise BadInput(
                f"{where}[{index}].{column.name}: found {json.dumps(value)[:60]}; expected a value of type {column.type}"
            )
    if column.type == "datetime":
        try:
            return pd.to_datetime(pd.Series(values))
        except (ValueError, TypeError) as error:
            raise BadInput(f"{where}: {column.name} holds a value that is no time: {error}") from error
    if column.type in _NUMBERS:
        # A whole number that is not there can only be a float's NaN.
        try:
            return pd.Series(values, dtype="float64" if None in values else _NUMBERS[column.type])
        except (OverflowError, ValueError) as error:
            raise BadInput(
                f"{where}: {column.name} holds a number that is too large for {column.type}"
            ) from error
    # Strings are left to pandas, which chooses the type that it chose when the training table was read.
    return pd.Series(values)


def _fits(value: Any, kind: str) -> bool:
    if kind in _NUMBERS:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            return False
        return kind in {"double", "float"} or value == int(value)
    if kind in {"string", "datetime"}:
        return isinstance(value, str)
    if kind == "boolean":
        return isinstance(value, bool)
    return True
