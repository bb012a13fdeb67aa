"""The benchmark in small: its ladder is the state machine's, and wrong decisions are as rare as promised."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from tests.bench.canary_simulation import incidents, ramp, slow_wave, tolerated
from tests.bench.canary_world import ASKED, PROMOTED, ROLLED_BACK, Case, Ladder, Sums, play
from tests.support.rollout_world import NOON, healthy

from kfops.domain.canary_facts import ArmCounts, Counts, Gates
from kfops.domain.rollout import Need, Phase, Rollout, RolloutPlan
from kfops.rules.rollout import advance, needs, start
from kfops.rules.verdict import add

RUNS = 150
SHORT = {"hold": 120.0, "patience": 900.0, "watch": 60.0}


class Tapes:
    """What each run's users saw, look by look, for the state machine to be shown the same."""

    def __init__(self, runs: int) -> None:
        self.of: list[list[tuple[float, Counts]]] = [[] for _ in range(runs)]

    def __call__(self, runs: Any, t: float, new: Sums) -> None:
        for j, run in enumerate(runs):
            candidate = ArmCounts(int(new.n_c[j]), int(new.k_c[j]), 0, int(new.n_c[j]), int(new.slow_c[j]))
            champion = ArmCounts(
                int(new.n_s[j]), int(new.k_s[j]), 0, int(new.n_s[j]), int(new.slow_s[j]), 20.0
            )
            self.of[run].append((t, Counts(candidate, champion)))


def replayed(case: Case, tape: list[tuple[float, Counts]], before: ArmCounts) -> tuple[int, float]:
    """How the real state machine ends on the same requests: outcome and minutes."""
    plan = RolloutPlan(
        steps=case.steps,
        hold=timedelta(seconds=case.hold),
        patience=timedelta(seconds=case.patience),
        watch=timedelta(seconds=case.watch),
        min_requests=case.min_requests,
    )
    rollout = settled(replace(start(plan, NOON), champion_before=before), NOON)
    counted, promoted = Counts(ArmCounts(), ArmCounts()), 0.0
    for t, new in tape:
        counted = Counts(add(counted.candidate, new.candidate), add(counted.champion, new.champion))
        if case.slower is None:
            counted = Counts(
                *(replace(arm, timed=0, slow=0, p95_ms=None) for arm in (counted.candidate, counted.champion))
            )
        now = NOON + timedelta(seconds=t)
        after = advance(rollout, replace(healthy(rollout, now), counts=counted), now)
        if after.phase is Phase.HOLD and Need.GATES in needs(after):
            after = advance(after, replace(healthy(after, now), counts=counted, gates=Gates()), now)
        if after.phase is not rollout.phase:
            counted = Counts(ArmCounts(), ArmCounts())
        if after.phase is Phase.PROMOTE and not promoted:
            promoted = t / 60
        if after.phase in {Phase.ABORT, Phase.ASK}:
            return (ROLLED_BACK if after.phase is Phase.ABORT else ASKED), t / 60
        rollout = settled(after, now)
    assert rollout.phase in {Phase.MERGE, Phase.FINISH, Phase.DONE}
    return PROMOTED, promoted


def settled(rollout: Rollout, now: Any) -> Rollout:
    """Through the phases that take no traffic."""
    for _ in range(5):
        if rollout.phase in {Phase.PREPARE, Phase.CHECK, Phase.GOLDEN, Phase.SHIFT, Phase.PROMOTE}:
            rollout = advance(rollout, healthy(rollout, now), now)
    return rollout


CASES = [
    Case("identical", **SHORT),
    Case("worse", worse=0.05, **SHORT),
    Case("trouble", rps=40.0, drift=incidents, **SHORT),
    Case("slower", slower=1.6, **SHORT),
    Case("at full only", worse_at_full=0.3, **SHORT),
    Case("quiet", rps=0.5, **SHORT),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_benchmarks_ladder_is_the_state_machines(case: Case) -> None:
    runs = 6
    tapes = Tapes(runs)
    outcome = play(case, runs, seed=5, tape=tapes)
    twin = Ladder(case, runs, np.random.default_rng(5))
    for run in range(runs):
        p95 = 20.0 if case.slower is not None else None
        before = ArmCounts(int(twin.before_n[run]), int(twin.before_k[run]), p95_ms=p95)
        expected = (int(outcome.state[run]), pytest.approx(outcome.minutes[run]))
        assert replayed(case, tapes.of[run], before) == expected


def within() -> Iterator[Case]:
    for base in (0.0, 0.005, 0.02):
        for worse in (0.0, 0.005):
            yield Case(f"base {base} worse {worse}", base, worse)
    for drift in (slow_wave, ramp, incidents):
        yield Case(drift.__name__, 0.002, drift=drift)
    yield Case("as fast", slower=1.0)


def beyond() -> Iterator[Case]:
    for worse in (0.01, 0.02):
        for base in (0.0, 0.02):
            yield Case(f"base {base} worse {worse}", base, worse)
    for slower in (1.25, 1.5):
        yield Case(f"slower {slower}", slower=slower)


@pytest.mark.parametrize("case", tuple(within()), ids=lambda case: case.name)
def test_a_candidate_within_bounds_is_rarely_rolled_back(case: Case) -> None:
    assert play(replace(case, look=20.0), RUNS, seed=7).share(ROLLED_BACK) <= tolerated(RUNS)


@pytest.mark.parametrize("case", tuple(beyond()), ids=lambda case: case.name)
def test_a_candidate_beyond_bounds_is_rarely_promoted(case: Case) -> None:
    assert play(replace(case, look=20.0), RUNS, seed=7).share(PROMOTED) <= tolerated(RUNS)


def test_thirty_per_cent_of_failures_are_seen_within_seconds_and_fifteen_users() -> None:
    case = Case("live", 0.005, 0.3, 40.0, steps=(25,), look=0.5)
    outcome = play(case, 500, seed=7)
    assert outcome.share(ROLLED_BACK) == 1
    assert np.quantile(outcome.minutes, 0.97) * 60 <= 5
    assert np.quantile(outcome.bad_answers, 0.99) <= 15
