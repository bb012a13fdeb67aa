"""Commands as JSON, for the ledger. What is read back passes the same checks as what was typed (R4).

The shape is `{"kind": kind, field: value, …}`: defaults are written too, so that a later release with other
defaults still does what was asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import timedelta
from enum import StrEnum
from typing import Any, TypeVar, get_args

from kfops.command import duration, model
from kfops.command.identifiers import InvalidValue
from kfops.domain.operation import Kind

_TAG = "kind"
_PAIR = 2
_MAKERS: dict[Kind, type[model.Command | model.Problem]] = {
    maker.kind: maker for maker in get_args(model.Command | model.Problem)
}
Member = TypeVar("Member", bound=StrEnum)


def to_json(command: model.Command | model.Problem) -> dict[str, Any]:
    content = {field.name: _plain(getattr(command, field.name)) for field in fields(command)}
    return {_TAG: command.kind.value, **content}


def from_json(stored: Mapping[str, Any]) -> model.Command | model.Problem:
    """Raises InvalidValue where `stored` is nothing that `to_json` writes."""
    try:
        kind = Kind(stored[_TAG])
        maker = _MAKERS[kind]
    except (KeyError, ValueError):
        raise InvalidValue(_TAG, str(stored.get(_TAG)), f"one of {', '.join(_MAKERS)}") from None
    rest = {name: value for name, value in stored.items() if name != _TAG}
    known = {field.name for field in fields(maker)}
    if rest.keys() - known:
        raise InvalidValue(
            _TAG, ", ".join(sorted(map(str, rest.keys() - known))), f"only {', '.join(sorted(known))}"
        )
    try:
        return maker(**{name: _FIELDS.get(name, _text)(name, value) for name, value in rest.items()})
    except TypeError as wrong:
        raise InvalidValue(_TAG, kind.value, str(wrong)) from wrong


def _plain(value: object) -> Any:
    match value:
        case timedelta():
            return duration.format_duration(value)
        case tuple():
            return [_plain(one) for one in value]
        case None | str() | int():
            return value
        case _:
            return to_json(value)  # type: ignore[arg-type]


def _text(name: str, value: object) -> str | None:
    if value is not None and not isinstance(value, str):
        raise InvalidValue(name, str(value), "text")
    return value


def _number(name: str, value: object) -> int | None:
    if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
        raise InvalidValue(name, str(value), "a whole number")
    return value


def _assignments(name: str, value: object) -> model.Assignments:
    if not isinstance(value, list | tuple):
        raise InvalidValue(name, str(value), "a list of pairs")
    pairs = []
    for pair in value:
        if (
            not isinstance(pair, list | tuple)
            or len(pair) != _PAIR
            or not all(isinstance(one, str) for one in pair)
        ):
            raise InvalidValue(name, str(pair), "a pair of texts")
        pairs.append((pair[0], pair[1]))
    return tuple(pairs)


def _force(name: str, value: object) -> tuple[model.Skip, ...]:
    if not isinstance(value, list | tuple):
        raise InvalidValue(name, str(value), "a list of gates")
    return tuple(_member(model.Skip, name, one) for one in value)


def _action(name: str, value: object) -> model.CanaryAction:
    return _member(model.CanaryAction, name, value)


def _mistake(name: str, value: object) -> model.Mistake:
    return _member(model.Mistake, name, value)


def _member(known: type[Member], name: str, value: object) -> Member:
    member = next((one for one in known if one.value == value), None)
    if member is None:
        raise InvalidValue(name, str(value), f"one of {', '.join(known)}")
    return member


def _length(name: str, value: object) -> timedelta | None:
    if value is None:
        return None
    length = duration.parse_duration(value) if isinstance(value, str) else None
    if length is None:
        raise InvalidValue(name, str(value), duration.RULE)
    return length


def _planned(name: str, value: object) -> model.Plannable:
    command = from_json(value) if isinstance(value, Mapping) else None
    if command is None or isinstance(command, model.Plan | model.Problem):
        raise InvalidValue(name, str(value), "a command")
    return command


_FIELDS: dict[str, Callable[[str, object], Any]] = {
    "set": _assignments,
    "force": _force,
    "action": _action,
    "operation": _number,
    "for_": _length,
    "command": _planned,
    "reason_code": _mistake,
    "line": _number,
    "start": _number,
    "end": _number,
}
