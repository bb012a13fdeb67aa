"""What a reply is made from: an operation and its facts at one moment. Same view, same text."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from datetime import datetime
from enum import Enum
from typing import Any

from kfops.domain.facts import AnswerFacts, DeployFacts, RunFacts
from kfops.domain.operation import Operation
from kfops.rules.replies.markdown import mask


@dataclass(frozen=True)
class View:
    """`secrets`: values to mask wherever they occur in the facts."""

    operation: Operation
    facts: RunFacts | DeployFacts | AnswerFacts
    repository_url: str
    now: datetime
    secrets: tuple[str, ...] = field(default=(), repr=False)

    @property
    def is_over(self) -> bool:
        return self.operation.outcome is not None


def masked(view: View) -> View:
    """Masked before anything is escaped: an escaped secret still reads as the secret, but no longer matches it."""
    return replace(view, operation=_hide(view.operation, view.secrets), facts=_hide(view.facts, view.secrets))


def _hide(value: Any, secrets: Collection[str]) -> Any:
    match value:
        case Enum():
            return value
        case str():
            return mask(value, secrets)
        case tuple():
            return tuple(_hide(one, secrets) for one in value)
        case list():
            return [_hide(one, secrets) for one in value]
        case Mapping():
            return {_hide(name, secrets): _hide(one, secrets) for name, one in value.items()}
        case _ if is_dataclass(value) and not isinstance(value, type):
            seen = {one.name: _hide(getattr(value, one.name), secrets) for one in fields(value) if one.init}
            return replace(value, **seen)
        case _:
            return value
