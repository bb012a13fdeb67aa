"""One turn of the controller: claim what is due, let its workflow take one step, write down what happened.

The only place where exceptions are caught: what is unavailable is asked again, what is refused ends the operation with
its reason, what is a defect is logged for the operator and told with the operation's number (`failing`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any, assert_never

import structlog

from kfops.domain.facts import AnswerFacts, DeployFacts, RunFacts, dump, load
from kfops.domain.operation import Kind, Operation, Outcome
from kfops.domain.pull_request import Head, Reaction
from kfops.ports.errors import Refused, Unavailable
from kfops.ports.ledger import Fenced, Saved
from kfops.rules.reasons import ReasonCode
from kfops.workflow import answer, closing, failing, retraining, unreadable
from kfops.workflow.context import Context, End, Facts, Next, Options, Ports, Step
from kfops.workflow.judging import environment_name
from kfops.workflow.rollouts import deploy, rollback
from kfops.workflow.runs import capacity, run
from kfops.workflow.telling import is_time, react, tell

LONG = timedelta(seconds=30)  # what takes longer shows a check run while it is under way
log = structlog.get_logger("kfops.reconcile")


def reconcile_one(ports: Ports, options: Options, owner: str) -> bool:
    """One step of one operation. False when nothing was due."""
    operation = ports.ledger.claim(owner, ports.clock.now(), options.lease)
    if operation is not None:
        work_on(operation, ports, options)
    return operation is not None


def work_on(operation: Operation, ports: Ports, options: Options) -> None:
    """One step of an operation that was claimed."""
    context = Context(operation, ports, options, ports.clock.now())
    try:
        with leased(ports, operation, options.lease):
            saved = _turn(context)
        ports.ledger.save(operation, saved)
    except Fenced:
        log.warning("fenced", operation=operation.id, fence=operation.fence)


@contextmanager
def leased(ports: Ports, operation: Operation, lease: timedelta) -> Iterator[None]:
    """Keep the lease while a step works longer than it lasts (scoring, a checkout)."""
    done = threading.Event()

    def renew() -> None:
        while not done.wait(lease.total_seconds() / 3):
            try:
                ports.ledger.renew(operation, ports.clock.now(), lease)
            except (Fenced, Unavailable) as error:
                log.warning("lease not renewed", operation=operation.id, error=str(error))

    thread = threading.Thread(target=renew, name=f"lease-{operation.id}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()


def _turn(context: Context) -> Saved:
    try:
        facts = facts_of(context.operation)
    except Exception as error:
        log.exception("facts cannot be read", operation=context.operation.id)
        return _without(context, error)
    return _kept(context, facts, lambda: _step(context, facts))


def _step(context: Context, facts: Facts) -> Step | Saved:
    match context.operation.phase:
        case "closing":
            return _close(context, facts)
        case "accepted":
            return _first(context, facts)
        case _:
            return decide(context, facts)


def _without(context: Context, error: Exception) -> Saved:
    """The facts cannot be read, and whatever they were the operation ends."""
    if unreadable.is_waited_for(context):
        return failing.later(context, error)
    facts = unreadable.readable(*_kind_of_facts(context.operation))
    if context.operation.phase == "closing":
        return _close(context, facts)
    return _kept(context, facts, lambda: unreadable.ended(context, facts))


def _kept(context: Context, facts: Facts, take: Callable[[], Step | Saved]) -> Saved:
    """What is to be written down after a step, whatever it raised."""
    try:
        return _written(context, take())
    except Fenced:
        raise
    except (Unavailable, Refused) as error:
        return _written(context, failing.became(context, facts, error))
    except Exception as error:
        log.exception("defect", operation=context.operation.id, phase=context.operation.phase)
        return _written(context, failing.became(context, facts, error))


def decide(context: Context, facts: Facts) -> Step:
    match facts:
        case RunFacts():
            return run.decide(context, facts)
        case DeployFacts():
            if context.operation.kind is Kind.ROLLBACK:
                return rollback.decide(context, facts)
            return deploy.decide(context, facts)
        case AnswerFacts():
            return answer.decide(context, facts)
        case _:
            assert_never(facts)


def facts_of(operation: Operation) -> Facts:
    kind, plain, needed = _kind_of_facts(operation)
    return load(kind, plain or needed)


def _kind_of_facts(operation: Operation) -> tuple[type[Facts], Mapping[str, Any], Mapping[str, Any]]:
    """Of which type they are, what was written down, and what there is before the first step."""
    match operation.kind:
        case Kind.BUILD | Kind.RUN | Kind.BUILD_RUN | Kind.RETRAIN:
            return RunFacts, operation.facts, {}
        case Kind.STAGING_DEPLOY | Kind.DEPLOY | Kind.ROLLBACK:
            return DeployFacts, operation.facts, {"environment": _environment(operation)}
        case (
            Kind.HELP
            | Kind.STATUS
            | Kind.PLAN
            | Kind.CANCEL
            | Kind.CANARY
            | Kind.LOCK
            | Kind.UNLOCK
            | Kind.OK_TO_TEST
            | Kind.MISTAKE
        ):
            return AnswerFacts, operation.facts, {}


def _environment(operation: Operation) -> str:
    named = operation.subject.command.get("environment")
    return str(named) if named else environment_name(operation)


def _first(context: Context, facts: Facts) -> Step:
    """Seen, in order, and pinned: the same for every command."""
    operation, ledger = context.operation, context.ports.ledger
    react(context, Reaction.EYES)
    earlier = ledger.operation(operation.after) if operation.after else None
    if earlier and earlier.outcome is not Outcome.SUCCEEDED:
        return End(Outcome.SKIPPED, ReasonCode.EARLIER_FAILED, facts)
    if (too_many := capacity.refused(context)) is not None:
        return End(Outcome.REFUSED, ReasonCode(too_many.code), replace(facts, refusal=too_many))
    if operation.subject.head_sha is None:
        ledger.pin(operation, retraining.head(context) if operation.kind is Kind.RETRAIN else _head(context))
    return Next("gate", facts)


def _head(context: Context) -> Head:
    subject = context.operation.subject
    pull = context.ports.forge.pull_request(subject.repository_id, subject.pull_request)
    return Head(
        pull.head_sha, pull.base_sha, pull.base_ref, pull.head_repository_id, pull.author, context.now
    )


def _close(context: Context, facts: Facts) -> Saved:
    """It ends as it ended, whatever becomes of the telling: `settling` goes on with that."""
    operation = context.operation
    problem: Exception | None = None
    try:
        closing.close(context, facts)
    except Fenced:
        raise
    except Unavailable as error:
        if not closing.is_hopeless(context):
            return failing.later(context, error)
        problem = error
    except Refused as error:
        problem = error
    except Exception as error:
        log.exception("defect", operation=operation.id, phase=operation.phase)
        if not failing.is_last_defect(operation):
            return failing.later(context, error)
        problem = error
    if problem is not None:
        log.warning("ended untold", operation=operation.id, error=repr(problem))
    return Saved(
        "ended",
        dump(facts),
        context.now,
        outcome=operation.outcome,
        reason_code=operation.reason_code,
        ended_at=context.now,
        settle_at=closing.look_again(operation, context.now, problem),
    )


def _written(context: Context, step: Step | Saved) -> Saved:
    if isinstance(step, Saved):
        return step
    if isinstance(step, End):
        log.info(
            "ended", operation=context.operation.id, outcome=step.outcome.value, reason=step.reason.value
        )
        return Saved(
            "closing", dump(step.facts), context.now, outcome=step.outcome, reason_code=step.reason.value
        )
    if _is_worth_telling(context.operation, step.facts) and is_time(
        context.operation, step.facts, context.now
    ):
        _try_to_tell(context, replace(context.operation, phase=step.phase), step.facts)
    return Saved(step.phase, dump(step.facts), context.ports.clock.now() + step.wait)


def _is_worth_telling(operation: Operation, facts: Facts) -> bool:
    """Before the gate there is nothing to say but the eyes; answers come with their end."""
    return operation.phase not in {"accepted", "gate"} and isinstance(facts, RunFacts | DeployFacts)


def _try_to_tell(context: Context, operation: Operation, facts: Facts) -> None:
    """Neither a forge that is away nor a defect in the telling delays the work. Why a run was given up is told when it
    has ended.
    """
    shown = replace(facts, refusal=None) if isinstance(facts, RunFacts) else facts
    try:
        if context.now - context.operation.created_at > LONG:
            closing.begin_check(context)
        tell(context, operation, shown, closing.repository_url(context))
    except (Unavailable, Refused) as error:
        log.info("not told", operation=operation.id, error=str(error))
    except Fenced:
        raise
    except Exception:
        log.exception("not told", operation=operation.id)
