"""The only ways in which a rollout changes its phase."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from kfops.domain.canary_facts import Failure
from kfops.domain.rollout import Event, Phase, Reason, Rollback, Rollout, Verdict
from kfops.rules.rollout.table import LEGAL

_MEASURED = frozenset({Reason.ERRORS, Reason.SLOW})


def move(rollout: Rollout, phase: Phase, now: datetime, sentence: str, **changes: Any) -> Rollout:
    """The rollout in its next phase, with the sentence in its history.

    Raises ValueError for a transition that the table does not have: a defect in these rules, not in the world.
    """
    if phase not in LEGAL[rollout.phase]:
        raise ValueError(f"a rollout cannot go from {rollout.phase} to {phase}; see rules.rollout.table")
    over: dict[str, Any] = {"ended_at": now} if phase.is_final else {}
    over["wants_forge"] = phase is Phase.MERGE
    return replace(
        tell(rollout, now, sentence, phase), phase=phase, since=now, sentence=sentence, **{**over, **changes}
    )


def tell(rollout: Rollout, now: datetime, sentence: str, phase: Phase | None = None) -> Rollout:
    """A line in the history, without any change of phase."""
    return replace(rollout, timeline=(*rollout.timeline, Event(now, phase or rollout.phase, sentence)))


def close_step(rollout: Rollout, now: datetime, **changes: Any) -> Rollout:
    """The weight is about to change or has changed: what is counted from now on belongs to another stratum."""
    if not rollout.steps or rollout.steps[-1].ended is not None:
        return rollout
    last = replace(rollout.steps[-1], ended=now, **changes)
    return replace(rollout, steps=(*rollout.steps[:-1], last))


def take_back(
    rollout: Rollout,
    now: datetime,
    reason: Reason,
    sentence: str,
    *,
    failure: Failure | None = None,
    numbers: tuple[tuple[str, float], ...] = (),
) -> Rollout:
    """Weight 0 from now on; the way back has begun and nothing turns it round."""
    verdict = Verdict.ASK if reason is Reason.NOBODY_ANSWERED else Verdict.ROLL_BACK
    rollout = close_step(
        rollout, now, **({"verdict": verdict, "reason": reason} if reason in _MEASURED else {})
    )
    firsts = [s.counts.candidate.first_bad_at for s in rollout.steps if s.counts is not None]
    back = Rollback(
        wished_at=now,
        first_bad_at=min((at for at in firsts if at is not None), default=None),
        failure=failure,
        was_exposed=rollout.weight > 0,
    )
    return move(
        rollout,
        Phase.ABORT,
        now,
        sentence,
        weight=0,
        verdict=verdict,
        reason=reason,
        verdict_sentence=sentence,
        numbers=numbers,
        rollback=back,
        paused_at=None,
        paused_by=None,
        promote_by=None,
    )


def promote(rollout: Rollout, now: datetime, reason: Reason, sentence: str, **changes: Any) -> Rollout:
    rollout = close_step(rollout, now, verdict=Verdict.PROMOTE, reason=reason)
    return move(
        rollout,
        Phase.PROMOTE,
        now,
        sentence,
        weight=100,
        verdict=Verdict.PROMOTE,
        reason=reason,
        verdict_sentence=sentence,
        promote_by=None,
        **changes,
    )
