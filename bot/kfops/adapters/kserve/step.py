"""What can follow from a look at an InferenceService. Each apply takes at most one of these steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kfops.adapters.kserve.names import Identity


@dataclass(frozen=True)
class Target:
    """What is wished for, by identity; `weight` is the candidate's share in per cent."""

    stable: Identity | None = None
    candidate: Identity | None = None
    weight: int = 0

    @property
    def is_unseen(self) -> bool:
        """A first model that nobody but the bot may reach yet: there is no champion beside which it could have 0 %."""
        return self.stable is None and self.candidate is not None and self.weight == 0


@dataclass(frozen=True)
class Done:
    """All is as wished."""


@dataclass(frozen=True)
class Wait:
    """Nothing to do until the cluster has done its part."""

    reason: str


@dataclass(frozen=True)
class Create:
    """`is_hidden`: not published to the gateway that callers use."""

    predictor: dict[str, Any]
    is_hidden: bool = False


@dataclass(frozen=True)
class Patch:
    """A merge patch, taken only if nothing has changed since the look (R14)."""

    body: dict[str, Any]


@dataclass(frozen=True)
class Delete:
    pass


@dataclass(frozen=True)
class Refuse:
    """The cluster cannot do it; `fix` says what would make it able to."""

    reason: str
    fix: str


Step = Done | Wait | Create | Patch | Delete | Refuse

Rendered = Callable[[Identity], dict[str, Any]]
"""The predictor's document of a model that is wished for."""
