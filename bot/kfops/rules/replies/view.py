"""What a reply is made from: an operation and its facts at one moment. Same view, same text."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from datetime import datetime
from enum import Enum
from typing import Any, TypeVar

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
    """Masked before anything is escaped: an escaped secret still reads as the secret, but no longer matches it.

    An answer's body is Markdown already, made of what `without_secrets` gave: cleaning it once more would take the
    zero-width spaces away that keep its mentions quiet.
    """
    operation, facts = without_secrets(view.operation, view.secrets), view.facts
    if isinstance(facts, AnswerFacts):
        return replace(
            view,
            operation=operation,
            facts=replace(facts, refusal=without_secrets(facts.refusal, view.secrets)),
        )
    return replace(view, operation=operation, facts=without_secrets(facts, view.secrets))


T = TypeVar("T")


def without_secrets(value: T, secrets: Collection[str]) -> T:
    """The same value with every text in it cleaned and masked."""
    hidden: T = _hide(value, secrets)
    return hidden


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
