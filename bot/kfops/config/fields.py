"""The kinds of value that `kfops.yaml` knows: how each is typed, what it means, what an editor is told of it.

Each reads what JSON can say and gives the meaning (a duration becomes a timedelta, a gate is parsed). A refusal
carries `expected`, so that every message can say what would have done.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, Field, PlainSerializer, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from kfops.command import duration, identifiers
from kfops.config.cron import FIVE, CronSyntaxError, parse_cron
from kfops.config.gate_expression import Gate, GateSyntaxError, parse_gate
from kfops.domain.pull_request import Permission

_CPU = re.compile(r"[0-9]{1,4}(?:\.[0-9]{1,3})?|[0-9]{1,7}m")
_MEMORY = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,3})?(?:[KMGT]i|[kMGT])?")
_PATH = re.compile(r"[^\x00-\x1f\x7f\\]{1,255}")
_PYTHON_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}", re.ASCII)
_REGISTRY = re.compile(
    r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::[0-9]{1,5})?(?:/[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?)*"
)
_TEAM = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9-]{0,38}/)?[A-Za-z0-9][A-Za-z0-9._-]{0,62}", re.ASCII)


def refuse(expected: str, hint: str = "") -> PydanticCustomError:
    return PydanticCustomError("kfops", "{expected}", {"expected": expected, "hint": hint})


def _pattern(expression: re.Pattern[str]) -> str:
    return f"^(?:{expression.pattern})$"


def _duration(value: Any) -> timedelta:
    length = duration.parse_duration(value) if isinstance(value, str) else None
    if length is None:
        hint = f"Say the unit: {value}s, {value}m or {value}h." if type(value) is int else ""
        raise refuse(duration.RULE, hint)
    return length


def _positive(length: timedelta) -> timedelta:
    if not length:
        raise refuse("a duration longer than 0s")
    return length


Duration = Annotated[
    timedelta,
    PlainValidator(_duration),
    PlainSerializer(duration.format_duration, return_type=str),
    WithJsonSchema(
        {"type": "string", "pattern": duration.PATTERN, "minLength": 2, "examples": ["500ms", "5m", "2h"]}
    ),
]
PositiveDuration = Annotated[Duration, AfterValidator(_positive)]


def _text(expression: re.Pattern[str], expected: str) -> Any:
    def check(value: Any) -> str:
        if not isinstance(value, str) or expression.fullmatch(value) is None:
            raise refuse(expected)
        return value

    return PlainValidator(check), WithJsonSchema({"type": "string", "pattern": _pattern(expression)})


def _identifier(value: Any) -> str:
    if not isinstance(value, str) or not identifiers.is_identifier(value):
        raise refuse(identifiers.IDENTIFIER_RULE)
    return value


def _dns_label(value: Any) -> str:
    if not isinstance(value, str) or not identifiers.is_dns_label(value):
        raise refuse(identifiers.DNS_LABEL_RULE)
    return value


Identifier = Annotated[
    str,
    PlainValidator(_identifier),
    WithJsonSchema({"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"}),
]
DnsLabel = Annotated[
    str,
    PlainValidator(_dns_label),
    WithJsonSchema({"type": "string", "pattern": "^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$"}),
]
_python_name, _python_schema = _text(
    _PYTHON_NAME, "a Python name: letters, digits and '_', not starting with a digit"
)
PythonName = Annotated[str, _python_name, _python_schema]
_registry_name, _registry_schema = _text(
    _REGISTRY, "an image repository such as registry.example.com/ml, without https://"
)
ImageRepository = Annotated[str, _registry_name, _registry_schema]
_team_name, _team_schema = _text(_TEAM, "a team's slug, such as ml-leads or acme/ml-leads")
Team = Annotated[str, _team_name, _team_schema]
_app_login, _app_schema = _text(
    re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,60}\[bot\]", re.ASCII), "an app's login, such as renovate[bot]"
)
AppLogin = Annotated[str, _app_login, _app_schema]
_PATTERN = re.compile(r"(?:\*|[A-Za-z0-9][A-Za-z0-9-]{0,38})/(?:\*|[A-Za-z0-9._-]{1,100})", re.ASCII)
_pattern_name, _pattern_schema = _text(
    _PATTERN, "a repository as owner/name, or owner/* for all of an owner's"
)
RepositoryPattern = Annotated[str, _pattern_name, _pattern_schema]
_PREFIX = re.compile(r"(?:[a-z][a-z0-9+.-]*://[A-Za-z0-9][A-Za-z0-9._-]*/|/)(?:[A-Za-z0-9._=-]+/)*", re.ASCII)
_prefix_name, _prefix_schema = _text(_PREFIX, "a folder's address that ends in '/', such as s3://ml/churn/")
StoragePrefix = Annotated[str, _prefix_name, _prefix_schema]


def _path(value: Any) -> str:
    expected = "a path inside the repository, with '/' between its parts and without '..'"
    if not isinstance(value, str) or _PATH.fullmatch(value) is None:
        raise refuse(expected)
    if value.startswith(("/", "~")) or ".." in value.split("/"):
        raise refuse(expected)
    return value


RelativePath = Annotated[
    str,
    PlainValidator(_path),
    WithJsonSchema({"type": "string", "pattern": r"^(?![/~])(?!(.*/)?\.\.(/|$))[^\\]{1,255}$"}),
]


def _column(value: Any) -> str:
    if not isinstance(value, str) or not value.strip() or not identifiers.is_value(value):
        raise refuse("the name of a column")
    return value


Column = Annotated[str, PlainValidator(_column), WithJsonSchema({"type": "string", "minLength": 1})]


def _quantity(expression: re.Pattern[str], expected: str) -> Any:
    """Kubernetes quantities stay text: `1`, `500m`, `2Gi`."""

    def check(value: Any) -> str:
        text = str(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else ""
        if expression.fullmatch(text) is None or not float(re.match(r"[0-9.]+", text)[0]):  # type: ignore[index]
            raise refuse(expected)
        return text

    return PlainValidator(check), WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "exclusiveMinimum": 0},
                {"type": "string", "pattern": _pattern(expression)},
            ]
        }
    )


_cpu, _cpu_schema = _quantity(_CPU, "a number of processors, such as 1, 0.5 or 500m")
Cpu = Annotated[str, _cpu, _cpu_schema]
_memory, _memory_schema = _quantity(_MEMORY, "an amount of memory, such as 512Mi or 2Gi")
Memory = Annotated[str, _memory, _memory_schema]


def _gate(value: Any) -> Gate:
    example = 'a comparison such as "roc_auc >= champion - 0.005"'
    if not isinstance(value, str):
        raise refuse(example)
    try:
        return parse_gate(value)
    except GateSyntaxError as wrong:
        raise PydanticCustomError(
            "kfops",
            "{expected}",
            {
                "expected": wrong.expected,
                "hint": f"For example {example}.",
                "at": wrong.at,
                "pointed": wrong.pointed(),
            },
        ) from wrong


GateExpression = Annotated[
    Gate,
    PlainValidator(_gate),
    PlainSerializer(lambda gate: gate.text, return_type=str),
    WithJsonSchema(
        {"type": "string", "maxLength": 200, "examples": ["roc_auc >= 0.80", "roc_auc >= champion - 0.005"]}
    ),
]


def _cron(value: Any) -> str:
    if not isinstance(value, str):
        raise refuse(FIVE)
    try:
        return parse_cron(value)
    except CronSyntaxError as wrong:
        told = {
            "expected": wrong.expected,
            "hint": 'For example "0 3 * * 1": Mondays at 03:00.',
            "at": wrong.at,
        }
        raise PydanticCustomError("kfops", "{expected}", told) from wrong


Cron = Annotated[str, PlainValidator(_cron), WithJsonSchema({"type": "string", "examples": ["0 3 * * 1"]})]

_ROLES = {
    role.name.lower(): role
    for role in (Permission.READ, Permission.TRIAGE, Permission.WRITE, Permission.MAINTAIN, Permission.ADMIN)
}


def _role(value: Any) -> Permission:
    if not isinstance(value, str) or value not in _ROLES:
        raise refuse(f"one of {', '.join(_ROLES)}")
    return _ROLES[value]


Role = Annotated[
    Permission,
    PlainValidator(_role),
    PlainSerializer(lambda role: role.name.lower(), return_type=str),
    WithJsonSchema({"type": "string", "enum": list(_ROLES)}),
]

Percent = Annotated[int, Field(ge=1, le=99)]
