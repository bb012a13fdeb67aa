"""`kfops.yaml` as meant: the two halves, defaults filled in. Everything else in Kfops reads these, never the file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from kfops.command.catalog import DEFAULT_PERMISSIONS, PermissionKey
from kfops.config.deployment import Canary, Check, Predictor, Required
from kfops.config.gate_expression import Gate
from kfops.config.who import Who
from kfops.config.work import Data, Image, Pipeline

STAGING = "staging"
PRODUCTION = "production"
Merge = Literal["squash", "merge", "rebase"]


@dataclass(frozen=True)
class Work:
    """What the pull request's commit says: what is built and run."""

    pipeline: Pipeline
    data: Data | None = None
    images: tuple[Image, ...] = ()
    sample_request: str | None = None


@dataclass(frozen=True)
class Environment:
    """`requires`: what must hold before a deployment. `merge` None: the pull request stays open."""

    name: str
    namespace: str
    requires: frozenset[Required] = frozenset()
    merge: Merge | None = None


@dataclass(frozen=True)
class Rules:
    """What the default branch says: what may become of the work.

    `is_adopted` False: there is no kfops.yaml there yet, the defaults hold, and nothing may be deployed.
    `permissions`: of each key, all of the entries must be satisfied; a server policy adds to them.
    """

    model: str
    is_adopted: bool = True
    registry: str | None = None
    overridable: tuple[str, ...] = ()
    primary: str | None = None
    gates: tuple[Gate, ...] = ()
    registered_by: Literal["bot", "pipeline"] = "bot"
    predictor: Predictor = field(default_factory=Predictor)
    check: Check = field(default_factory=Check)
    canary: Canary = field(default_factory=Canary)
    environments: tuple[Environment, ...] = ()
    retrain: str | None = None
    permissions: Mapping[PermissionKey, tuple[Who, ...]] = field(
        default_factory=lambda: MappingProxyType(
            {key: (Who(role),) for key, role in DEFAULT_PERMISSIONS.items()}
        )
    )

    def environment(self, name: str) -> Environment | None:
        return next((one for one in self.environments if one.name == name), None)
