"""What becomes of a step that failed: it is asked again, or given up with what is still alive outside stopped first.

Patience is measured from the first failure in a row, not from the command: neither a wait in line nor a long run uses
it up.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import structlog

from kfops.domain.facts import DeployFacts, Refusal, RunFacts
from kfops.domain.operation import Operation, Outcome
from kfops.ports.errors import Refused, Unavailable
from kfops.ports.ledger import Saved
from kfops.rules.reasons import ReasonCode
from kfops.workflow.context import Context, End, Facts, Step
from kfops.workflow.rollouts import deploy
from kfops.workflow.runs import run

BACKOFF = (1, 2, 5, 10, 30, 60)  # seconds
DEFECTS = 3
PATIENCE = timedelta(hours=2)
log = structlog.get_logger("kfops.failing")


def became(context: Context, facts: Facts, error: Exception) -> Step | Saved:
    """Whatever is neither `Unavailable` nor `Refused` is a defect, and may be gone at the next look."""
    match error:
        case Unavailable():
            is_rolling = isinstance(facts, DeployFacts) and facts.rollout is not None
            if is_rolling or lasted(context) <= PATIENCE:
                return later(context, error)
            fix = "Comment the command again."
            return given_up(
                context, facts, Refusal(ReasonCode.OUTSIDE_UNAVAILABLE.value, str(error), fix=fix)
            )
        case Refused(fix=fix):
            return given_up(context, facts, Refusal(ReasonCode.OUTSIDE_REFUSED.value, str(error), fix=fix))
        case _:
            if is_last_defect(context.operation):
                return given_up(context, facts, of_a_defect(context))
            return later(context, error)


def given_up(context: Context, facts: Facts, why: Refusal) -> Step:
    """A rollout does not end with users on its candidate, nor a run that goes on where nobody looks at it."""
    match facts:
        case DeployFacts(rollout=rollout) if rollout is not None:
            return deploy.given_up(context, facts, why)
        case RunFacts():
            return run.given_up(context, facts, why)
        case _:
            return End(Outcome.FAILED, ReasonCode(why.code), replace(facts, refusal=why))


def is_last_defect(operation: Operation) -> bool:
    return operation.defects + 1 >= DEFECTS


def of_a_defect(context: Context) -> Refusal:
    return Refusal(
        ReasonCode.INTERNAL_ERROR.value,
        f"Kfops failed. The operator finds the reason under operation {context.operation.id}.",
    )


def later(context: Context, error: Exception) -> Saved:
    """The same step once more; its facts are as they were."""
    operation, is_away = context.operation, isinstance(error, Unavailable)
    failures, defects = operation.failures + is_away, operation.defects + (not is_away)
    wait = float(BACKOFF[min(failures + defects, len(BACKOFF)) - 1])
    if isinstance(error, Unavailable) and error.retry_after_s:
        wait = max(wait, error.retry_after_s)
    log.info("later", operation=operation.id, wait_s=wait, error=str(error))
    return Saved(
        operation.phase,
        operation.facts,
        context.now + timedelta(seconds=wait),
        failures=failures,
        defects=defects,
        failing_since=context.now - lasted(context),
        outcome=operation.outcome,
        reason_code=operation.reason_code,
    )


def lasted(context: Context) -> timedelta:
    """For how long it has failed in a row."""
    operation = context.operation
    # The release before leaves the moment of an earlier row.
    if not operation.failures and not operation.defects:
        return timedelta(0)
    return context.now - (operation.failing_since or context.now)
