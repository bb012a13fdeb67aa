"""When the forge is asked: its calls are counted, so not at every look."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from kfops.domain.canary_facts import Gates, Observation
from kfops.domain.rollout import Rollout

_PAUSE = timedelta(seconds=30)


def gates_of(rollout: Rollout, observation: Observation, now: datetime) -> tuple[Rollout, Gates | None]:
    """The gates where they were read at this look; else the wish to have them read at the next."""
    if observation.gates is None:
        return ask_forge(rollout, now), None
    read = replace(rollout, wants_forge=False, forge_read_at=now)
    return read, observation.gates if isinstance(observation.gates, Gates) else None


def ask_forge(rollout: Rollout, now: datetime) -> Rollout:
    """The wish to ask it, unless it was asked within this phase and the last half minute."""
    read_at = rollout.forge_read_at
    is_due = read_at is None or read_at < rollout.since or now - read_at >= _PAUSE
    return replace(rollout, wants_forge=rollout.wants_forge or is_due)
