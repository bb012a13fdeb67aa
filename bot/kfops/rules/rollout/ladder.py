"""The rungs before any user: ready, the endpoint check, the golden set."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from kfops.domain.canary_facts import (
    ArmCounts,
    CheckResult,
    Failure,
    FailureKind,
    GoldenResult,
    Observation,
    Readiness,
    Unknown,
)
from kfops.domain.rollout import Phase, Reason, Rollout
from kfops.rules.rollout.forge import gates_of
from kfops.rules.rollout.moves import move, promote, take_back
from kfops.rules.rollout.words import failure_sentence


def prepare(rollout: Rollout, observation: Observation, now: datetime) -> Rollout:
    if isinstance(observation.champion_before, ArmCounts):
        rollout = replace(rollout, champion_before=observation.champion_before)
    if rollout.paused_at is not None:
        return rollout
    if observation.readiness is Readiness.READY:
        waited = (now - rollout.started_at).total_seconds()
        return move(
            rollout, Phase.CHECK, now, f"The candidate is ready after {waited:.1f} s; checking it alone."
        )
    if now - rollout.since < rollout.plan.ready_deadline:
        return rollout
    failure = observation.readiness
    if not isinstance(failure, Failure):
        failure = Failure(FailureKind.NEVER_READY)
    deadline = rollout.plan.ready_deadline.total_seconds()
    sentence = f"The candidate was not ready within {deadline:.0f} s. {failure_sentence(failure)}"
    return take_back(rollout, now, Reason(failure.kind.value), sentence, failure=failure)


def check(rollout: Rollout, observation: Observation, now: datetime) -> Rollout:
    if rollout.paused_at is not None:
        return rollout
    result = observation.check
    if not isinstance(result, CheckResult):
        return _or_give_up(
            rollout, now, Reason.CHECK_IMPOSSIBLE, "The endpoint check could not be made", result
        )
    rollout = replace(rollout, check=result)
    if result.fault is None:
        return move(rollout, Phase.GOLDEN, now, "The endpoint check passed; comparing on the golden set.")
    reason = Reason(f"check_{result.fault}")
    return take_back(
        rollout, now, reason, f"The endpoint check failed on its {_FAULTS[reason]}: {result.message}"
    )


def golden(rollout: Rollout, observation: Observation, now: datetime) -> Rollout:
    if rollout.paused_at is not None:
        return rollout
    result = observation.golden if isinstance(observation.golden, GoldenResult) else rollout.golden
    if result is None:
        seen = observation.golden if isinstance(observation.golden, Unknown) else None
        return _or_give_up(rollout, now, Reason.GOLDEN_IMPOSSIBLE, "The golden set could not be scored", seen)
    rollout = replace(rollout, golden=result)
    told = _golden_sentence(result)
    if result.is_worse:
        return take_back(rollout, now, Reason.GOLDEN_WORSE, f"{told} No user has seen it.")
    rollout, gates = gates_of(rollout, observation, now)
    if gates is None:
        seen = observation.gates if isinstance(observation.gates, Unknown) else None
        return _or_give_up(rollout, now, Reason.GATE, "The gates could not be read again", seen)
    if gates.broken is not None:
        if now - rollout.since < rollout.plan.ready_deadline:
            return replace(rollout, sentence=f"No traffic is shifted yet: {gates.broken}")
        return take_back(rollout, now, Reason.GATE, f"No user has seen it. {gates.broken}")
    if rollout.plan.is_first:
        return promote(
            rollout, now, Reason.FIRST, f"{told} Nothing serves yet: all traffic goes to the candidate."
        )
    share = rollout.plan.steps[0]
    return move(rollout, Phase.SHIFT, now, f"{told} Shifting {share} % of traffic.", step=0, weight=share)


_FAULTS = {
    Reason.CHECK_STATUS: "status",
    Reason.CHECK_SHAPE: "shape",
    Reason.CHECK_NOT_FINITE: "numbers, which are not all finite",
    Reason.CHECK_SLOW: "time limit",
    Reason.CHECK_SKEW: "values: what is served differs from what was trained",
}


def _or_give_up(rollout: Rollout, now: datetime, reason: Reason, what: str, seen: Unknown | None) -> Rollout:
    """What cannot be known within the deadline is no reason to let users try it."""
    deadline = rollout.plan.ready_deadline
    why = f": {seen.reason}" if seen is not None else "."
    if now - rollout.since < deadline:
        return rollout if seen is None else replace(rollout, sentence=_ended(f"{what} yet{why}"))
    return take_back(rollout, now, reason, _ended(f"{what} within {deadline.total_seconds():.0f} s{why}"))


def _golden_sentence(result: GoldenResult) -> str:
    if result.rows == 0:
        return _ended(f"No golden set: {result.message or 'the run kept no held-out rows'}")
    if result.candidate is None and result.is_worse:
        return _ended(result.message)
    word = "worse" if result.is_worse else "not worse"
    candidate = "" if result.candidate is None else f" {result.candidate:.4g}"
    champion = "" if result.champion is None else f" against {result.champion:.4g}"
    told = f"On {result.rows} held-out rows the candidate is {word}: {result.metric}{candidate}{champion}."
    return f"{told} {_ended(result.message)}".strip()


def _ended(sentence: str) -> str:
    return f"{sentence}." if sentence and sentence[-1] not in ".!?" else sentence
