"""Holding an environment while a rollout or a rollback is under way (R14)."""

from __future__ import annotations

from datetime import timedelta

from kfops.domain.operation import Operation
from kfops.domain.record import Lock
from kfops.workflow.context import Context

LEASE = timedelta(minutes=15)


def key_of(repository_id: int, environment: str) -> str:
    return f"env:{repository_id}:{environment}"


def holder(operation: Operation) -> str:
    return f"operation {operation.id}"


def held(context: Context, environment: str) -> Lock | None:
    """Whoever holds it now, this operation included."""
    return context.ports.ledger.held(
        key_of(context.operation.subject.repository_id, environment), context.now
    )


def held_by_a_person(context: Context, environment: str) -> bool:
    lock = held(context, environment)
    return lock is not None and lock.operation_id is None


def take(context: Context, environment: str) -> bool:
    """Take it, or renew what is held already; False while another holds it."""
    operation = context.operation
    mine = Lock(
        key_of(operation.subject.repository_id, environment),
        holder(operation),
        f"/{operation.kind.value} of {operation.subject.author.login}",
        context.now,
        context.now + LEASE,
        operation.id,
    )
    return context.ports.ledger.acquire(mine, operation).holder == mine.holder


def give_back(context: Context, environment: str) -> None:
    operation = context.operation
    key = key_of(operation.subject.repository_id, environment)
    context.ports.ledger.release(key, holder(operation), operation)
