"""What `/cancel` can still stop. Clean-up is a phase of the operation itself: this only says whether there will be one."""

from __future__ import annotations

from kfops.domain.operation import ROLLOUTS, TRAININGS, Kind
from kfops.domain.rollout import Phase, Rollout
from kfops.rules.rollout.table import CAN_GO_BACK

STOPPABLE = TRAININGS | ROLLOUTS | {Kind.ROLLBACK}
_BEFORE_SWITCHING = frozenset({"accepted", "gate", "take"})
_BEFORE_ROLLING = frozenset({"accepted", "gate", "begin", "rollout"})


def why_not(kind: Kind, phase: str, rollout: Rollout | None, *, is_over: bool) -> str:
    """Empty where it can be stopped; else why not, to be told. `is_over`: it has an outcome and is being told."""
    if is_over:
        return "it has ended"
    if kind in TRAININGS:
        return ""
    if kind is Kind.ROLLBACK:
        return "" if phase in _BEFORE_SWITCHING else "a rollback that switches is not stopped half-way"
    if phase not in _BEFORE_ROLLING:
        return "it has been promoted; `/rollback` takes it back"
    if rollout is None or rollout.phase in CAN_GO_BACK:
        return ""
    if rollout.phase in {Phase.ABORT, Phase.RESTORE, Phase.ROLLED_BACK}:
        return "it is going back already"
    return "it has been promoted; `/rollback` takes it back"


def how(kind: Kind, rollout: Rollout | None) -> str:
    """What stopping means for it."""
    if kind in TRAININGS:
        return "its steps are ended, nothing is recorded"
    if rollout is None:
        return "it ends before any traffic moves"
    return "all traffic goes back to what served before, and the candidate is put away"
