"""Counts of one look into the step's evidence; and back, where they say so."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from kfops.domain.canary_facts import Counts, Observation
from kfops.domain.rollout import Phase, Reason, Rollout, Step, Verdict
from kfops.rules.rollout.moves import close_step, move, take_back
from kfops.rules.rollout.words import evidence_numbers, evidence_sentence
from kfops.rules.verdict import absorb, judge, verdict_of

# A p95 of fewer requests is a guess: the twentieth-largest of a hundred is its fifth.
_P95_NEEDS = 100


def new_step(rollout: Rollout, now: datetime, *, is_watch: bool = False) -> Step:
    """A stratum that begins now, with T fixed before its first request where the champion's p95 is known."""
    bound = None if is_watch else _champion_p95(rollout)
    return Step(
        share=rollout.weight,
        began=now,
        slow_after_ms=bound,
        slow_since=None if bound is None else now,
        is_watch=is_watch,
    )


def look(rollout: Rollout, observation: Observation, now: datetime) -> Rollout:
    """The rollout with this look's counts judged; on its way back where they are bad.

    Counts that cannot be had, or that were taken at another weight, leave everything as it was.
    """
    if not rollout.steps or rollout.steps[-1].ended is not None:
        return rollout
    step, earlier = rollout.steps[-1], rollout.steps[:-1]
    counted = observation.counts
    moved = isinstance(observation.weight, int) and observation.weight != rollout.weight
    if not isinstance(counted, Counts) or moved:
        if rollout.phase is Phase.HOLD:
            return replace(rollout, verdict=Verdict.WAIT, reason=Reason.NO_STATISTICS)
        return rollout
    counts, carried = absorb(step.counts, step.carried, counted)
    step = replace(step, counts=counts, carried=carried)
    step = _fix_bound(step, now)
    step = replace(step, evidence=judge(step, earlier, rollout.plan, rollout.champion_before))
    verdict, reason = verdict_of((*earlier, step), is_first=rollout.plan.is_first)
    if verdict is Verdict.PROMOTE and requests_of_candidate((*earlier, step)) < rollout.plan.min_requests:
        verdict, reason = Verdict.WAIT, Reason.UNDECIDED
    step = replace(step, verdict=verdict, reason=reason)
    rollout = replace(rollout, steps=(*earlier, step))
    if verdict is Verdict.ROLL_BACK:
        told, numbers = evidence_sentence(rollout), evidence_numbers(rollout)
        return take_back(rollout, now, reason, told, numbers=numbers)
    if step.is_watch and verdict is Verdict.ASK:
        return _split_again(rollout, now)
    if rollout.phase is Phase.HOLD:
        return replace(rollout, verdict=verdict, reason=reason)
    return rollout


def is_counted(observation: Observation) -> bool:
    return isinstance(observation.counts, Counts)


def has_seen_requests(rollout: Rollout) -> bool:
    seen = [step.counts for step in rollout.steps if step.counts is not None]
    return any(c.candidate.requests or c.champion.requests for c in seen)


def requests_of_candidate(steps: tuple[Step, ...]) -> int:
    return sum(s.counts.candidate.requests for s in steps if s.counts is not None and not s.is_watch)


def _split_again(rollout: Rollout, now: datetime) -> Rollout:
    """Out of the watch, back to the last share: the time may be bad for the champion too."""
    last = len(rollout.plan.steps) - 1
    share = rollout.plan.steps[last]
    told = f"In doubt during the watch: {evidence_sentence(rollout)} Comparing again at {share} %."
    return move(
        close_step(rollout, now), Phase.SHIFT, now, told, step=last, weight=share, verdict=Verdict.WAIT
    )


def _champion_p95(rollout: Rollout) -> float | None:
    champions = [s.counts.champion for s in rollout.steps if s.counts is not None and not s.is_watch]
    if rollout.champion_before is not None:
        champions.insert(0, rollout.champion_before)
    for arm in reversed(champions):
        if arm.requests >= _P95_NEEDS and arm.p95_ms is not None:
            return arm.p95_ms
    return None


def _fix_bound(step: Step, now: datetime) -> Step:
    """T for a step that began without one: from the champion's first requests, for those that come after."""
    if step.is_watch or step.slow_after_ms is not None or step.counts is None:
        return step
    champion = step.counts.champion
    if champion.requests < _P95_NEEDS or champion.p95_ms is None:
        return step
    return replace(step, slow_after_ms=champion.p95_ms, slow_since=now)
