"""One turn of the controller: claim what is due, let its workflow take one step, write down what happened.

The only place where exceptions become outcomes: what is unavailable is asked again, what is refused ends the
operation with its reason, what is a defect is logged for the operator and told with the operation's number.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import assert_never

import structlog

from kfops.domain.facts import AnswerFacts, DeployFacts, Refusal, RunFacts, dump, load
from kfops.domain.operation import Kind, Operation, Outcome
from kfops.domain.pull_request import Head, Reaction
from kfops.ports.errors import Refused, Unavailable
from kfops.ports.ledger import Fenced, Saved
from kfops.rules.reasons import ReasonCode
from kfops.workflow import answer, closing, retraining
from kfops.workflow.context import Context, End, Facts, Next, Options, Ports, Step
from kfops.workflow.judging import environment_name
from kfops.workflow.rollouts import deploy, rollback
from kfops.workflow.runs import capacity, run
from kfops.workflow.telling import is_time, react, tell

BACKOFF = (1, 2, 5, 10, 30, 60)  # seconds
DEFECTS = 3
LONG = timedelta(seconds=30)  # what takes longer shows a check run while it is under way
PATIENCE = timedelta(hours=2)
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
    facts = facts_of(context.operation)
    try:
        if context.operation.phase == "closing":
            return _close(context, facts)
        step = _first(context, facts) if context.operation.phase == "accepted" else decide(context, facts)
    except Unavailable as error:
        return _again(context, facts, error)
    except Refused as error:
        why = Refusal(ReasonCode.OUTSIDE_REFUSED.value, str(error), fix=error.fix)
        step = _given_up(context, facts, ReasonCode.OUTSIDE_REFUSED, why)
    except Fenced:
        raise
    except Exception:
        log.exception("defect", operation=context.operation.id, phase=context.operation.phase)
        if context.operation.failures + 1 < DEFECTS:
            return _later(context, facts, context.operation.failures + 1)
        why = Refusal(
            ReasonCode.INTERNAL_ERROR.value,
            f"Kfops failed. The operator finds the reason under operation {context.operation.id}.",
        )
        step = _given_up(context, facts, ReasonCode.INTERNAL_ERROR, why)
    return _written(context, step)


def _given_up(context: Context, facts: Facts, reason: ReasonCode, why: Refusal) -> Step:
    """A rollout does not end with users on its candidate: first the way back."""
    if isinstance(facts, DeployFacts) and facts.rollout is not None:
        return deploy.given_up(context, facts, why)
    return End(Outcome.FAILED, reason, _with_refusal(facts, why))


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
    match operation.kind:
        case Kind.BUILD | Kind.RUN | Kind.BUILD_RUN | Kind.RETRAIN:
            return load(RunFacts, operation.facts)
        case Kind.STAGING_DEPLOY | Kind.DEPLOY | Kind.ROLLBACK:
            empty = {"environment": _environment(operation)}
            return load(DeployFacts, operation.facts or empty)
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
            return load(AnswerFacts, operation.facts)


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
        return End(Outcome.REFUSED, ReasonCode(too_many.code), _with_refusal(facts, too_many))
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
    operation = context.operation
    problem: Unavailable | Refused | None = None
    try:
        closing.close(context, facts)
    except Unavailable as error:
        if not closing.is_hopeless(context):
            return _later(context, facts, operation.failures + 1, error)
        problem = error
    except Refused as error:
        problem = error
    if problem is not None:
        log.warning("ended untold", operation=operation.id, error=str(problem))
    return Saved(
        "ended",
        dump(facts),
        context.now,
        outcome=operation.outcome,
        reason_code=operation.reason_code,
        ended_at=context.now,
        settle_at=closing.look_again(operation, context.now, problem),
    )


def _written(context: Context, step: Step) -> Saved:
    if isinstance(step, End):
        log.info(
            "ended", operation=context.operation.id, outcome=step.outcome.value, reason=step.reason.value
        )
        return Saved(
            "closing", dump(step.facts), context.now, outcome=step.outcome, reason_code=step.reason.value
        )
    if _is_worth_telling(context.operation) and is_time(context.operation, step.facts, context.now):
        _try_to_tell(context, replace(context.operation, phase=step.phase), step.facts)
    return Saved(step.phase, dump(step.facts), context.ports.clock.now() + step.wait)


def _is_worth_telling(operation: Operation) -> bool:
    """Before the gate there is nothing to say but the eyes; answers come with their end."""
    return operation.phase not in {"accepted", "gate"} and isinstance(
        facts_of(operation), RunFacts | DeployFacts
    )


def _try_to_tell(context: Context, operation: Operation, facts: Facts) -> None:
    """A forge that is away delays the telling, never the work."""
    try:
        if context.now - context.operation.created_at > LONG:
            closing.begin_check(context)
        tell(context, operation, facts, closing.repository_url(context))
    except (Unavailable, Refused) as error:
        log.info("not told", operation=operation.id, error=str(error))


def _again(context: Context, facts: Facts, error: Unavailable) -> Saved:
    waited = context.now - context.operation.created_at
    is_rolling = isinstance(facts, DeployFacts) and facts.rollout is not None
    if waited > PATIENCE and not is_rolling:
        why = Refusal(ReasonCode.OUTSIDE_UNAVAILABLE.value, str(error), fix="Comment the command again.")
        return _written(
            context, End(Outcome.FAILED, ReasonCode.OUTSIDE_UNAVAILABLE, _with_refusal(facts, why))
        )
    return _later(context, facts, context.operation.failures + 1, error)


def _later(context: Context, facts: Facts, failures: int, error: Unavailable | None = None) -> Saved:
    wait = float(BACKOFF[min(failures, len(BACKOFF)) - 1])
    if error and error.retry_after_s:
        wait = max(wait, error.retry_after_s)
    log.info("later", operation=context.operation.id, wait_s=wait, error=str(error or ""))
    return Saved(
        context.operation.phase,
        dump(facts),
        context.now + timedelta(seconds=wait),
        failures=failures,
        outcome=context.operation.outcome,
        reason_code=context.operation.reason_code,
    )


def _with_refusal(facts: Facts, why: Refusal) -> Facts:
    return replace(facts, refusal=why)
