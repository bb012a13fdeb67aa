"""Whatever is observed, in whatever order: only legal transitions, and an end that was seen."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from tests.support.rollout_world import NOON, World, healthy

from kfops.domain.canary_facts import (
    ArmCounts,
    CheckFault,
    CheckResult,
    Counts,
    Failure,
    FailureKind,
    Gates,
    GoldenResult,
    Observation,
    Readiness,
    ReplayResult,
    Signal,
    SignalKind,
    Standstill,
    Unknown,
)
from kfops.domain.pull_request import Merged, MergeRefused
from kfops.domain.rollout import Phase, Rollout, RolloutPlan
from kfops.rules.rollout import LEGAL, advance, counting, look_again, needs, start, wish

ROLLOUTS, OBSERVATIONS = TypeAdapter(Rollout), TypeAdapter(Observation)
UNKNOWN = st.just(Unknown("the statistics did not answer"))
SMALL = st.integers(0, 400)


@st.composite
def arms(draw: st.DrawFn) -> ArmCounts:
    n = draw(SMALL)
    return ArmCounts(
        n, draw(st.integers(0, n)), 0, n, draw(st.integers(0, n)), draw(st.none() | st.floats(0.1, 1e4))
    )


ODD = {
    "readiness": st.sampled_from(list(Readiness))
    | st.builds(Failure, st.sampled_from(FailureKind))
    | UNKNOWN
    | st.none(),
    "weight": st.sampled_from([0, 5, 25, 50, 100]) | UNKNOWN | st.none(),
    "standstill": st.builds(Standstill, SMALL, st.just(NOON)) | UNKNOWN | st.none(),
    "champion_before": arms() | UNKNOWN,
    "check": st.builds(CheckResult, st.sampled_from(CheckFault)) | UNKNOWN | st.none(),
    "golden": st.builds(GoldenResult, st.booleans(), SMALL) | UNKNOWN | st.none(),
    "replay": st.builds(ReplayResult, SMALL, SMALL, st.integers(0, 2)) | UNKNOWN | st.none(),
    "counts": st.builds(Counts, arms(), arms(), st.sampled_from(["", "b"])) | UNKNOWN | st.none(),
    "signals": st.lists(st.builds(Signal, st.sampled_from(SignalKind), st.just("ada")), max_size=3).map(
        tuple
    ),
    "superseded_by": st.just("c0ffee00"),
    "gates": st.sampled_from([Gates(), Gates("an approval was dismissed")]) | UNKNOWN | st.none(),
    "merge": st.builds(MergeRefused, st.just("no"), st.booleans()) | UNKNOWN | st.none(),
    "promoted": st.booleans(),
}
PLANS = st.sampled_from([
    RolloutPlan(),
    RolloutPlan(is_first=True),
    RolloutPlan(steps=(25,), without_traffic="ask", merges=False, min_requests=10, max_error_increase=0.2),
    RolloutPlan(steps=(5, 50), min_requests=5, max_error_increase=0.3, hold=timedelta(seconds=30)),
])  # fmt: skip
WAITS = st.sampled_from([0.1, 1.0, 40.0, 400.0, 4000.0, 20000.0])


@given(plan=PLANS, data=st.data())
@settings(deadline=None, max_examples=150)
def test_only_legal_transitions_and_an_end_that_was_seen(plan: RolloutPlan, data: st.DataObject) -> None:
    now, rollout = NOON, start(plan, NOON)
    for _ in range(data.draw(st.integers(1, 30), label="looks")):
        observation = healthy(rollout, now)
        odd = data.draw(st.none() | st.sampled_from(sorted(ODD)), label="odd")
        if odd is not None:
            observation = replace(observation, **{odd: data.draw(ODD[odd], label=odd)})
        after = advance(rollout, observation, now)
        if after.phase is not rollout.phase:
            assert after.phase in LEGAL[rollout.phase]
        if rollout.phase.is_final:
            assert after == rollout
        elif after.phase is Phase.ROLLED_BACK:
            assert_seen_to_be_over(rollout, observation)
        assert_consistent(after)
        rollout, now = after, now + timedelta(seconds=data.draw(WAITS, label="wait"))


def assert_seen_to_be_over(rollout: Rollout, observation: Observation) -> None:
    assert observation.weight == 0
    assert observation.readiness is Readiness.ABSENT
    assert rollout.rollback is not None
    if isinstance(observation.standstill, Standstill):
        assert rollout.rollback.total in (None, observation.standstill.total)


def assert_consistent(rollout: Rollout) -> None:
    assert ROLLOUTS.validate_json(ROLLOUTS.dump_json(rollout)) == rollout
    wanted = wish(rollout)
    assert wanted.weight in {0, *rollout.plan.steps, 100}
    assert wanted.candidate_present or wanted.weight == 0
    # Each stretch of weight is closed before the next one begins.
    assert all(step.ended is not None for step in rollout.steps[:-1])
    assert rollout.phase.is_final == (not look_again(rollout, NOON))
    assert rollout.phase.is_final == (not needs(rollout))
    if rollout.phase in {Phase.ABORT, Phase.RESTORE, Phase.ROLLED_BACK}:
        assert wanted.weight == 0
        assert counting(rollout) is None
        assert rollout.rollback is not None


@given(changes=st.fixed_dictionaries({}, optional=ODD))
def test_an_observation_survives_json(changes: dict[str, object]) -> None:
    observation = replace(Observation(), **changes)  # type: ignore[arg-type]
    assert OBSERVATIONS.validate_json(OBSERVATIONS.dump_json(observation)) == observation


def test_every_phase_can_be_left_and_every_one_be_reached() -> None:
    assert set(LEGAL) == set(Phase)
    reached = {Phase.PREPARE}.union(*LEGAL.values())
    assert reached == set(Phase)
    assert {phase for phase, following in LEGAL.items() if not following} == {p for p in Phase if p.is_final}


@pytest.mark.parametrize("plan", [RolloutPlan(), RolloutPlan(is_first=True)])
def test_every_look_of_a_whole_rollout_bears_every_oddity(plan: RolloutPlan) -> None:
    """Total over (phase, observation): one rollout of each phase meets each kind of value in each field."""
    world = World(replace(plan, hold=timedelta(seconds=5), watch=timedelta(seconds=5)))
    world.run()
    by_phase = {rollout.phase: rollout for rollout in world.looks}
    odd_values = [
        ("readiness", Failure(FailureKind.DIED)), ("readiness", Unknown("?")), ("weight", 7), ("weight", Unknown("?")),
        ("standstill", Unknown("?")), ("check", Unknown("?")), ("golden", Unknown("?")), ("replay", Unknown("?")),
        ("counts", Unknown("?")), ("counts", Counts(ArmCounts(9, 12), ArmCounts())), ("gates", Unknown("?")),
        ("merge", Unknown("?")), ("merge", MergeRefused("no", is_final=True)), ("merge", Merged("abc")),
        *((("signals", (Signal(kind, "ada"),))) for kind in SignalKind), ("superseded_by", "c0ffee"), ("promoted", True),
    ]  # fmt: skip
    for rollout in by_phase.values():
        for name, value in odd_values:
            for later in (timedelta(), timedelta(hours=9)):
                now = rollout.since + later
                after = advance(rollout, replace(healthy(rollout, now), **{name: value}), now)
                assert after.phase is rollout.phase or after.phase in LEGAL[rollout.phase]
                assert_consistent(after)


@pytest.mark.parametrize("steps", [(), (0, 50), (50, 25), (25, 25), (50, 100)])
def test_steps_that_are_no_ladder_are_refused(steps: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"canary\.steps: expected rising shares"):
        start(RolloutPlan(steps=steps), NOON)


def test_history_tells_every_phase_once_it_is_entered() -> None:
    world = World(RolloutPlan(hold=timedelta(seconds=5), watch=timedelta(seconds=5)))
    done = world.run()
    phases = [event.phase for event in done.timeline]
    assert phases[-1] is Phase.DONE
    assert all(b in LEGAL[a] for a, b in pairwise(phases))
