"""What a rollout wants of the world: how the backend shall look, which facts, and when to look again."""

from __future__ import annotations

from datetime import datetime, timedelta

from kfops.domain.rollout import Counting, Need, Phase, Rollout, Wish
from kfops.rules.rollout.table import CAN_PROMOTE, NEEDS, REPLAYS

_SOON = timedelta(seconds=0.1)
_WAITING = timedelta(seconds=1)


def wish(rollout: Rollout) -> Wish:
    """How the backend shall look now. Going back, the candidate stays until no user can be on it any more."""
    match rollout.phase:
        case Phase.FINISH | Phase.DONE:
            return Wish(100, candidate_present=True, promote_candidate=True)
        case Phase.ABORT:
            return Wish(0, candidate_present=not rollout.plan.is_first)
        case Phase.RESTORE | Phase.ROLLED_BACK:
            return Wish(0, candidate_present=False)
        case _:
            return Wish(rollout.weight, candidate_present=True)


def needs(rollout: Rollout) -> frozenset[Need]:
    """The facts that the next `advance` can use. The forge is asked only where the answer matters, and seldom."""
    wanted = NEEDS[rollout.phase]
    if rollout.champion_before is not None:
        wanted -= {Need.CHAMPION_BEFORE}
    is_unwanted = rollout.phase is Phase.ASK and rollout.plan.without_traffic == "ask"
    if rollout.replay is not None or rollout.replay_failures >= REPLAYS or is_unwanted:
        wanted -= {Need.REPLAY}
    if rollout.golden is not None:
        wanted -= {Need.GOLDEN}
    if not rollout.wants_forge:
        return wanted
    if rollout.phase in CAN_PROMOTE or rollout.phase is Phase.GOLDEN:
        wanted |= {Need.GATES}
    return wanted | {Need.MERGE} if rollout.phase is Phase.MERGE else wanted


def look_again(rollout: Rollout, now: datetime) -> timedelta:
    """How long to wait before the next look; zero when it is over. Shortest where users are at risk."""
    at_risk = rollout.plan.look_every
    match rollout.phase:
        case Phase.DONE | Phase.ROLLED_BACK:
            return timedelta()
        case Phase.ABORT | Phase.RESTORE | Phase.SHIFT | Phase.PROMOTE | Phase.FINISH:
            # A backend that does not follow within its time is not asked ten times a second for an hour.
            return _SOON if now - rollout.since < 10 * _WAITING else min(at_risk * 2, _WAITING)
        case Phase.PREPARE | Phase.CHECK | Phase.GOLDEN:
            return _WAITING / 4
        case Phase.HOLD | Phase.ASK | Phase.SHADOW | Phase.WATCH | Phase.MERGE:
            return at_risk


def counting(rollout: Rollout) -> Counting | None:
    """What `Observation.counts` shall hold now; None while nothing is counted."""
    if not rollout.steps or rollout.steps[-1].ended is not None:
        return None
    step, plan = rollout.steps[-1], rollout.plan
    bound = step.slow_after_ms
    if bound is None or step.slow_since is None:
        return Counting(step.began, None, None, None)
    allowed = max(bound * plan.max_latency_ratio, bound + plan.latency_floor_ms)
    return Counting(step.began, step.slow_since, bound, allowed)
