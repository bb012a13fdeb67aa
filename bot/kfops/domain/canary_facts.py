"""What can be seen of a canary at one moment. `Unknown` is a value of its own: never good, never bad."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal

from kfops.domain.pull_request import Merged, MergeRefused


@dataclass(frozen=True)
class Unknown:
    """Asked for, and not to be had now; `reason` says why."""

    reason: str
    tag: Literal["unknown"] = "unknown"


@dataclass(frozen=True)
class ArmCounts:
    """One arm's requests since the counting began; the bot's own are not among them.

    `errors`: 5xx, time-outs and resets. `client_errors`: 4xx, the caller's. `timed`: requests compared with the
    arm's bound for slow answers; `slow`: those above it. `first_bad_at`: when the first error was answered.
    """

    requests: int = 0
    errors: int = 0
    client_errors: int = 0
    timed: int = 0
    slow: int = 0
    p95_ms: float | None = None
    first_bad_at: datetime | None = None


@dataclass(frozen=True)
class Counts:
    """Both arms since the step began. `epoch` names the counter's life: another one means it started anew."""

    candidate: ArmCounts
    champion: ArmCounts
    epoch: str = ""


class FailureKind(StrEnum):
    DOES_NOT_START = "does_not_start"
    DIED = "died"
    OUT_OF_MEMORY = "out_of_memory"
    NEVER_READY = "never_ready"
    IMAGE_PULL = "image_pull"
    QUOTA = "quota"


@dataclass(frozen=True)
class Failure:
    kind: FailureKind
    message: str = ""


class Readiness(StrEnum):
    """ABSENT: the backend shows no candidate at all."""

    READY = "ready"
    STARTING = "starting"
    ABSENT = "absent"


class CheckFault(StrEnum):
    STATUS = "status"
    SHAPE = "shape"
    NOT_FINITE = "not_finite"
    SLOW = "slow"
    SKEW = "skew"


@dataclass(frozen=True)
class CheckResult:
    """The sample request to the candidate alone. `fault` is None where everything was right.

    `compared`: so many answers were held against those that the run kept for itself; 0: it kept none.
    """

    fault: CheckFault | None
    message: str = ""
    latency_ms: float | None = None
    compared: int = 0


@dataclass(frozen=True)
class GoldenResult:
    """Held-out rows through champion and candidate; for a first deployment, candidate against the gates.

    `is_worse`: beyond the gate. `rows` 0: no golden set was kept, and `message` says so.
    """

    is_worse: bool
    rows: int
    metric: str = ""
    candidate: float | None = None
    champion: float | None = None
    message: str = ""


@dataclass(frozen=True)
class SliceShift:
    """Rows that share one value of one column. `shift`: the candidate's mean score there less the champion's; None
    where answers have no score.
    """

    column: str
    value: str
    rows: int
    disagreements: int
    shift: float | None = None


@dataclass(frozen=True)
class ReplayResult:
    """Recorded or held-out requests to both arms, without users.

    `candidate_errors` and `champion_errors` are failed answers. Of the `labelled` pairs, `candidate_wrong` counts
    those where only the candidate was wrong, `champion_wrong` those where only the champion was. `psi` is the
    population stability index of the scores, given from 500 pairs on. `shift`: the candidate's mean score less the
    champion's (a score is the last class's probability, or a number that is predicted). `slices`: where both differ most.
    """

    pairs: int
    disagreements: int
    candidate_errors: int = 0
    champion_errors: int = 0
    labelled: int = 0
    candidate_wrong: int = 0
    champion_wrong: int = 0
    psi: float | None = None
    shift: float | None = None
    slices: tuple[SliceShift, ...] = ()


class SignalKind(StrEnum):
    PAUSE = "pause"
    RESUME = "resume"
    PROMOTE = "promote"
    ABORT = "abort"


@dataclass(frozen=True)
class Signal:
    """What a person asked of the rollout, and who."""

    kind: SignalKind
    by: str


@dataclass(frozen=True)
class Standstill:
    """The candidate's own counter: all requests it ever got, when that was read, and when the last one came."""

    total: int
    read_at: datetime
    last_request_at: datetime | None = None


@dataclass(frozen=True)
class Gates:
    """`broken` None: everything that let the deployment begin still holds. Else what does not.

    `is_withdrawn`: nobody wants it any more (the pull request was closed), so that waiting mends nothing.
    """

    broken: str | None = None
    is_withdrawn: bool = False


@dataclass(frozen=True)
class Observation:
    """What is so now. None: not asked for.

    `weight` is what the backend shows, in per cent; 0 also where no candidate is there. `champion_before` counts
    the champion's requests in the minutes before the rollout began. `superseded_by` is the commit of a push. `promoted`: the
    backend shows the candidate as the stable revision.
    """

    readiness: Readiness | Failure | Unknown | None = None
    weight: int | Unknown | None = None
    standstill: Standstill | Unknown | None = None
    champion_before: ArmCounts | Unknown | None = None
    check: CheckResult | Unknown | None = None
    golden: GoldenResult | Unknown | None = None
    replay: ReplayResult | Unknown | None = None
    counts: Counts | Unknown | None = None
    signals: tuple[Signal, ...] = ()
    superseded_by: str | None = None
    gates: Gates | Unknown | None = None
    merge: Merged | MergeRefused | Unknown | None = None
    promoted: bool = False
