"""One execution of a pipeline, as it can be seen from outside. States have the names that Kubeflow gives them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any


class RunState(StrEnum):
    """Of a run and of each of its steps."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    SKIPPED = "SKIPPED"
    FAILED = "FAILED"
    CANCELING = "CANCELING"
    CANCELED = "CANCELED"
    PAUSED = "PAUSED"


ENDED = frozenset({RunState.SUCCEEDED, RunState.SKIPPED, RunState.FAILED, RunState.CANCELED})


class FailureKind(StrEnum):
    """Why a run failed: a step's own code, or what happened to the run as a whole."""

    STEP = "step"
    TIMEOUT = "timeout"
    OUT_OF_SPACE = "out_of_space"
    LOST = "lost"  # its process is gone and left no result: worth a second attempt
    BACKEND = "backend"  # the engine itself failed before, between or after the steps


@dataclass(frozen=True)
class Step:
    """`seconds`: how long it has taken so far, or took; None before it starts. `note`: a few words, may be empty."""

    name: str
    state: RunState
    seconds: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Progress:
    """What a step last said of itself (`KFOPS_PROGRESS {json}`). Times in seconds; `best` is the score so far."""

    step: str
    elapsed_s: float | None = None
    budget_s: float | None = None
    trials: int | None = None
    max_trials: int | None = None
    learner: str | None = None
    metric: str | None = None
    best: float | None = None
    stage: str | None = None


@dataclass(frozen=True)
class CurvePoint:
    """The best score after so many seconds of training."""

    elapsed_s: float
    best: float


@dataclass(frozen=True)
class Failure:
    """`summary` is the last line that says why; `path` and `line` are a place in the repository, where one is known.

    `log_tail` is foreign text, free of the framework's own lines. `hint` is a line for the person who asked.
    """

    kind: FailureKind
    summary: str
    step: str | None = None
    log_tail: str = ""
    path: str | None = None
    line: int | None = None
    hint: str = ""


@dataclass(frozen=True)
class RunStatus:
    state: RunState
    steps: tuple[Step, ...] = ()
    progress: Progress | None = None
    curve: tuple[CurvePoint, ...] = ()
    failure: Failure | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    link: str | None = None

    @property
    def is_lost(self) -> bool:
        """It died without a result; a second attempt may be made, and must be told."""
        return self.failure is not None and self.failure.kind is FailureKind.LOST


@dataclass(frozen=True)
class RunOutputs:
    """What a succeeded run handed over: copies that belong to the bot, made without following links.

    `model` is an MLflow model directory with the SHA-256 `model_digest`; `metrics` are finite numbers by name;
    `heldout` is the table it was tested on, with the target; `training_rows` holds one hash of a row a line;
    `golden` holds rows with the answers that the model gave them where it was trained;
    `digests`: SHA-256 by output's name, and `data` of the file that a parameter named (`data.PARAMETER` for several);
    `values`: steps' output parameters as `STEP.NAME`;
    `problems` are sentences about outputs that were there and could not be taken.
    """

    model: Path | None = None
    model_digest: str | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    metrics_file: Path | None = None
    heldout: Path | None = None
    training_rows: Path | None = None
    profile: Path | None = None
    golden: Path | None = None
    digests: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
