"""A model as the registry knows it: a numbered version of a named model, and the roles a version can hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Alias(StrEnum):
    """A role in a model's life; at most one version holds it at a time."""

    CHALLENGER = "challenger"  # the newest version that a pull request made
    STAGING = "staging"  # serves in staging
    CHAMPION = "champion"  # serves in production
    PREVIOUS = "previous"  # was champion before; where a rollback goes


class Artifact(StrEnum):
    """What is kept with a version. MODEL is the model directory; the others are evidence that a run may lack."""

    MODEL = "model"
    HELDOUT = "heldout"  # the rows it was tested on, with the target
    TRAINING_ROWS = "training_rows"  # hashes of the rows it was trained on
    PROFILE = "profile"  # rows, types, missing and statistics of the data (JSON)
    METRICS = "metrics"  # what the pipeline reported (JSON)
    GOLDEN = "golden"  # rows, and what the model answered to them where it was trained (JSON)


@dataclass(frozen=True)
class ModelVersion:
    """One registered version, as it was read at one moment.

    `digest` is the SHA-256 (hex) of the model directory, taken before it was uploaded; `run_id` names the tracked
    run behind it; `link` and `run_link` are pages for people. `parameters` and `metrics` are the run's.
    """

    model: str
    version: str
    digest: str
    run_id: str
    link: str
    run_link: str
    tags: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
