"""What the bot needs of a place that tracks runs and registers models.

Two small protocols, by need: `Recorder` for what a run leaves behind, `Registry` for what happens to a version
afterwards. Every method may raise `Unavailable` or `Refused`; "not there" is an answer (`None`), never an
exception. Nothing here loads a model: directories are moved and compared as bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

from kfops.domain.model_version import Alias, Artifact, ModelVersion


@dataclass(frozen=True)
class RunRecord:
    """One finished run with its model, to be recorded once.

    `operation` is the identity of the effect: recording it again finds what the first call made, however far that
    came. `artifacts` maps to files, or a directory for `Artifact.MODEL`, which must be there. `tags` are the run's
    evidence (git_commit, pr, repository_id, data_digest, …), set on the tracked run and on the version; parameters
    are shown as text, metrics that are not finite are left out. The moments are aware.
    """

    model: str
    operation: str
    name: str
    started_at: datetime
    ended_at: datetime
    artifacts: Mapping[Artifact, Path]
    parameters: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    description: str = ""


class Recorder(Protocol):
    """From a run to a registered version."""

    def record(self, run: RunRecord) -> ModelVersion:
        """Track the run, upload its artifacts, register the model; idempotent by `run.operation`.

        Refused when the operation was recorded before with another model, or the model directory has links in it.
        """
        ...

    def adopt(self, model: str, tags: Mapping[str, str]) -> ModelVersion | None:
        """The newest version that carries all these tags, for pipelines that register their models themselves.

        A version without a digest gets one: its model directory is fetched once and measured.
        """
        ...


class Registry(Protocol):
    """A version's roles, tags and contents."""

    def version_of(self, model: str, version: str) -> ModelVersion | None: ...

    def by_alias(self, model: str, alias: Alias) -> ModelVersion | None: ...

    def set_alias(self, model: str, alias: Alias, version: str | None) -> None:
        """Give the role to a version, or to none. Idempotent; Refused when there is no such version."""
        ...

    def tag(self, model: str, version: str, tags: Mapping[str, str]) -> None:
        """Add or overwrite tags; the others stay. The version's digest cannot be overwritten: Refused."""
        ...

    def fetch(self, model: str, version: str, artifact: Artifact, into: Path) -> Path | None:
        """A copy of an artifact at a path in the folder `into`; None where the version has no such artifact.

        The model directory is measured on arrival; a digest that is not the registered one is Refused and nothing
        is left behind.
        """
        ...


class Models(Recorder, Registry, Protocol):
    """All of it; what an adapter implements."""
