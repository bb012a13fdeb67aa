"""How much may be under way at once: trainings of one repository and of all, and what one repository may have asked for.

A place is a lock of its own, taken by its number: two that begin in the same moment cannot both get the last one. Who
finds none sleeps, and is woken by the next that gives one back.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from kfops.domain.facts import Refusal
from kfops.domain.operation import ROLLOUTS, TRAININGS
from kfops.domain.record import Lock
from kfops.rules.reasons import ReasonCode
from kfops.workflow.context import Context
from kfops.workflow.holding import holder

WAITING = "submit"  # the phase of those that have none yet
UNWOKEN = timedelta(minutes=1)  # only a server that was started anew with more places is found out by looking


def take(context: Context) -> bool:
    """A place among the repository's trainings, and among all where the policy bounds them; False while one is full.

    Taking again what one has changes nothing.
    """
    return all(_take(context, line, most) for line, most in _lines(context))


def give_back(context: Context) -> None:
    """Idempotent. Whoever is first in a repository's line looks again."""
    operation, ledger = context.operation, context.ports.ledger
    for line, _ in _lines(context):
        for lock in ledger.locks(line):
            if lock.holder == holder(operation):
                ledger.release(lock.key, lock.holder, operation)
    ledger.wake_first(TRAININGS, WAITING, context.now)


def refused(context: Context) -> Refusal | None:
    """More than the operator lets one repository have under way. What steers, stops or takes back is never refused."""
    operation, most = context.operation, context.options.policy.limits.open_operations
    counted = TRAININGS | ROLLOUTS
    if most is None or operation.kind not in counted:
        return None
    opened = context.ports.ledger.open_operations(operation.subject.repository_id, kinds=counted)
    before = sum(one.id < operation.id for one in opened)
    if before < most:
        return None
    return Refusal(
        ReasonCode.POLICY.value,
        "This repository has as many operations under way as the server's policy allows.",
        f"{before} before this one",
        f"fewer than {most} (policy: limits.open_operations)",
        "Wait for one to end, or `/cancel` one; `/status` shows them.",
    )


def _lines(context: Context) -> Iterator[tuple[str, int]]:
    yield f"place:{context.operation.subject.repository_id}:", context.options.max_runs
    if context.options.policy.limits.runs is not None:
        yield "place:all:", context.options.policy.limits.runs


def _take(context: Context, line: str, most: int) -> bool:
    operation, ledger = context.operation, context.ports.ledger
    held = [one for one in ledger.locks(line) if not _is_left_over(context, one)]
    if any(one.holder == holder(operation) for one in held):
        return True
    if len(held) >= most:
        return False
    taken = {one.key for one in held}
    for key in (f"{line}{number}" for number in range(most)):
        mine = Lock(key, holder(operation), f"/{operation.kind.value}", context.now, None, operation.id)
        if key not in taken and ledger.acquire(mine, operation).holder == mine.holder:
            return True
    return False


def _is_left_over(context: Context, lock: Lock) -> bool:
    """Every operation gives its place back when it closes; one that an operator ended by hand did not."""
    ledger = context.ports.ledger
    owner = ledger.operation(lock.operation_id) if lock.operation_id else None
    if owner is not None and owner.ended_at is None:
        return False
    ledger.release(lock.key, lock.holder, context.operation)
    return True
