"""What people ask of a rollout that is under way."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from kfops.domain.canary_facts import Observation, Signal, SignalKind
from kfops.domain.rollout import Phase, Reason, Rollout
from kfops.rules.rollout.forge import gates_of
from kfops.rules.rollout.moves import promote, take_back, tell
from kfops.rules.rollout.table import CAN_GO_BACK, CAN_PROMOTE


def obey(rollout: Rollout, observation: Observation, now: datetime) -> Rollout:
    """The signals in their order; those after one that changes the phase come too late and are told so."""
    phase = rollout.phase
    for signal in observation.signals:
        rollout = _one(rollout, signal, now) if rollout.phase is phase else _too_late(rollout, signal, now)
    if rollout.phase is phase and rollout.promote_by is not None:
        return _promote_by_hand(rollout, rollout.promote_by, observation, now)
    return rollout


def _one(rollout: Rollout, signal: Signal, now: datetime) -> Rollout:
    match signal.kind:
        case SignalKind.ABORT if rollout.phase in CAN_GO_BACK:
            return take_back(rollout, now, Reason.ABORTED, f"{signal.by} aborted the rollout.")
        case SignalKind.PAUSE if rollout.phase in CAN_GO_BACK:
            if rollout.paused_at is not None:
                return rollout
            paused = replace(rollout, paused_at=now, paused_by=signal.by)
            return tell(paused, now, f"{signal.by} paused the rollout; it is still watched.")
        case SignalKind.RESUME if rollout.paused_at is not None:
            return tell(_resumed(rollout, now), now, f"{signal.by} resumed the rollout.")
        case SignalKind.PROMOTE if rollout.phase in CAN_PROMOTE:
            return replace(rollout, promote_by=signal.by, wants_forge=True)
        case SignalKind.RESUME:
            return tell(rollout, now, f"{signal.by} asked to resume, but the rollout is not paused.")
        case SignalKind.PROMOTE | SignalKind.ABORT | SignalKind.PAUSE:
            return _too_late(rollout, signal, now)


def _resumed(rollout: Rollout, now: datetime) -> Rollout:
    """The pause is taken out of the phase's time, so a hold and a deadline go on where they stood."""
    if rollout.paused_at is None:
        return rollout
    began = max(rollout.paused_at, rollout.since)
    return replace(rollout, since=rollout.since + (now - began), paused_at=None, paused_by=None)


def _too_late(rollout: Rollout, signal: Signal, now: datetime) -> Rollout:
    early = {Phase.PREPARE, Phase.CHECK, Phase.GOLDEN}
    why = "the candidate is not checked yet" if rollout.phase in early else "it is past that"
    return tell(rollout, now, f"{signal.by} asked to {signal.kind}; not done: {why} ({rollout.phase}).")


def _promote_by_hand(rollout: Rollout, by: str, observation: Observation, now: datetime) -> Rollout:
    """By hand the evidence may be waived, never the gates; until they could be read the request waits."""
    rollout, gates = gates_of(rollout, observation, now)
    if gates is None:
        return rollout
    if gates.broken is not None:
        refused = f"{by} asked to promote; refused: {gates.broken}"
        return tell(replace(rollout, promote_by=None), now, refused)
    return promote(_resumed(rollout, now), now, Reason.BY_HAND, f"{by} promoted the candidate by hand.")
