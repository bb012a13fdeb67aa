"""The sweeper: what operations that have ended left outside in no final state (R18)."""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog

from kfops.domain.operation import Operation
from kfops.ports.errors import Refused, Unavailable
from kfops.ports.ledger import Fenced, Saved
from kfops.workflow import closing
from kfops.workflow.context import Context, Options, Ports
from kfops.workflow.reconcile import facts_of, leased

PATIENCE = timedelta(days=7)
log = structlog.get_logger("kfops.settling")


def settle(ports: Ports, options: Options, owner: str) -> int:
    """All that is due; how many were looked at."""
    count = 0
    while settle_one(ports, options, owner):
        count += 1
    return count


def settle_one(ports: Ports, options: Options, owner: str) -> bool:
    """Close one ended operation once more. False when none was due."""
    operation = ports.ledger.claim_unsettled(owner, ports.clock.now(), options.lease)
    if operation is None:
        return False
    context = Context(operation, ports, options, ports.clock.now())
    try:
        with leased(ports, operation, options.lease):
            problem = _closed(context)
        ports.ledger.save(operation, _settled(operation, _next_look(operation, context.now, problem)))
    except Fenced:
        log.warning("fenced", operation=operation.id, fence=operation.fence)
    return True


def _closed(context: Context) -> Exception | None:
    """What one of them raises keeps no other from being settled."""
    try:
        closing.close(context, facts_of(context.operation))
    except Fenced:
        raise
    except (Unavailable, Refused) as error:
        log.info("not settled", operation=context.operation.id, error=str(error))
        return error
    except Exception as error:
        log.exception("not settled", operation=context.operation.id)
        return error
    return None


def _next_look(operation: Operation, now: datetime, problem: Exception | None) -> datetime | None:
    """The longer it lasts, the more seldom; after `PATIENCE` only a person can help."""
    if problem is None:
        return None
    age = now - (operation.ended_at or now)
    if age > PATIENCE:
        log.error("left as it is", operation=operation.id, error=str(problem))
        return None
    return now + max(closing.AGAIN, age / 4)


def _settled(operation: Operation, settle_at: datetime | None) -> Saved:
    return Saved(
        operation.phase,
        operation.facts,
        operation.due_at,
        outcome=operation.outcome,
        reason_code=operation.reason_code,
        ended_at=operation.ended_at,
        settle_at=settle_at,
    )
