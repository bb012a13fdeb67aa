"""One look: what is so now, and what follows from it. At most one phase is left at a look."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from kfops.domain.canary_facts import Failure, FailureKind, Gates, Observation
from kfops.domain.pull_request import Merged
from kfops.domain.rollout import Event, Phase, Reason, Rollout, RolloutPlan
from kfops.rules.rollout.back import abort, restore
from kfops.rules.rollout.finish import finish, merge, promoting, watch
from kfops.rules.rollout.ladder import check, golden, prepare
from kfops.rules.rollout.moves import take_back
from kfops.rules.rollout.signals import obey
from kfops.rules.rollout.split import ask, hold, shadow, shift
from kfops.rules.rollout.table import CAN_GO_BACK
from kfops.rules.rollout.words import failure_sentence

Handler = Callable[[Rollout, Observation, datetime], Rollout]

# The pull of an image is retried by the cluster and a quota may be freed: the deadline decides on these.
_MAY_MEND = frozenset({FailureKind.IMAGE_PULL, FailureKind.QUOTA})

_HANDLERS: dict[Phase, Handler] = {
    Phase.PREPARE: prepare,
    Phase.CHECK: check,
    Phase.GOLDEN: golden,
    Phase.SHIFT: shift,
    Phase.HOLD: hold,
    Phase.SHADOW: shadow,
    Phase.ASK: ask,
    Phase.PROMOTE: promoting,
    Phase.WATCH: watch,
    Phase.MERGE: merge,
    Phase.FINISH: finish,
    Phase.ABORT: abort,
    Phase.RESTORE: restore,
}


def start(plan: RolloutPlan, now: datetime) -> Rollout:
    """A rollout whose candidate is still to be started.

    Raises ValueError where the steps are not rising shares between 1 and 99 per cent (a first deployment has
    no use for them).
    """
    rising = all(a < b for a, b in zip(plan.steps, plan.steps[1:], strict=False))
    if not plan.is_first and not (plan.steps and rising and plan.steps[0] >= 1 and plan.steps[-1] <= 99):  # noqa: PLR2004
        raise ValueError(
            f"canary.steps: expected rising shares from 1 to 99 per cent, found {list(plan.steps)}"
        )
    sentence = "The candidate is being started; no user reaches it."
    return Rollout(
        plan=plan,
        phase=Phase.PREPARE,
        started_at=now,
        since=now,
        sentence=sentence,
        timeline=(Event(now, Phase.PREPARE, sentence),),
    )


def advance(rollout: Rollout, observation: Observation, now: datetime) -> Rollout:
    """The rollout after this look. Defined for every phase and every observation; final phases stay.

    People come first, then a push, then a candidate that broke, then the phase's own business. A merge that
    has happened outweighs all of them: from there the candidate is what the base branch says.
    """
    if rollout.phase.is_final:
        return rollout
    phase = rollout.phase
    is_merged = phase is Phase.MERGE and isinstance(observation.merge, Merged)
    if not is_merged:
        rollout = obey(rollout, observation, now)
        if rollout.phase is not phase:
            return rollout
        if observation.superseded_by is not None and phase in CAN_GO_BACK:
            pushed = observation.superseded_by[:7]
            return take_back(rollout, now, Reason.SUPERSEDED, f"A push ({pushed}) superseded this rollout.")
        gates = observation.gates
        if isinstance(gates, Gates) and gates.is_withdrawn and phase in CAN_GO_BACK:
            return take_back(rollout, now, Reason.GATE, f"{gates.broken}")
        broken = observation.readiness
        if isinstance(broken, Failure) and phase in CAN_GO_BACK and _is_final(broken, phase):
            told = failure_sentence(broken)
            return take_back(rollout, now, Reason(broken.kind.value), told, failure=broken)
    return _HANDLERS[phase](rollout, observation, now)


def _is_final(failure: Failure, phase: Phase) -> bool:
    return not (phase is Phase.PREPARE and failure.kind in _MAY_MEND)
