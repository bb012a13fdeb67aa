"""What the bot needs of whatever serves models: two arms behind one address, and a share of traffic between them.

Every method may raise `Unavailable` (the backend did not answer) or `Refused` (it never will).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from kfops.domain.canary_facts import Failure, Readiness
from kfops.domain.environment import EnvironmentKey
from kfops.domain.predictor import PredictorSpec


class ArmName(StrEnum):
    STABLE = "stable"
    CANDIDATE = "candidate"


@dataclass(frozen=True)
class ModelSource:
    """A model to be served: an MLflow model directory, its digest (`Revision.digest`), its label and its name.

    `packages`: a folder of Python packages that the model wants in front of the server's own. `predictor`: how a
    cluster shall serve it; it holds from the first wish for this model on, for as long as it is wished for.
    """

    directory: Path
    digest: str
    version: str
    model: str
    packages: Path | None = None
    predictor: PredictorSpec = field(default_factory=PredictorSpec)


@dataclass(frozen=True)
class Wish:
    """How an environment shall look. `candidate_weight` is the candidate's share of users' requests in per cent.

    To promote is to wish for the candidate's source as `stable`, to roll back is to wish for no candidate, to take
    an environment away is to wish for neither.
    """

    stable: ModelSource | None = None
    candidate: ModelSource | None = None
    candidate_weight: int = 0


@dataclass(frozen=True)
class Arm:
    """One revision as the backend shows it. `digest` and `version` are what the running server itself reports,
    None until it has answered; `restarts` counts how often it was brought back after it died.
    """

    readiness: Readiness | Failure
    digest: str | None = None
    version: str | None = None
    restarts: int = 0


ABSENT = Arm(Readiness.ABSENT)


@dataclass(frozen=True)
class Served:
    """What is so now. `stable` is the revision that users reach; `incoming` is one that was wished for as stable
    and does not serve yet (else ABSENT); `candidate_weight` is the share in force, in per cent. `is_settled`: nothing
    is left that another `apply` of the wish would do.
    """

    stable: Arm
    candidate: Arm
    candidate_weight: int
    url: str
    incoming: Arm = ABSENT
    is_settled: bool = True


@dataclass(frozen=True)
class Answer:
    """What came back. `status` None: no answer came, and `message` says why (refused, reset, not within the time)."""

    status: int | None
    body: bytes
    seconds: float
    message: str = ""


class Serving(Protocol):
    def observe(self, environment: EnvironmentKey) -> Served: ...

    def apply(self, environment: EnvironmentKey, wish: Wish) -> None:
        """Bring the environment nearer to `wish`; once it is there, applying it again changes nothing.

        Whoever wishes applies again until `observe` shows it: a cluster takes a step at a time. One machine is there
        as soon as this returns, as far as weights among running revisions go. A revision that runs already keeps its process, whatever arm it becomes.
        No request is lost: the weights move first, a process ends when its last request has been answered.
        """
        ...

    def ask(
        self, environment: EnvironmentKey, arm: ArmName, body: bytes, timeout_s: float, path: str = "predict"
    ) -> Answer:
        """POST JSON to one arm alone, past the traffic split: never counted as a user's request."""
        ...

    def url(self, environment: EnvironmentKey) -> str:
        """Where users send requests: `/predict`, `/v1/models/{model}:predict`, `/v2/models/{model}/infer` below it."""
        ...
