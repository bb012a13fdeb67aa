"""A rollout's nouns: what was planned, what was seen, where it stands. All frozen, all plain JSON."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

from kfops.domain.canary_facts import (
    ArmCounts,
    CheckResult,
    Counts,
    Failure,
    GoldenResult,
    ReplayResult,
)


@dataclass(frozen=True)
class RolloutPlan:
    """The team's bounds, as `kfops.yaml` gives them, and what the backend needs.

    `steps` are shares of traffic in per cent. `max_error_increase` is in absolute points (0.01: one in a
    hundred), `max_latency_ratio` a factor on the champion's p95. `is_first`: no champion serves.
    `merges`: this environment merges the pull request after promotion. `look_every`: how often facts are
    worth gathering while users are at risk. `still_for`: how long the candidate's counter must not move
    before it counts as standing still; at least two scrapes where counts come from Prometheus. A replay decides
    alone only up to `max_disagreement`. Slower by less than `latency_floor_ms` is nobody's harm.
    """

    steps: tuple[int, ...] = (5, 25, 50)
    hold: timedelta = timedelta(minutes=5)
    min_requests: int = 400
    max_error_increase: float = 0.01
    max_latency_ratio: float = 1.25
    without_traffic: Literal["replay", "ask"] = "replay"
    patience: timedelta = timedelta(hours=1)
    ask_timeout: timedelta = timedelta(hours=4)
    watch: timedelta = timedelta(minutes=10)
    check_timeout: timedelta = timedelta(seconds=5)
    check_status: int = 200
    ready_deadline: timedelta = timedelta(minutes=10)
    is_first: bool = False
    merges: bool = True
    max_disagreement: float = 0.2
    latency_floor_ms: float = 5.0
    look_every: timedelta = timedelta(seconds=0.5)
    still_for: timedelta = timedelta(seconds=0.5)


class Phase(StrEnum):
    PREPARE = "prepare"  # the candidate starts, without users
    CHECK = "check"  # the sample request, to the candidate alone
    GOLDEN = "golden"  # held-out rows through champion and candidate
    SHIFT = "shift"  # a new share is wished for, not yet shown by the backend
    HOLD = "hold"  # the share is shown; requests are counted and judged
    SHADOW = "shadow"  # nobody calls: recorded requests are replayed
    ASK = "ask"  # the evidence does not decide: a person is asked
    PROMOTE = "promote"  # all traffic is wished for the candidate
    WATCH = "watch"  # all traffic is on the candidate, the champion stands by
    MERGE = "merge"  # the pull request is merged
    FINISH = "finish"  # the candidate becomes the champion, the old revision is put away
    DONE = "done"
    ABORT = "abort"  # weight 0 is wished for; users may still reach the candidate
    RESTORE = "restore"  # no user reaches it; the candidate is taken away
    ROLLED_BACK = "rolled_back"

    @property
    def is_final(self) -> bool:
        return self in {Phase.DONE, Phase.ROLLED_BACK}


class Verdict(StrEnum):
    PROMOTE = "promote"
    ROLL_BACK = "roll_back"
    WAIT = "wait"
    ASK = "ask"


class Reason(StrEnum):
    """Why the rollout stands where it stands: stable codes for machines."""

    DOES_NOT_START = "does_not_start"
    DIED = "died"
    OUT_OF_MEMORY = "out_of_memory"
    NEVER_READY = "never_ready"
    IMAGE_PULL = "image_pull"
    QUOTA = "quota"
    CHECK_STATUS = "check_status"
    CHECK_SHAPE = "check_shape"
    CHECK_NOT_FINITE = "check_not_finite"
    CHECK_SLOW = "check_slow"
    CHECK_SKEW = "check_skew"
    CHECK_IMPOSSIBLE = "check_impossible"
    GOLDEN_WORSE = "golden_worse"
    GOLDEN_IMPOSSIBLE = "golden_impossible"
    WEIGHT_NOT_APPLIED = "weight_not_applied"
    ERRORS = "errors"
    SLOW = "slow"
    DISAGREES = "disagrees"
    NO_TRAFFIC = "no_traffic"
    NO_STATISTICS = "no_statistics"
    SAMPLE_RATIO = "sample_ratio"
    CLIMB_STOPPED = "climb_stopped"
    ONLY_AT_FULL = "only_at_full"
    UNDECIDED = "undecided"
    GATE = "gate"
    GOOD = "good"
    REPLAYED = "replayed"
    BY_HAND = "by_hand"
    FIRST = "first"
    ABORTED = "aborted"
    SUPERSEDED = "superseded"
    NOBODY_ANSWERED = "nobody_answered"
    MERGE_REFUSED = "merge_refused"
    STOPPED = "stopped"


@dataclass(frozen=True)
class Evidence:
    """What counts say, as natural logarithms of e-values. None: that test has nothing to work with.

    A step holds its own factors; `rules.verdict.total` multiplies them. `mismatch` tests the observed share
    against the weight and is never multiplied.
    """

    errors_bad: float | None = None
    errors_good: float | None = None
    slow_bad: float | None = None
    slow_good: float | None = None
    share: float | None = None
    mismatch: float | None = None


@dataclass(frozen=True)
class Step:
    """One stretch of constant weight: a stratum of the tests and a row of the reply's table.

    `counts` holds what was counted since `began`; `carried` the part of it from before a counter's restart.
    `slow_after_ms` is T, the champion's p95 fixed before the counting of slow answers began at `slow_since`.
    """

    share: int
    began: datetime
    ended: datetime | None = None
    counts: Counts | None = None
    carried: Counts | None = None
    slow_after_ms: float | None = None
    slow_since: datetime | None = None
    evidence: Evidence = Evidence()
    verdict: Verdict = Verdict.WAIT
    reason: Reason = Reason.UNDECIDED
    is_watch: bool = False
    told: tuple[Reason, ...] = ()  # what kept it waiting, each told once in the history


@dataclass(frozen=True)
class Event:
    """A line of the rollout's history, as the reply tells it."""

    at: datetime
    phase: Phase
    sentence: str


@dataclass(frozen=True)
class Rollback:
    """When what happened, on the way back. The promise to users is `first_bad_at` to `last_request_at`.

    `wished_at`: weight 0 was decided; `shown_at`: the backend showed it; `still_at`: the candidate's counter was
    seen standing still, at `total` requests since `unmoved_since`.
    """

    wished_at: datetime
    first_bad_at: datetime | None = None
    shown_at: datetime | None = None
    total: int | None = None
    unmoved_since: datetime | None = None
    still_at: datetime | None = None
    last_request_at: datetime | None = None
    failure: Failure | None = None
    was_exposed: bool = True


@dataclass(frozen=True)
class Rollout:
    """One canary, from the first wish to `DONE` or `ROLLED_BACK`.

    `since` is when `phase` began, moved on by pauses. `step` counts shares from 0; -1 before the first.
    `sentence` tells the present state, `verdict_sentence` why it was promoted or taken back, with its `numbers`.
    """

    plan: RolloutPlan
    phase: Phase
    started_at: datetime
    since: datetime
    step: int = -1
    weight: int = 0
    steps: tuple[Step, ...] = ()
    champion_before: ArmCounts | None = None
    verdict: Verdict = Verdict.WAIT
    reason: Reason = Reason.UNDECIDED
    sentence: str = ""
    verdict_sentence: str = ""
    numbers: tuple[tuple[str, float], ...] = ()
    asked_at: datetime | None = None
    paused_at: datetime | None = None
    paused_by: str | None = None
    promote_by: str | None = None  # asked to promote by hand, while the gates are not read yet
    wants_forge: bool = False  # the next look shall read the gates, or try the merge
    forge_read_at: datetime | None = None
    check: CheckResult | None = None
    golden: GoldenResult | None = None
    replay: ReplayResult | None = None
    replay_failures: int = 0
    rollback: Rollback | None = None
    merge_sha: str | None = None
    ended_at: datetime | None = None
    timeline: tuple[Event, ...] = ()


@dataclass(frozen=True)
class Wish:
    """How the backend shall look; applying it twice changes nothing.

    `promote_candidate`: the candidate is the stable revision from now on and the old one may be put away.
    """

    weight: int
    candidate_present: bool
    promote_candidate: bool = False


class Need(StrEnum):
    """A fact that the next `advance` wants to find in its observation."""

    READY = "ready"
    CHAMPION_BEFORE = "champion_before"
    CHECK = "check"
    GOLDEN = "golden"
    WEIGHT = "weight"
    COUNTS = "counts"
    REPLAY = "replay"
    GATES = "gates"
    MERGE = "merge"
    PROMOTED = "promoted"
    STANDSTILL = "standstill"


@dataclass(frozen=True)
class Counting:
    """What to count: requests since `since`; slow ones since `slow_since`, by each arm's own bound in ms.

    Without a bound nothing is slow and `timed` stays 0.
    """

    since: datetime
    slow_since: datetime | None
    champion_slow_ms: float | None
    candidate_slow_ms: float | None
