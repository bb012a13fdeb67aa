"""A world around one rollout: a backend that follows its wish, and users whose answers are scripted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from kfops.domain.canary_facts import (
    ArmCounts,
    CheckResult,
    Counts,
    Gates,
    GoldenResult,
    Observation,
    Readiness,
    ReplayResult,
    Signal,
    SignalKind,
    Standstill,
)
from kfops.domain.pull_request import Merged
from kfops.domain.rollout import Need, Phase, Rollout, RolloutPlan
from kfops.rules.rollout import advance, counting, look_again, needs, start, wish

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
GOLDEN = GoldenResult(is_worse=False, rows=500, metric="roc_auc", candidate=0.83, champion=0.82)


def healthy(rollout: Rollout, now: datetime, *, total: int = 0) -> Observation:
    """What a backend that has followed the wish shows of an idle, healthy candidate."""
    wanted = wish(rollout)
    return Observation(
        readiness=Readiness.READY if wanted.candidate_present else Readiness.ABSENT,
        weight=wanted.weight,
        standstill=Standstill(total, now),
        check=CheckResult(None),
        golden=GOLDEN,
        gates=Gates(),
        counts=Counts(ArmCounts(), ArmCounts()),
        replay=ReplayResult(pairs=500, disagreements=10),
        merge=Merged("5eed5eed") if Need.MERGE in needs(rollout) else None,
        promoted=wanted.promote_candidate,
    )


Alter = Callable[[Rollout, Observation], Observation]


def nothing(_rollout: Rollout, observation: Observation) -> Observation:
    return observation


@dataclass
class World:
    """Requests come evenly and every so many of the candidate's fail, so stories repeat exactly.

    `alter` bends what is observed; `failing` and `champion_failing` are shares of answers.
    """

    plan: RolloutPlan
    rps: float = 40.0
    failing: float = 0.0
    champion_failing: float = 0.0
    alter: Alter = nothing
    now: datetime = NOON
    looks: list[Rollout] = field(default_factory=list)
    observed: list[Observation] = field(default_factory=list)
    sent: list[float] = field(default_factory=lambda: [0.0, 0.0])
    total: float = 0.0

    def run(self, until: Phase | None = None, limit: timedelta = timedelta(days=1)) -> Rollout:
        """The rollout at its end, or when it is first in `until`."""
        rollout = self.looks[-1] if self.looks else start(self.plan, self.now)
        deadline = self.now + limit
        while not rollout.phase.is_final and rollout.phase is not until and self.now < deadline:
            rollout = self.step(rollout)
        return rollout

    def step(self, rollout: Rollout, *signals: Signal) -> Rollout:
        observation = replace(self.observe(rollout), signals=signals)
        after = advance(rollout, observation, self.now)
        if len(after.steps) > len(rollout.steps):
            self.sent = [0.0, 0.0]
        self.looks.append(after)
        self.observed.append(observation)
        pause = look_again(after, self.now)
        self.serve(after, pause.total_seconds())
        self.now += pause
        return after

    def observe(self, rollout: Rollout) -> Observation:
        candidate, champion = (int(n) for n in self.sent)
        seen = healthy(rollout, self.now, total=int(self.total))
        counts = Counts(
            ArmCounts(
                candidate,
                int(candidate * self.failing),
                p95_ms=20.0,
                first_bad_at=self.now if self.failing else None,
            ),
            ArmCounts(champion, int(champion * self.champion_failing), p95_ms=20.0),
        )
        wanted = needs(rollout)
        seen = replace(
            seen,
            counts=counts if Need.COUNTS in wanted else None,
            check=seen.check if Need.CHECK in wanted else None,
            golden=seen.golden if Need.GOLDEN in wanted else None,
            replay=seen.replay if Need.REPLAY in wanted else None,
            gates=seen.gates if Need.GATES in wanted else None,
            standstill=seen.standstill if Need.STANDSTILL in wanted else None,
        )
        return self.alter(rollout, seen)

    def serve(self, rollout: Rollout, seconds: float) -> None:
        weight = wish(rollout).weight / 100
        self.total += self.rps * seconds * weight
        if counting(rollout) is not None:
            self.sent[0] += self.rps * seconds * weight
            self.sent[1] += self.rps * seconds * (1 - weight)


def signal(kind: SignalKind, by: str = "ada") -> Signal:
    return Signal(kind, by)
