"""What an operation knows so far: kept with it in the ledger, read by its next step and by its reply.

Facts and moments, not conclusions. All of it round-trips through JSON; `dump` and `load` hold it to its type.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from pydantic import TypeAdapter

from kfops.domain.evidence import Comparison, ScoringFailure
from kfops.domain.package import CompileFailure
from kfops.domain.predictor import PredictorSpec
from kfops.domain.profile import DataDrift
from kfops.domain.rollout import Rollout
from kfops.domain.run import RunStatus


@dataclass(frozen=True)
class Refusal:
    """Why not: what a gate said, kept as plain text."""

    code: str
    sentence: str
    found: str = ""
    expected: str = ""
    fix: str = ""
    detail: str = ""  # foreign text, such as every error of a file; shown fenced


@dataclass(frozen=True)
class ImageFact:
    """An image of `images.build`; `reference` is by digest."""

    name: str
    reference: str


@dataclass(frozen=True)
class DataFact:
    """Data that a parameter names outside of the repository, as a file of this machine's."""

    parameter: str
    path: str


@dataclass(frozen=True)
class ParameterFact:
    """One pipeline parameter, shown as text. `champion` is what the model in production was trained with."""

    name: str
    value: str
    default: str = ""
    champion: str | None = None
    is_overridden: bool = False


@dataclass(frozen=True)
class GateFact:
    """One of `evidence.gates`: `holds` None where it does not apply (no champion yet)."""

    text: str
    holds: bool | None


@dataclass(frozen=True)
class RunFacts:
    """`/build`, `/run`, `/build_run`: from the checked-out commit to evidence."""

    refusal: Refusal | None = None
    model: str = ""
    rules_edited: tuple[str, ...] = ()
    is_adopted: bool = True
    package_digest: str = ""
    package_path: str = ""
    steps: tuple[str, ...] = ()
    compile_failure: CompileFailure | None = None
    parameters: tuple[ParameterFact, ...] = ()
    values: Mapping[str, Any] | None = None
    attempt: int = 1
    run_id: str = ""
    status: RunStatus | None = None
    data_digest: str = ""
    drift: DataDrift | None = None  # None: one of the two tables has no profile
    config_digest: str = ""
    packages: tuple[str, ...] = ()  # what steps install by themselves
    environment: str = ""  # the key of what was made from the requirements; empty: nothing was
    environment_digest: str = ""
    images: tuple[ImageFact, ...] = ()
    data_files: tuple[DataFact, ...] = ()
    model_version: str = ""
    model_digest: str = ""
    model_link: str = ""
    run_link: str = ""
    reported: Mapping[str, float] | None = None
    comparison: Comparison | None = None
    scoring_failure: ScoringFailure | None = None
    champion_version: str = ""
    gates: tuple[GateFact, ...] = ()
    commit_attempts: int = 1  # succeeded and failed runs of this commit, this one included
    notes: tuple[str, ...] = ()
    began_at: datetime | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True)
class DeployFacts:
    """`/staging_deploy`, `/deploy`, `/rollback`: one rollout and what it means for the pull request."""

    environment: str
    refusal: Refusal | None = None
    model: str = ""
    model_version: str = ""
    model_digest: str = ""
    run_operation_id: int = 0
    champion_version: str = ""
    champion_digest: str = ""
    url: str = ""
    namespace: str = ""  # where a cluster serves it
    predictor: PredictorSpec = field(default_factory=PredictorSpec)
    rollout: Rollout | None = None
    merge_method: str = ""
    merge_sha: str = ""
    label: str = ""
    label_taken_from: tuple[int, ...] = ()
    forced: tuple[str, ...] = ()
    reason: str = ""
    notes: tuple[str, ...] = ()
    signals_read: int = 0
    takes_back: tuple[int, ...] = ()  # the rollouts that a rollback found under way
    was_displaced: bool = False  # another operation had its environment for a while
    rules_digest: str = ""  # of the file whose rules let it begin; empty: of an earlier release
    began_at: datetime | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True)
class AnswerFacts:
    """Commands that answer at once. `body` is Markdown made by `rules.replies` from what was so at that moment."""

    refusal: Refusal | None = None
    body: str = ""


T = TypeVar("T")
_ADAPTERS: dict[type, TypeAdapter[Any]] = {}


def dump(facts: Any) -> dict[str, Any]:
    plain: dict[str, Any] = _adapter(type(facts)).dump_python(facts, mode="json")
    return plain


def load(kind: type[T], plain: Mapping[str, Any]) -> T:
    value: T = _adapter(kind).validate_python(plain)
    return value


def _adapter(kind: type) -> TypeAdapter[Any]:
    """Making one takes many times as long as using it."""
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]
