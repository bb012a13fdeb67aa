"""After the verdict: all traffic, a watch, the merge, and the candidate is the champion."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from kfops.domain.canary_facts import Observation
from kfops.domain.pull_request import Merged, MergeRefused
from kfops.domain.rollout import Phase, Reason, Rollout
from kfops.rules.rollout.forge import ask_forge
from kfops.rules.rollout.measure import look, new_step
from kfops.rules.rollout.moves import close_step, move, take_back
from kfops.rules.rollout.split import or_not_applied


def promoting(rollout: Rollout, observation: Observation, now: datetime) -> Rollout:
    if observation.weight != rollout.weight:
        return or_not_applied(rollout, now)
    step = new_step(rollout, now, is_watch=True)
    told = "All traffic is on the candidate; watching it, with the champion standing by."
    if rollout.plan.is_first:
        told = "All traffic is on the candidate; watching it."
    return move(rollout, Phase.WATCH, now, told, steps=(*rollout.steps, step))


def watch(rollout: Rollout, observation: Observation, now: datetime) -> Rollout:
    rollout = look(rollout, observation, now)
    if rollout.phase is not Phase.WATCH or rollout.paused_at is not None:
        return rollout
    if now - rollout.since < rollout.plan.watch:
        return rollout
    if rollout.plan.merges:
        return move(rollout, Phase.MERGE, now, "The watch is over; merging.")
    return move(
        close_step(rollout, now), Phase.FINISH, now, "The watch is over; the candidate becomes the champion."
    )


def merge(rollout: Rollout, observation: Observation, now: datetime) -> Rollout:
    result = observation.merge
    if isinstance(result, Merged):
        told = f"Merged as {result.sha[:7]}; the candidate becomes the champion."
        return move(close_step(rollout, now), Phase.FINISH, now, told, merge_sha=result.sha)
    rollout = look(rollout, observation, now)
    if rollout.phase is not Phase.MERGE:
        return rollout
    if result is None:
        rollout = ask_forge(rollout, now)
    else:
        rollout = replace(rollout, wants_forge=False, forge_read_at=now)
    is_late = rollout.paused_at is None and now - rollout.since >= rollout.plan.patience
    if isinstance(result, MergeRefused):
        if result.is_final or is_late:
            told = f"The merge was refused: {result.reason} The champion is restored."
            return take_back(rollout, now, Reason.MERGE_REFUSED, told)
        return replace(rollout, sentence=f"The merge has to wait: {result.reason}")
    if is_late:
        told = "The merge could not be made in time; the champion is restored."
        return take_back(rollout, now, Reason.MERGE_REFUSED, told)
    return rollout


def finish(rollout: Rollout, observation: Observation, now: datetime) -> Rollout:
    if observation.promoted:
        return move(rollout, Phase.DONE, now, "The candidate is the champion.")
    return rollout
