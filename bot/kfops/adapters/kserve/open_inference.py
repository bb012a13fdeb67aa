"""The Open Inference Protocol (V2) for whoever asks as in V1: rows in, one prediction a row out. Pure.

ValueError says what does not fit; its text is for people, and part foreign.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

_CASTS = {"BOOL": bool, "BYTES": str, "FP": float, "BF": float, "INT": int, "UINT": int}
_OF_VALUES = {bool: "BOOL", int: "INT64", float: "FP64"}


def request(body: bytes, metadata: bytes) -> bytes:
    """`{"instances": …}` as the tensors that the model's own metadata (`GET v2/models/NAME`) names."""
    rows, inputs = json.loads(body)["instances"], _inputs(metadata)
    if not rows:
        raise ValueError("no rows were asked")
    if all(isinstance(row, Mapping) for row in rows):
        found = [_tensor(one, _column(rows, str(one["name"]))) for one in inputs]
    elif len(inputs) == 1:
        found = [_tensor(inputs[0], rows)]
    else:
        names = ", ".join(str(one["name"]) for one in inputs)
        raise ValueError(f"the model takes {names}; expected rows that are objects with these members")
    return json.dumps({"inputs": found}, allow_nan=False).encode()


def answer(body: bytes) -> bytes:
    """Its outputs as `{"predictions": …}`, with `probabilities` where an output is called so; any other answer as it
    came, for whoever asked to see.
    """
    try:
        tables = {str(one["name"]): _rows(one) for one in json.loads(body)["outputs"]}
    except (ValueError, KeyError, TypeError, RecursionError):
        return body
    chances = next((name for name in tables if "prob" in name.lower()), None)
    main = next((name for name in tables if name != chances), chances)
    if main is None:
        return body
    content = {"predictions": tables[main]}
    if chances is not None and chances != main:
        content["probabilities"] = tables[chances]
    return json.dumps(content).encode()


def _inputs(metadata: bytes) -> Sequence[Mapping[str, Any]]:
    try:
        found = json.loads(metadata)["inputs"]
        if found and all(isinstance(one["name"], str) for one in found):
            return list(found)
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    raise ValueError("the server does not tell which inputs its model takes")


def _column(rows: Sequence[Mapping[str, Any]], name: str) -> list[Any]:
    missing = next((number for number, row in enumerate(rows, 1) if name not in row), None)
    if missing is not None:
        raise ValueError(f"row {missing} has no {name!r}, which the model takes")
    return [row[name] for row in rows]


def _tensor(wanted: Mapping[str, Any], values: Sequence[Any]) -> dict[str, Any]:
    """Triton takes no other type and no other rank than the model was exported with."""
    name, told = str(wanted["name"]), str(wanted.get("datatype", ""))
    inner, flat = _shape(values[0]), [one for value in values for one in _flat(value)]
    if len(flat) != len(values) * math.prod(inner):
        raise ValueError(f"the rows of {name!r} are not of one length")
    if None in flat:
        raise ValueError(f"{name!r} holds null, which no tensor can hold")
    shape = wanted.get("shape")
    if not inner and isinstance(shape, list) and len(shape) == 2:  # noqa: PLR2004 - a matrix of one column
        inner = [1]
    datatype = told if _cast(told) else _datatype(flat)
    cast = _cast(datatype) or str
    try:
        data = [cast(one) for one in flat]
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name!r} is {datatype} for the model: {error}") from error
    return {"name": name, "shape": [len(values), *inner], "datatype": datatype, "data": data}


def _cast(datatype: str) -> type | None:
    return _CASTS.get(datatype.rstrip("0123456789"))


def _datatype(values: Sequence[Any]) -> str:
    kinds = {type(value) for value in values}
    if kinds == {int, float}:
        return "FP64"
    return _OF_VALUES.get(kinds.pop(), "BYTES") if len(kinds) == 1 else "BYTES"


def _shape(value: Any) -> list[int]:
    return [len(value), *_shape(value[0])] if isinstance(value, list) and value else []


def _flat(value: Any) -> list[Any]:
    return [one for item in value for one in _flat(item)] if isinstance(value, list) else [value]


def _rows(output: Mapping[str, Any]) -> list[Any]:
    """One entry a row: the values of its row of the tensor, or the value itself where there is one."""
    flat, shape = _flat(output["data"]), list(output["shape"])
    width = math.prod(shape[1:])
    if not shape or shape[0] * width != len(flat):
        raise ValueError("the shape does not fit the data")
    if width == 1:
        return flat
    return [flat[start : start + width] for start in range(0, len(flat), width)]
