"""What people ask of a rollout under way: pause, resume, promote, abort."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
from tests.support.rollout_world import World, healthy, signal

from kfops.domain.canary_facts import Gates, SignalKind, Unknown
from kfops.domain.rollout import Need, Phase, Reason, RolloutPlan
from kfops.rules.rollout import advance, needs, wish
from kfops.rules.rollout.table import CAN_GO_BACK

PLAN = RolloutPlan(
    steps=(5, 50),
    hold=timedelta(seconds=5),
    watch=timedelta(seconds=5),
    min_requests=50,
    max_error_increase=0.05,
)
ABORT, PROMOTE = signal(SignalKind.ABORT), signal(SignalKind.PROMOTE)
PAUSE, RESUME = signal(SignalKind.PAUSE), signal(SignalKind.RESUME, "grace")


@pytest.mark.parametrize("phase", sorted(CAN_GO_BACK - {Phase.SHADOW, Phase.ASK, Phase.MERGE}))
def test_abort_goes_back_from_everywhere(phase: Phase) -> None:
    world = World(PLAN)
    after = world.step(world.run(until=phase), ABORT)
    assert (after.phase, after.reason, wish(after).weight) == (Phase.ABORT, Reason.ABORTED, 0)
    assert after.sentence == "ada aborted the rollout."
    assert world.run().phase is Phase.ROLLED_BACK


def test_a_merge_that_happened_outweighs_an_abort() -> None:
    world = World(PLAN)
    after = world.step(world.run(until=Phase.MERGE), ABORT)
    assert after.phase is Phase.FINISH


def test_a_paused_rollout_neither_climbs_nor_asks_and_goes_on_where_it_stood() -> None:
    world = World(PLAN)
    held = world.run(until=Phase.HOLD)
    paused = world.step(held, PAUSE)
    assert (paused.paused_by, paused.phase) == ("ada", Phase.HOLD)
    world.now += timedelta(hours=9)
    still = world.step(paused)
    assert still.phase is Phase.HOLD
    resumed = world.step(still, RESUME)
    assert resumed.phase is Phase.HOLD
    assert resumed.paused_at is None
    assert world.now - resumed.since < timedelta(seconds=5)
    assert world.run().phase is Phase.DONE


def test_a_paused_rollout_is_still_watched() -> None:
    world = World(PLAN)
    paused = world.step(world.run(until=Phase.HOLD), PAUSE)
    assert paused.paused_at is not None
    world.failing = 0.9
    assert world.run().reason is Reason.ERRORS


def test_pausing_twice_and_resuming_without_a_pause_change_nothing() -> None:
    world = World(PLAN)
    held = world.run(until=Phase.HOLD)
    once = world.step(held, PAUSE)
    assert world.step(once, PAUSE).paused_at == once.paused_at
    assert "not paused" in world.step(held, RESUME).timeline[-1].sentence


@pytest.mark.parametrize("phase", [Phase.SHIFT, Phase.HOLD])
def test_promote_by_hand_waits_for_the_gates_to_be_read(phase: Phase) -> None:
    world = World(replace(PLAN, hold=timedelta(minutes=5)))
    rollout = world.run(until=phase)
    world.alter = lambda _rollout, seen: replace(seen, weight=Unknown("no answer"))
    asked = world.step(rollout, PROMOTE)
    assert (asked.phase, asked.promote_by) == (phase, "ada")
    assert Need.GATES in needs(asked)
    world.alter = lambda _rollout, seen: replace(
        seen, weight=Unknown("no answer"), gates=Unknown("GitHub did not answer")
    )
    waiting = world.step(asked)
    assert (waiting.phase, waiting.promote_by) == (phase, "ada")
    assert Need.GATES not in needs(waiting)
    world.now += timedelta(seconds=30)
    world.alter = lambda _rollout, seen: replace(seen, weight=Unknown("no answer"))
    due = world.step(waiting)
    assert Need.GATES in needs(due)
    promoted = world.step(due)
    assert (promoted.phase, promoted.reason, promoted.weight) == (Phase.PROMOTE, Reason.BY_HAND, 100)


def test_promote_by_hand_never_waives_a_gate() -> None:
    world = World(PLAN)
    rollout = world.run(until=Phase.HOLD)
    world.alter = lambda _rollout, seen: replace(seen, gates=Gates("not approved"))
    refused = world.step(rollout, PROMOTE)
    assert (refused.phase, refused.promote_by) == (Phase.HOLD, None)
    assert refused.timeline[-1].sentence == "ada asked to promote; refused: not approved"


def test_an_asked_person_promotes() -> None:
    world = World(replace(PLAN, without_traffic="ask"), rps=0)
    asked = world.run(until=Phase.ASK)
    world.step(asked, PROMOTE)
    done = world.run()
    assert (done.phase, done.reason) == (Phase.DONE, Reason.BY_HAND)


@pytest.mark.parametrize("phase", [Phase.PREPARE, Phase.CHECK, Phase.GOLDEN])
def test_what_is_not_checked_is_not_promoted(phase: Phase) -> None:
    world = World(PLAN)
    after = world.step(world.run(until=phase), PROMOTE)
    assert wish(after).weight == 0 or after.phase is Phase.SHIFT
    assert any("not checked yet" in event.sentence for event in after.timeline)


def test_the_first_signal_that_decides_wins() -> None:
    world = World(PLAN)
    after = world.step(world.run(until=Phase.HOLD), ABORT, PROMOTE, PAUSE)
    assert after.phase is Phase.ABORT
    assert [event.sentence for event in after.timeline][-2:] == [
        "ada asked to promote; not done: it is past that (abort).",
        "ada asked to pause; not done: it is past that (abort).",
    ]


def test_an_end_hears_nobody() -> None:
    world = World(PLAN)
    done = world.run()
    assert advance(done, replace(healthy(done, world.now), signals=(ABORT,)), world.now) == done


def test_the_forge_is_not_asked_at_every_look() -> None:
    world = World(replace(PLAN, patience=timedelta(minutes=5)))
    world.alter = lambda rollout, seen: (
        replace(seen, gates=Gates("a check is pending")) if seen.gates and rollout.steps else seen
    )
    asked = world.run(until=Phase.ASK)
    assert asked.reason is Reason.GATE
    reads = [seen for seen in world.observed if seen.gates is not None]
    assert 5 <= len(reads) <= 11


def test_r8_every_shift_of_traffic_waits_for_the_gates_to_be_read_again() -> None:
    world = World(PLAN)
    done = world.run()
    shifts = [(before, after) for before, after in pairwise(world.looks) if after.weight > before.weight]
    assert done.phase is Phase.DONE
    assert len(shifts) == len(PLAN.steps) + 1  # and the promotion
    for _, after in shifts:
        assert world.observed[world.looks.index(after)].gates == Gates()


@pytest.mark.parametrize("share", [0, *PLAN.steps])
def test_r8_no_traffic_is_shifted_past_a_gate_that_does_not_hold_any_more(share: int) -> None:
    world = World(replace(PLAN, patience=timedelta(minutes=2), ask_timeout=timedelta(minutes=1)))
    world.alter = lambda rollout, seen: (
        replace(seen, gates=Gates("The approval was dismissed."))
        if seen.gates and rollout.weight == share
        else seen
    )
    ended = world.run()
    assert max(one.weight for one in world.looks) == share
    assert ended.phase is Phase.ROLLED_BACK


def test_r8_gates_that_cannot_be_read_shift_nothing() -> None:
    world = World(PLAN)
    world.alter = lambda _rollout, seen: replace(seen, gates=Unknown("no answer")) if seen.gates else seen
    assert world.run().phase is Phase.ROLLED_BACK
    assert max(one.weight for one in world.looks) == 0
