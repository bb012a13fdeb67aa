"""May this command happen now? The same answer for the command itself and for `/plan` of it."""

from __future__ import annotations

from dataclasses import dataclass

from kfops.command import catalog
from kfops.command.model import (
    Build,
    BuildRun,
    CanaryAction,
    CanaryControl,
    Cancel,
    Command,
    Deploy,
    Help,
    Lock,
    OkToTest,
    Plan,
    Rollback,
    Run,
    StagingDeploy,
    Status,
    Unlock,
)
from kfops.domain.operation import ROLLOUTS, Kind, Operation
from kfops.rules import gate
from kfops.rules.gate import Decision
from kfops.rules.stopping import STOPPABLE, why_not
from kfops.workflow.context import Context
from kfops.workflow.gathering import RulesRead, asker, live, needed
from kfops.workflow.holding import held
from kfops.workflow.judging import judged, rollout_of
from kfops.workflow.rollouts.rollback import judged as rollback_judged

# Before the number of an operation: the effect of asking it to stop, and of passing a word on to it.
STOP, STEER = "stop:", "steer:"


def decision_on(context: Context, read: RulesRead, command: Command) -> Decision:
    """`context.operation` holds `command`."""
    if isinstance(command, Deploy | StagingDeploy):
        return judged(context, read).decision(context.operation)
    if isinstance(command, Rollback):
        return rollback_judged(context, read).decision
    if isinstance(command, Cancel):
        return _cancel(context, read, command.operation)
    need = needed(read.rules, catalog.keys_needed(command))
    who = asker(context, need)
    match command:
        case Build() | Run() | BuildRun():
            return gate.run(live(context, read), who, need, f"/{command.kind.value}")
        case Help() | Status() | Plan() | CanaryControl(action=CanaryAction.STATUS):
            return gate.read(who, need, f"/{command.kind.value}")
        case CanaryControl(action=action):
            here = live(context, read, reread=True) if action is CanaryAction.PROMOTE else None
            return gate.canary(who, need, is_under_way=bool(rollouts(context)), promoted=here)
        case Lock(environment=environment):
            lock = held(context, environment)
            return gate.lock(who, need, lock, name=environment, known=_environments(read))
        case Unlock(environment=environment):
            lock = held(context, environment)
            known, is_stale = _environments(read), context.operation.subject.is_recovered
            return gate.unlock(who, need, lock, name=environment, known=known, is_stale=is_stale)
        case OkToTest(sha=sha):
            return gate.ok_to_test(live(context, read), who, need, sha)


def _cancel(context: Context, read: RulesRead, number: int | None) -> Decision:
    """To stop a rollout is to take it back, and to stop a rollback is to keep what it goes away from: both need the role
    of a rollback as well.
    """
    found = cancelable(context, number)
    touches_traffic = any(one.kind in ROLLOUTS | {Kind.ROLLBACK} for one in found.stoppable)
    keys: tuple[catalog.PermissionKey, ...] = ("run", "rollback") if touches_traffic else ("run",)
    need = needed(read.rules, keys)
    return gate.cancel(
        asker(context, need),
        need,
        stoppable=len(found.stoppable),
        too_late=found.too_late,
        is_stale=context.operation.subject.is_recovered and number is None,
    )


def _environments(read: RulesRead) -> tuple[str, ...]:
    return tuple(one.name for one in read.rules.environments)


def rollouts(context: Context) -> list[Operation]:
    """Those of this pull request that can be steered, the one that has traffic first.

    Or the one that this very command steered before it was cut off, though it may have ended since.
    """
    subject = context.operation.subject
    steered = [one for one in _begun_with(context, STEER) if one.ended_at is None or _was_told(context, one)]
    if steered:
        return steered
    found = context.ports.ledger.open_operations(subject.repository_id, subject.pull_request, ROLLOUTS)
    begun = [one for one in found if one.facts and one.outcome is None]
    return sorted(begun, key=lambda one: rollout_of(one) is None)


@dataclass(frozen=True)
class Cancelable:
    """`too_late`: sentences about what is under way and cannot be stopped any more."""

    stoppable: tuple[Operation, ...]
    too_late: tuple[str, ...]


def cancelable(context: Context, number: int | None) -> Cancelable:
    """What is under way on this pull request; with a number, that operation of this repository.

    Also what this very command asked to stop before it was cut off, though that may have ended since.
    """
    subject = context.operation.subject
    here = subject.pull_request if number is None else None
    under_way = context.ports.ledger.open_operations(subject.repository_id, here, STOPPABLE)
    stoppable, too_late = _asked_to_stop(context), []
    asked = {one.id for one in stoppable}
    for one in under_way:
        if one.id in asked or number not in {None, one.id}:
            continue
        why = why_not(one.kind, one.phase, rollout_of(one), is_over=one.outcome is not None)
        if why:
            too_late.append(f"operation {one.id} `/{one.kind.value}`: {why}")
        else:
            stoppable.append(one)
    return Cancelable(tuple(stoppable), tuple(too_late))


def _asked_to_stop(context: Context) -> list[Operation]:
    """Not what ended before the word came to it."""
    return [one for one in _begun_with(context, STOP) if one.cancel_by or one.ended_at is None]


def _was_told(context: Context, target: Operation) -> bool:
    asked = context.operation
    told = context.ports.ledger.signals(target.id)
    return any((one.by, one.at) == (asked.subject.author.login, asked.created_at) for one in told)


def _begun_with(context: Context, word: str) -> list[Operation]:
    """Those that effects of this operation are about, by their names."""
    numbers = [name.removeprefix(word) for name in context.operation.effects if name.startswith(word)]
    found = (context.ports.ledger.operation(int(number)) for number in numbers)
    return [one for one in found if one is not None]
