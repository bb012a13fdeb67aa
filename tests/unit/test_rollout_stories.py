"""What becomes of a candidate, told with a backend that follows and users who keep calling."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import groupby

import pytest
from tests.support.rollout_world import GOLDEN, NOON, Alter, World

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
    Unknown,
)
from kfops.domain.pull_request import MergeRefused
from kfops.domain.rollout import Phase, Reason, Rollout, RolloutPlan, Verdict
from kfops.rules.rollout import counting, look_again, needs, stopped, wish
from kfops.rules.rollout.moves import move
from kfops.rules.rollout.table import CAN_GO_BACK
from kfops.rules.rollout.words import failure_sentence

QUICK = RolloutPlan(
    steps=(5, 25, 50),
    hold=timedelta(seconds=5),
    watch=timedelta(seconds=5),
    min_requests=50,
    max_error_increase=0.05,
    patience=timedelta(minutes=2),
    ask_timeout=timedelta(minutes=4),
    ready_deadline=timedelta(seconds=30),
)
FIRST = replace(QUICK, is_first=True)
ONE_STEP = replace(QUICK, steps=(25,))


def changing(**fields: object) -> Alter:
    def alter(_rollout: Rollout, seen: Observation) -> Observation:
        return replace(seen, **fields)  # type: ignore[arg-type]

    return alter


def in_phase(phase: Phase, **fields: object) -> Alter:
    def alter(rollout: Rollout, seen: Observation) -> Observation:
        return replace(seen, **fields) if rollout.phase is phase else seen  # type: ignore[arg-type]

    return alter


def phases(world: World) -> list[Phase]:
    return [phase for phase, _ in groupby(rollout.phase for rollout in world.looks)]


def weights(world: World) -> list[int]:
    return [weight for weight, _ in groupby(wish(rollout).weight for rollout in world.looks)]


def test_a_good_candidate_climbs_is_watched_merged_and_becomes_the_champion() -> None:
    world = World(QUICK)
    done = world.run()
    assert (done.phase, done.reason, done.merge_sha) == (Phase.DONE, Reason.GOOD, "5eed5eed")
    assert weights(world) == [0, 5, 25, 50, 100]
    assert [step.share for step in done.steps] == [5, 25, 50, 100]
    assert wish(done).promote_candidate
    assert not any(wish(r).promote_candidate for r in world.looks if r.phase is Phase.MERGE)
    assert dict(done.numbers)["e_errors_good"] >= 20
    assert "0 of" in done.verdict_sentence


def test_without_a_merge_the_watch_is_the_end() -> None:
    world = World(replace(QUICK, merges=False))
    assert world.run().phase is Phase.DONE
    assert Phase.MERGE not in phases(world)


def test_a_first_deployment_has_no_steps() -> None:
    world = World(FIRST)
    assert world.run().phase is Phase.DONE
    assert phases(world) == [
        Phase.PREPARE, Phase.CHECK, Phase.GOLDEN, Phase.PROMOTE, Phase.WATCH, Phase.MERGE, Phase.FINISH, Phase.DONE,
    ][1:]  # fmt: skip


def test_a_first_deployment_that_fails_is_taken_away() -> None:
    world = World(FIRST, failing=0.5)
    back = world.run()
    assert (back.phase, back.reason) == (Phase.ROLLED_BACK, Reason.ERRORS)
    assert not any(wish(r).candidate_present for r in world.looks if r.phase is Phase.ABORT)
    assert back.sentence.endswith("The candidate is gone.")


def test_a_failing_candidate_is_taken_back_within_seconds_and_fifteen_bad_answers() -> None:
    world = World(replace(ONE_STEP, max_error_increase=0.01), failing=0.3)
    back = world.run()
    assert (back.phase, back.reason, back.verdict) == (Phase.ROLLED_BACK, Reason.ERRORS, Verdict.ROLL_BACK)
    assert back.rollback is not None
    step = back.steps[-1]
    assert step.counts is not None
    assert step.counts.candidate.errors <= 15
    assert back.rollback.wished_at - step.began <= timedelta(seconds=5)
    assert step.verdict is Verdict.ROLL_BACK
    assert back.rollback.first_bad_at is not None
    assert back.rollback.still_at is not None


def test_a_candidate_that_fails_at_full_traffic_only_is_compared_again_and_then_asked_about() -> None:
    world = World(QUICK)

    def alter(rollout: Rollout, seen: Observation) -> Observation:
        world.failing = 0.4 if rollout.weight == 100 else 0.0
        return seen

    world.alter = alter
    asked = world.run(until=Phase.ASK)
    assert asked.reason is Reason.ONLY_AT_FULL
    assert phases(world).count(Phase.WATCH) == 2
    assert asked.weight == 50


def test_bad_times_for_both_do_not_condemn_the_candidate() -> None:
    world = World(QUICK)

    def alter(rollout: Rollout, seen: Observation) -> Observation:
        in_trouble = sum(step.is_watch for step in rollout.steps) == 1
        world.failing = world.champion_failing = 0.2 if in_trouble else 0.0
        return seen

    world.alter = alter
    done = world.run()
    assert (done.phase, done.reason) == (Phase.DONE, Reason.GOOD)
    assert phases(world).count(Phase.WATCH) == 2


@pytest.mark.parametrize("kind", list(FailureKind))
def test_a_candidate_that_does_not_come_up_is_named_and_no_user_saw_it(kind: FailureKind) -> None:
    world = World(QUICK, alter=in_phase(Phase.PREPARE, readiness=Failure(kind, "exit code 3")))
    back = world.run()
    assert (back.phase, back.reason.value) == (Phase.ROLLED_BACK, kind.value)
    assert weights(world) == [0]
    assert back.rollback is not None
    assert back.rollback.failure == Failure(kind, "exit code 3")
    waits = kind in {FailureKind.IMAGE_PULL, FailureKind.QUOTA}
    assert (world.now - NOON >= QUICK.ready_deadline) == waits


def test_a_candidate_that_never_gets_ready() -> None:
    world = World(QUICK, alter=in_phase(Phase.PREPARE, readiness=Readiness.STARTING))
    assert world.run().reason is Reason.NEVER_READY


@pytest.mark.parametrize("fault", list(CheckFault))
def test_each_fault_of_the_endpoint_check_has_its_name(fault: CheckFault) -> None:
    world = World(QUICK, alter=in_phase(Phase.CHECK, check=CheckResult(fault, "found 500, expected 200")))
    back = world.run()
    assert back.reason.value == f"check_{fault}"
    assert "found 500" in back.sentence
    assert weights(world) == [0]


@pytest.mark.parametrize(("phase", "field"), [(Phase.CHECK, "check"), (Phase.GOLDEN, "golden")])
def test_what_cannot_be_checked_is_not_tried_on_users(phase: Phase, field: str) -> None:
    world = World(QUICK, alter=in_phase(phase, **{field: Unknown("no route")}))
    assert world.run().reason.value == f"{field}_impossible"
    assert weights(world) == [0]


def test_a_worse_golden_set_never_sees_a_user() -> None:
    world = World(QUICK, alter=in_phase(Phase.GOLDEN, golden=GoldenResult(True, 500, "roc_auc", 0.61, 0.82)))
    back = world.run()
    assert back.reason is Reason.GOLDEN_WORSE
    assert weights(world) == [0]
    assert "0.61 against 0.82" in back.sentence


@pytest.mark.parametrize("phase", [Phase.HOLD, Phase.WATCH, Phase.MERGE])
def test_a_candidate_that_dies_under_traffic_is_taken_back_at_once(phase: Phase) -> None:
    world = World(QUICK)
    rollout = world.run(until=phase)
    world.alter = in_phase(phase, readiness=Failure(FailureKind.OUT_OF_MEMORY), merge=None)
    after = world.step(rollout)
    assert (after.phase, after.reason, wish(after).weight) == (Phase.ABORT, Reason.OUT_OF_MEMORY, 0)


def test_a_share_that_does_not_show_ends_the_rollout() -> None:
    world = World(QUICK, alter=in_phase(Phase.SHIFT, weight=0))
    assert world.run().reason is Reason.WEIGHT_NOT_APPLIED


def test_a_weight_changed_by_somebody_else_starts_a_new_stratum() -> None:
    world = World(ONE_STEP)
    held = world.run(until=Phase.HOLD)
    world.alter = in_phase(Phase.HOLD, weight=90)
    again = world.step(held)
    assert (again.phase, again.weight) == (Phase.SHIFT, 25)
    world.alter = lambda _rollout, seen: seen
    assert len([s for s in world.run(until=Phase.PROMOTE).steps if s.share == 25]) == 2


def test_somebody_else_steering_the_same_traffic_ends_the_rollout() -> None:
    world = World(ONE_STEP, alter=in_phase(Phase.HOLD, weight=90))
    back = world.run()
    assert (back.phase, back.reason, len(back.steps)) == (Phase.ROLLED_BACK, Reason.WEIGHT_NOT_APPLIED, 10)


def test_a_weight_that_does_not_go_down_is_said() -> None:
    world = World(ONE_STEP, failing=1.0, alter=in_phase(Phase.ABORT, weight=25))
    world.run(limit=timedelta(minutes=2))
    assert world.looks[-1].phase is Phase.ABORT
    assert "still does not show 0 %" in world.looks[-1].sentence


def test_no_traffic_is_decided_by_a_replay() -> None:
    done = World(QUICK, rps=0).run()
    assert (done.phase, done.reason) == (Phase.DONE, Reason.REPLAYED)
    assert "Replayed 500 requests" in done.verdict_sentence


@pytest.mark.parametrize(("replay", "reason"), [
    (ReplayResult(500, 400), Reason.DISAGREES),
    (ReplayResult(500, 40, labelled=500, candidate_wrong=38, champion_wrong=2), Reason.DISAGREES),
    (ReplayResult(500, 0, candidate_errors=1), Reason.ERRORS),
    (ReplayResult(0, 0), Reason.NO_TRAFFIC),
])  # fmt: skip
def test_a_replay_that_objects_asks_and_does_not_roll_back(replay: ReplayResult, reason: Reason) -> None:
    world = World(QUICK, rps=0, alter=in_phase(Phase.SHADOW, replay=replay))
    asked = world.run(until=Phase.ASK)
    assert (asked.reason, asked.verdict, asked.weight) == (reason, Verdict.ASK, 5)


def test_no_traffic_may_ask_at_once() -> None:
    asked = World(replace(QUICK, without_traffic="ask"), rps=0).run(until=Phase.ASK)
    assert asked.reason is Reason.NO_TRAFFIC


def test_no_statistics_are_neither_good_nor_bad() -> None:
    plan = replace(QUICK, without_traffic="ask")
    asked = World(plan, failing=1.0, alter=changing(counts=Unknown("Prometheus did not answer"))).run(
        until=Phase.ASK
    )
    assert asked.reason is Reason.NO_STATISTICS


def test_statistics_that_end_during_a_hold_stop_the_climb_and_then_ask() -> None:
    def alter(rollout: Rollout, seen: Observation) -> Observation:
        return replace(seen, counts=Unknown("gone")) if rollout.weight == 25 and seen.counts else seen

    world = World(QUICK, alter=alter)
    asked = world.run(until=Phase.ASK)
    assert (asked.reason, asked.weight) == (Reason.NO_STATISTICS, 25)
    assert sum("cannot be counted now" in event.sentence for event in asked.timeline) == 1


def test_a_share_that_does_not_fit_is_unknown_even_with_errors() -> None:
    wrong = Counts(ArmCounts(900, 300), ArmCounts(100))
    world = World(ONE_STEP, alter=in_phase(Phase.HOLD, counts=wrong))
    asked = world.run(until=Phase.ASK)
    assert asked.reason is Reason.SAMPLE_RATIO
    assert "does not fit its share of 25 %" in asked.sentence


def test_small_harm_stops_the_climb() -> None:
    def alter(rollout: Rollout, seen: Observation) -> Observation:
        harmed = Counts(ArmCounts(2_000, 20), ArmCounts(38_000, 20))
        return replace(seen, counts=harmed) if rollout.phase is Phase.HOLD else seen

    world = World(QUICK, alter=alter)
    asked = world.run(until=Phase.ASK)
    assert (asked.reason, asked.weight) == (Reason.CLIMB_STOPPED, 5)
    assert sum("Stopped climbing at 5 %" in event.sentence for event in asked.timeline) == 1


def test_silence_restores_the_champion_and_counts_as_asked() -> None:
    world = World(replace(QUICK, without_traffic="ask"), rps=0)
    back = world.run()
    assert (back.phase, back.reason, back.verdict) == (Phase.ROLLED_BACK, Reason.NOBODY_ANSWERED, Verdict.ASK)
    assert back.asked_at is not None
    assert back.ended_at is not None
    assert back.ended_at - back.asked_at >= QUICK.ask_timeout


def test_bad_evidence_while_a_person_is_asked_takes_the_candidate_back() -> None:
    world = World(replace(ONE_STEP, without_traffic="ask"), rps=0)
    asked = world.run(until=Phase.ASK)
    assert asked.phase is Phase.ASK
    world.rps, world.failing = 40, 0.5
    assert world.run().reason is Reason.ERRORS


def test_three_times_slower_is_taken_back() -> None:
    def alter(rollout: Rollout, seen: Observation) -> Observation:
        asked = counting(rollout)
        if not isinstance(seen.counts, Counts) or asked is None or asked.champion_slow_ms is None:
            return seen
        assert asked.candidate_slow_ms == pytest.approx(25)
        c, s = seen.counts.candidate, seen.counts.champion
        slow = Counts(
            replace(c, timed=c.requests, slow=c.requests // 2),
            replace(s, timed=s.requests, slow=s.requests // 20),
        )
        return replace(seen, counts=slow)

    world = World(replace(ONE_STEP, hold=timedelta(minutes=1)), alter=alter)
    back = world.run()
    assert (back.phase, back.reason) == (Phase.ROLLED_BACK, Reason.SLOW)
    assert "slower than 1.25 times" in back.verdict_sentence


def test_a_few_milliseconds_are_nobodys_harm() -> None:
    world = World(ONE_STEP, alter=changing(champion_before=ArmCounts(500, p95_ms=2.0)))
    held = world.run(until=Phase.HOLD)
    asked = counting(held)
    assert asked is not None
    assert (asked.champion_slow_ms, asked.candidate_slow_ms) == (2.0, 7.0)


def test_gates_that_no_longer_hold_keep_a_good_candidate_from_promotion() -> None:
    def alter(_rollout: Rollout, seen: Observation) -> Observation:
        return replace(seen, gates=Gates("an approval was dismissed")) if seen.gates else seen

    world = World(QUICK, alter=alter)
    asked = world.run(until=Phase.ASK)
    assert asked.reason is Reason.GATE
    assert 100 not in weights(world)


def test_a_merge_refused_for_good_restores_the_champion() -> None:
    refused = MergeRefused("The head was modified.", is_final=True)
    world = World(QUICK, alter=in_phase(Phase.MERGE, merge=refused))
    back = world.run()
    assert (back.phase, back.reason) == (Phase.ROLLED_BACK, Reason.MERGE_REFUSED)
    assert weights(world)[-2:] == [100, 0]


def test_a_merge_that_has_to_wait_is_tried_until_patience_ends() -> None:
    waiting = MergeRefused("A required check is pending.", is_final=False)
    world = World(QUICK, alter=in_phase(Phase.MERGE, merge=waiting))
    merging = world.run(until=Phase.MERGE)
    back = world.run()
    assert back.reason is Reason.MERGE_REFUSED
    assert world.now - merging.since >= QUICK.patience


@pytest.mark.parametrize("phase", [Phase.PREPARE, Phase.GOLDEN, Phase.HOLD, Phase.WATCH])
def test_a_push_supersedes_the_rollout(phase: Phase) -> None:
    world = World(QUICK)
    rollout = world.run(until=phase)
    world.alter = in_phase(phase, superseded_by="c0ffee0123")
    after = world.step(rollout)
    assert (after.phase, after.reason) == (Phase.ABORT, Reason.SUPERSEDED)
    assert "c0ffee0" in after.sentence


def test_rolled_back_is_not_written_while_the_counter_moves() -> None:
    world = World(ONE_STEP, failing=1.0)
    rollout = world.run(until=Phase.ABORT)
    for _ in range(30):
        world.total += 1
        rollout = world.step(rollout)
    assert rollout.phase is Phase.ABORT
    assert world.run().phase is Phase.ROLLED_BACK


def test_users_at_risk_are_looked_at_often_and_an_end_never() -> None:
    world = World(QUICK)
    done = world.run()
    assert look_again(done, world.now) == timedelta()
    assert not needs(done)
    for rollout in world.looks:
        if 0 < wish(rollout).weight < 100:
            assert look_again(rollout, world.now) <= timedelta(seconds=1)


def test_nothing_kept_as_golden_set_is_said() -> None:
    world = World(
        QUICK, alter=in_phase(Phase.GOLDEN, golden=replace(GOLDEN, rows=0, message="the run kept none"))
    )
    done = world.run()
    assert any("No golden set: the run kept none" in event.sentence for event in done.timeline)


def test_a_counter_that_cannot_be_read_is_no_proof_so_the_candidate_is_taken_away_first() -> None:
    world = World(ONE_STEP, failing=1.0, alter=in_phase(Phase.ABORT, standstill=Unknown("no statistics")))
    back = world.run()
    assert back.phase is Phase.ROLLED_BACK
    assert back.rollback is not None
    assert back.rollback.shown_at is not None
    restored = next(r for r in world.looks if r.phase is Phase.RESTORE)
    assert restored.since - back.rollback.shown_at >= QUICK.ready_deadline


def test_a_merge_nobody_can_tell_about_restores_the_champion() -> None:
    world = World(QUICK, alter=in_phase(Phase.MERGE, merge=Unknown("GitHub did not answer")))
    assert world.run().reason is Reason.MERGE_REFUSED


@pytest.mark.parametrize(("seen", "reason"), [
    ({"replay": Unknown("no samples")}, Reason.NO_TRAFFIC),
    ({"gates": Gates("an approval was dismissed")}, Reason.GATE),
])  # fmt: skip
def test_a_replay_that_leads_nowhere_is_asked_about(seen: dict[str, object], reason: Reason) -> None:
    world = World(QUICK, rps=0, alter=in_phase(Phase.SHADOW, **seen))
    assert world.run(until=Phase.ASK).reason is reason


def test_a_share_without_a_single_request_on_the_candidate_is_no_reason_to_climb() -> None:
    few = Counts(ArmCounts(), ArmCounts(3))
    world = World(QUICK, alter=in_phase(Phase.HOLD, counts=few))
    asked = world.run(until=Phase.ASK)
    assert (asked.reason, asked.weight) == (Reason.UNDECIDED, 5)


def test_a_watch_without_an_earlier_champion_still_sees_a_broken_candidate() -> None:
    world = World(QUICK, rps=0)
    world.run(until=Phase.WATCH)
    world.rps, world.failing = 40, 0.9
    assert world.run().reason is Reason.ERRORS
    assert Phase.SHIFT in phases(world)[phases(world).index(Phase.WATCH) :]


def test_a_person_who_is_asked_for_too_few_requests_is_told_what_a_replay_shows() -> None:
    world = World(replace(QUICK, steps=(25,), min_requests=400), rps=0.4)
    asked = world.run(until=Phase.ASK)
    assert asked.replay is None
    told = world.step(asked)
    assert (told.phase, told.replay.pairs) == (Phase.ASK, 500)
    assert "Replayed 500 requests to both" in told.sentence
    assert world.run().reason is Reason.NOBODY_ANSWERED
    alone = World(replace(QUICK, steps=(25,), min_requests=400, without_traffic="ask"), rps=0.4)
    assert alone.step(alone.run(until=Phase.ASK)).replay is None


@pytest.mark.parametrize("phase", sorted(CAN_GO_BACK - {Phase.SHADOW, Phase.ASK}))
def test_what_cannot_go_on_gives_the_champion_everything_back(phase: Phase) -> None:
    world = World(ONE_STEP)
    before = world.run(until=phase)
    after = stopped(before, world.now, "the model is not in the store any more")
    assert (after.phase, after.reason, wish(after).weight) == (Phase.ABORT, Reason.STOPPED, 0)
    world.looks.append(after)
    assert world.run().phase is Phase.ROLLED_BACK


def test_a_way_back_that_cannot_go_on_is_not_called_over() -> None:
    world = World(ONE_STEP, failing=0.5)
    before = world.run(until=Phase.ABORT)
    after = stopped(before, world.now, "the champion's model is gone")
    assert after.phase is Phase.ABORT
    assert "tried again: the champion's model is gone" in after.sentence


def test_each_failure_has_a_sentence_of_its_own() -> None:
    said = {failure_sentence(Failure(kind)) for kind in FailureKind}
    assert len(said) == len(FailureKind)


def test_an_illegal_transition_is_a_defect() -> None:
    with pytest.raises(ValueError, match="cannot go from prepare to done"):
        move(World(QUICK).run(until=Phase.PREPARE), Phase.DONE, NOON, "")
