"""The way back: weight 0, no request any more, the candidate away. Only what was seen counts as done."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from kfops.domain.canary_facts import Observation, Readiness, Standstill
from kfops.domain.rollout import Phase, Reason, Rollback, Rollout
from kfops.rules.rollout.moves import move, take_back
from kfops.rules.rollout.table import CAN_GO_BACK


def stopped(rollout: Rollout, now: datetime, why: str) -> Rollout:
    """What cannot go on, for a reason outside of these rules. From where the champion can have everything back it gets
    it; elsewhere the rollout stays and says so.
    """
    if rollout.phase in CAN_GO_BACK:
        return take_back(rollout, now, Reason.STOPPED, f"The rollout cannot go on: {why}")
    return replace(
        rollout, sentence=f"{rollout.verdict_sentence} It cannot go on and is tried again: {why}".strip()
    )


def abort(rollout: Rollout, observation: Observation, now: datetime) -> Rollout:
    """Until the backend shows weight 0 and the candidate's counter has stood still for `still_for`.

    Where the counter cannot be read the candidate is taken away after the deadline: what is gone answers nobody.
    """
    back = _seen(rollout, observation, now)
    rollout = replace(rollout, rollback=back)
    if observation.weight != 0 or back.shown_at is None:
        if now - rollout.since < rollout.plan.ready_deadline:
            return rollout
        told = (
            f"{rollout.verdict_sentence} The backend still does not show 0 %: users may be on the candidate."
        )
        return replace(rollout, sentence=told)
    is_blind = not isinstance(observation.standstill, Standstill)
    waited_long = now - back.shown_at >= rollout.plan.ready_deadline
    if back.still_at is not None or not back.was_exposed:
        return move(rollout, Phase.RESTORE, now, "No user reaches the candidate any more; taking it away.")
    if observation.readiness is Readiness.ABSENT:
        return move(rollout, Phase.RESTORE, now, "The candidate is gone.")
    if is_blind and waited_long:
        return move(
            rollout, Phase.RESTORE, now, "Its requests could not be counted; taking the candidate away."
        )
    return rollout


def restore(rollout: Rollout, observation: Observation, now: datetime) -> Rollout:
    """Rolled back is what the backend shows as such: weight 0, no candidate, and no request since."""
    before = rollout.rollback
    back = _seen(rollout, observation, now)
    rollout = replace(rollout, rollback=back)
    is_gone = observation.weight == 0 and observation.readiness is Readiness.ABSENT
    counter = observation.standstill
    has_moved = (
        isinstance(counter, Standstill) and before is not None and before.total not in (None, counter.total)
    )
    if not is_gone or has_moved:
        return rollout
    ended = replace(back, still_at=back.still_at or now)
    told = "The candidate is gone." if rollout.plan.is_first else "The champion has all traffic again."
    return move(rollout, Phase.ROLLED_BACK, now, f"{rollout.verdict_sentence} {told}", rollback=ended)


def _seen(rollout: Rollout, observation: Observation, now: datetime) -> Rollback:
    """The way back with this look's sightings: weight 0 since when, and how long the counter has not moved."""
    back = rollout.rollback or Rollback(wished_at=rollout.since)
    if observation.weight == 0 and back.shown_at is None:
        back = replace(back, shown_at=now)
    counter = observation.standstill
    if not isinstance(counter, Standstill):
        return back
    if counter.total != back.total:
        return replace(
            back,
            total=counter.total,
            unmoved_since=counter.read_at,
            still_at=None,
            last_request_at=counter.last_request_at,
        )
    back = replace(back, last_request_at=counter.last_request_at or back.last_request_at)
    if back.still_at is not None or back.shown_at is None or back.unmoved_since is None:
        return back
    # A counter that was read before weight 0 showed proves nothing about what came in between.
    quiet_since = max(back.unmoved_since, back.shown_at)
    if observation.weight == 0 and counter.read_at - quiet_since >= rollout.plan.still_for:
        return replace(back, still_at=counter.read_at)
    return back
