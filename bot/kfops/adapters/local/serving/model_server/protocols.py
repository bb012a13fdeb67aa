"""The three ways to ask: KServe's V1, the Open Inference Protocol (V2), and KLearn's `/predict`."""

from __future__ import annotations

import math
from typing import Any

from .model import Model
from .table import BadInput, by_columns, table


def instances(body: Any, model: Model) -> Any:
    """V1 and `/predict`: `{"instances": [row, …]}` (or `inputs`), a row being an object, a list or a value."""
    if not isinstance(body, dict) or not {"instances", "inputs"} & body.keys():
        raise BadInput('expected a JSON object {"instances": [row, …]}')
    name = "instances" if "instances" in body else "inputs"
    return table(body[name], model.signature, name)


def tensors(body: Any, model: Model) -> Any:
    """V2: one tensor of rank 2 with the rows, or one tensor of rank 1 for each column."""
    found = body.get("inputs") if isinstance(body, dict) else None
    if not isinstance(found, list) or not found:
        raise BadInput('expected a JSON object {"inputs": [{"name", "shape", "datatype", "data"}, …]}')
    read = [_tensor(tensor, f"inputs[{index}]") for index, tensor in enumerate(found)]
    if len(read) == 1 and len(read[0][1]) == 2:  # noqa: PLR2004 - rank 2: a matrix of rows
        _name, (rows, width), data = read[0]
        if width != 1 or model.signature.columns is None:
            return table(
                [data[row * width : (row + 1) * width] for row in range(rows)], model.signature, "inputs[0]"
            )
    return by_columns({name: data for name, _, data in read}, model.signature, "inputs")


def v1_answer(model: Model, features: Any) -> dict[str, Any]:
    return {"predictions": model.predict(features)}


def klearn_answer(model: Model, features: Any) -> dict[str, Any]:
    probabilities = model.probabilities(features)
    answer = v1_answer(model, features)
    return answer if probabilities is None else answer | {"probabilities": probabilities}


def v2_answer(model: Model, features: Any) -> dict[str, Any]:
    probabilities = model.probabilities(features)
    outputs = [_output("predict", model.predict(features))]
    if probabilities is not None:
        outputs.append(_output("predict_proba", probabilities))
    return {"outputs": outputs}


def finite(value: Any) -> Any:
    """JSON has no NaN and no infinity: they go out as null, which no reader takes for a number."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value


def _tensor(tensor: Any, where: str) -> tuple[str, list[int], list[Any]]:
    if not isinstance(tensor, dict) or not isinstance(tensor.get("name"), str):
        raise BadInput(f"{where}: expected an object with name, shape, datatype and data")
    shape, data = tensor.get("shape"), tensor.get("data")
    if not isinstance(data, list):
        raise BadInput(f"{where}.data: expected a list (binary tensors are not supported)")
    if not isinstance(shape, list) or not shape or not all(type(size) is int and size >= 0 for size in shape):
        raise BadInput(f"{where}.shape: expected a list of whole numbers")
    flat = _flat(data)
    if math.prod(shape) != len(flat):
        raise BadInput(f"{where}: the shape {shape} means {math.prod(shape)} values; found {len(flat)}")
    if len(shape) > 2:  # noqa: PLR2004
        raise BadInput(f"{where}.shape: expected one or two dimensions; found {len(shape)}")
    return tensor["name"], shape, flat


def _flat(data: list[Any]) -> list[Any]:
    return [value for item in data for value in (_flat(item) if isinstance(item, list) else [item])]


def _output(name: str, values: list[Any]) -> dict[str, Any]:
    shape = [len(values)]
    if values and isinstance(values[0], list):
        shape.append(len(values[0]))
    flat = _flat(values)
    return {"name": name, "shape": shape, "datatype": _datatype(flat), "data": flat}


def _datatype(values: list[Any]) -> str:
    kinds = {type(value) for value in values if value is not None}
    if kinds == {bool}:
        return "BOOL"
    if kinds == {int}:
        return "INT64"
    return "FP64" if kinds and kinds <= {int, float} else "BYTES"
