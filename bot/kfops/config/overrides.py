"""The values of a run's parameters: `kfops.yaml`, then `--set`, each held against what the pipeline declares.

What nobody sets is left alone and keeps the pipeline's own default: one `--set` never throws the others away.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, assert_never

from kfops.command.identifiers import shown
from kfops.command.model import Assignments
from kfops.command.nearness import nearest
from kfops.config.explain import found_text
from kfops.domain.package import InputSpec, InputType

_INT = re.compile(r"[-+]?[0-9]{1,18}", re.ASCII)
_FLOAT = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?", re.ASCII)
_TRUE = frozenset({"true", "yes", "on", "1"})
_FALSE = frozenset({"false", "no", "off", "0"})
_RULES = {
    InputType.INT: "a whole number",
    InputType.FLOAT: "a number",
    InputType.STR: "text",
    InputType.BOOL: "true or false",
    InputType.LIST: "a JSON list such as [1, 2]",
    InputType.DICT: 'a JSON object such as {"a": 1}',
}


class Wrong(StrEnum):
    """The same codes as `kfops.rules.reasons`."""

    NOT_OVERRIDABLE = "not_overridable"
    BAD_PARAMETER = "bad_parameter"


@dataclass(frozen=True)
class ParameterProblem:
    """`source` says where the value came from: `--set` or `pipeline.parameters`."""

    name: str
    source: str
    message: str
    found: str
    expected: str
    hint: str = ""
    reason_code: Wrong = Wrong.BAD_PARAMETER

    def __str__(self) -> str:
        text = f"{self.source} {self.name}: {self.message} (found {self.found}, expected {self.expected})"
        return f"{text} {self.hint}".rstrip()


@dataclass(frozen=True)
class Parameters:
    """`values` are sent to the run, typed; `overridden` are those that `--set` changed."""

    values: Mapping[str, Any]
    overridden: tuple[str, ...] = ()


def parameters(
    inputs: Sequence[InputSpec],
    configured: Mapping[str, Any],
    assignments: Assignments = (),
    *,
    overridable: Collection[str] | None = None,
) -> Parameters | tuple[ParameterProblem, ...]:
    """What the run gets, or everything that is wrong with it.

    `overridable` None: `--set` may change any parameter, as on one's own machine.
    """
    known = {one.name: one for one in inputs}
    values: dict[str, Any] = {}
    problems: list[ParameterProblem] = []
    for name, value in configured.items():
        _put(values, problems, known, name, "pipeline.parameters", value)
    for name, text in assignments:
        if overridable is not None and name not in overridable:
            problems.append(_not_overridable(name, overridable))
        else:
            _put(values, problems, known, name, "--set", _Text(text))
    problems += [
        ParameterProblem(
            one.name, "pipeline.parameters", "the pipeline requires it", "nothing", _RULES[one.type]
        )
        for one in inputs
        if one.required and one.name not in values and all(problem.name != one.name for problem in problems)
    ]
    return tuple(problems) or Parameters(values, tuple(name for name, _ in assignments))


class _Text(str):
    """A value that was typed on a line, so its type is read from its letters."""

    __slots__ = ()


def _put(
    values: dict[str, Any],
    problems: list[ParameterProblem],
    known: Mapping[str, InputSpec],
    name: str,
    source: str,
    value: Any,
) -> None:
    spec = known.get(name)
    if spec is None:
        near = nearest(name, known)
        expected = f"one of {', '.join(known)}" if known else "none: the pipeline takes no parameters"
        hint = f"Did you mean {near}?" if near else ""
        problems.append(
            ParameterProblem(name, source, "the pipeline has no such parameter", shown(name), expected, hint)
        )
        return
    try:
        values[name] = from_text(spec, value) if isinstance(value, _Text) else from_value(spec, value)
    except ValueError:
        message = f"the pipeline wants {spec.type.value} here"
        problems.append(ParameterProblem(name, source, message, found_text(value), _RULES[spec.type]))


def _not_overridable(name: str, overridable: Collection[str]) -> ParameterProblem:
    near = nearest(name, overridable)
    return ParameterProblem(
        name,
        "--set",
        "kfops.yaml does not let a comment change it",
        shown(name),
        f"one of {', '.join(overridable)}" if overridable else "none: `overridable` is empty",
        f"Did you mean {near}?" if near else "Add it to `overridable` on the default branch.",
        Wrong.NOT_OVERRIDABLE,
    )


def from_text(spec: InputSpec, text: str) -> Any:
    """The value that `text` is for this parameter; ValueError where it is none."""
    match spec.type:
        case InputType.STR:
            return str(text)
        case InputType.INT:
            return int(_matching(_INT, text))
        case InputType.FLOAT:
            return _finite(float(_matching(_FLOAT, text)))
        case InputType.BOOL:
            if text.lower() in _TRUE | _FALSE:
                return text.lower() in _TRUE
            raise ValueError(text)
        case InputType.LIST | InputType.DICT:
            return from_value(spec, _json(text))
        case _:
            assert_never(spec.type)


def from_value(spec: InputSpec, value: Any) -> Any:
    """A value of YAML or JSON as this parameter's type; ValueError where it does not fit."""
    if value is None and not spec.required:
        return None
    match spec.type:
        case InputType.STR:
            return _instance(value, str)
        case InputType.BOOL:
            return _instance(value, bool)
        case InputType.LIST:
            return _instance(value, list)
        case InputType.DICT:
            return _instance(value, dict)
        case InputType.INT:
            return _instance(value, int)
        case InputType.FLOAT:
            return _finite(float(value if isinstance(value, float) else _instance(value, int)))
        case _:
            assert_never(spec.type)


def _instance(value: Any, wanted: type) -> Any:
    if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
        raise ValueError(value)
    return value


def _matching(expression: re.Pattern[str], text: str) -> str:
    if expression.fullmatch(text) is None:
        raise ValueError(text)
    return text


def _finite(number: float) -> float:
    if not math.isfinite(number):
        raise ValueError(number)
    return number


def _json(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_no_constant)
    except RecursionError as wrong:
        raise ValueError(text) from wrong


def _no_constant(name: str) -> Any:
    raise ValueError(name)  # NaN and Infinity are no JSON
