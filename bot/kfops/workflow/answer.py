"""Commands that answer at once: help, status, plan, and the brakes. They never queue behind what they steer."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from kfops.command import catalog
from kfops.command.model import (
    CanaryAction,
    CanaryControl,
    Cancel,
    Command,
    Help,
    Lock,
    OkToTest,
    Plan,
    Problem,
    Status,
    Unlock,
)
from kfops.command.serialise import from_json
from kfops.config.cron import following
from kfops.domain.canary_facts import SignalKind
from kfops.domain.facts import AnswerFacts, DeployFacts, Refusal, load
from kfops.domain.operation import Operation, Outcome, Signal
from kfops.domain.record import Lock as LockRow
from kfops.rules import gate
from kfops.rules.gate import Reject
from kfops.rules.reasons import ReasonCode
from kfops.rules.replies import answers
from kfops.rules.replies.view import without_secrets
from kfops.workflow import retraining
from kfops.workflow.context import Context, End, Step
from kfops.workflow.deciding import STEER, STOP, cancelable, decision_on, rollouts
from kfops.workflow.gathering import RulesRead, asker, needed, policy_refusal, refusal, rules
from kfops.workflow.holding import held, key_of
from kfops.workflow.judging import environment_name
from kfops.workflow.planning import planned_view
from kfops.workflow.rollouts.placing import place_by_rules

SIGNALS = {
    CanaryAction.PAUSE: SignalKind.PAUSE,
    CanaryAction.RESUME: SignalKind.RESUME,
    CanaryAction.PROMOTE: SignalKind.PROMOTE,
    CanaryAction.ABORT: SignalKind.ABORT,
}


def decide(context: Context, facts: AnswerFacts) -> Step:
    command = from_json(context.operation.subject.command)
    if isinstance(command, Problem):
        why = Refusal(ReasonCode.MISTYPED.value, command.message, fix=command.hint, detail=command.pointed())
        return _refused(facts, why)
    read = rules(context)
    if isinstance(read, Refusal):
        return _refused(facts, read)
    allowed = decision_on(context, read, command)
    if isinstance(allowed, Reject):
        return _refused(facts, refusal(allowed))
    result = _answer(context, read, command)
    if isinstance(result, Refusal):
        return _refused(facts, result)
    return End(Outcome.SUCCEEDED, ReasonCode.DONE, replace(facts, body=result))


def _answer(context: Context, read: RulesRead, command: Command) -> str | Refusal:
    """Bodies are Markdown, so secrets are masked before they are made (R15)."""
    match command:
        case Help():
            return _help(context, read)
        case Status():
            return _status(context, read)
        case Plan(command=planned):
            view = planned_view(context, read, planned)
            return answers.plan_body(without_secrets(view, context.options.secrets))
        case Cancel(operation=number):
            return _cancel(context, number)
        case CanaryControl(action=action):
            return _canary(context, action)
        case Lock():
            return _lock(context, command)
        case Unlock(environment=environment):
            return _unlock(context, environment)
        case OkToTest(sha=sha):
            return _ok_to_test(context, sha)
        case _:
            raise TypeError(f"{command} is no command that answers at once")


def _refused(facts: AnswerFacts, why: Refusal) -> End:
    return End(Outcome.REFUSED, ReasonCode(why.code), replace(facts, refusal=why))


def _help(context: Context, read: RulesRead) -> str:
    """Asked once for all: the person's role, and their teams among those that any command names."""
    entries = [
        (entry, (*needed(read.rules, keys), *gate.floor(entry.kind)))
        for entry in catalog.ENTRIES
        for keys in [(entry.permission_key,) if entry.permission_key else ()]
    ]
    who = asker(context, tuple(one for _, need in entries for one in need))
    lines = []
    for entry, need in entries:
        decision = gate.read(who, need, f"/{entry.name}")
        why_not = decision.sentence if isinstance(decision, Reject) else ""
        may = " and ".join(dict.fromkeys(map(str, need))) or "whoever may read"
        lines.append(answers.HelpLine(entry.usage, entry.summary, why_not, may))
    return answers.help_body(without_secrets(tuple(lines), context.options.secrets))


def _status(context: Context, read: RulesRead) -> str:
    subject, ledger = context.operation.subject, context.ports.ledger
    served, locks = [], []
    for environment in read.rules.environments:
        if policy_refusal(context, read, environment.name):
            continue
        place = place_by_rules(context, read.rules, environment.name)
        now = context.ports.serving.observe(place)
        records = ledger.revisions(subject.repository_id, environment.name)
        record = next((one for one in records if one.digest == now.stable.digest), None)
        served.append(
            answers.ServedLine(
                environment.name,
                now.stable.version or "",
                now.stable.digest or "",
                now.url,
                record.since if record else None,
            )
        )
        lock = held(context, environment.name)
        if lock:
            locks.append(replace(lock, key=environment.name))
    under_way = [
        _line(one) for one in ledger.open_operations(subject.repository_id) if one.id != context.operation.id
    ]
    view = answers.StatusView(
        context.now,
        tuple(one for one in under_way if one.phase != "accepted"),
        tuple(served),
        tuple(locks),
        tuple(one for one in under_way if one.phase == "accepted"),
        _retraining(context, read),
    )
    return answers.status_body(without_secrets(view, context.options.secrets))


def _retraining(context: Context, read: RulesRead) -> answers.RetrainingLine | None:
    schedule = read.rules.retrain
    if schedule is None:
        return None
    issue = retraining.issue_of(context, read.rules.model) or 0
    return answers.RetrainingLine(schedule, following(schedule, context.now), issue)


def _line(operation: Operation) -> answers.OperationLine:
    subject = operation.subject
    return answers.OperationLine(
        operation.id,
        f"/{operation.kind.value}",
        subject.pull_request,
        operation.phase,
        subject.author.login,
        operation.created_at,
    )


def _cancel(context: Context, number: int | None) -> str:
    """Asking twice is asking once: the first name and time stay."""
    found = cancelable(context, number)
    for one in found.stoppable:
        context.effect(f"{STOP}{one.id}", partial(_stop, context, one))
    lines = tuple(_line(one) for one in found.stoppable)
    return answers.cancel_body(*without_secrets((lines, found.too_late), context.options.secrets))


def _stop(context: Context, target: Operation) -> str:
    by = context.operation.subject.author.login
    context.ports.ledger.request_cancel(target.id, by, context.now, context.operation)
    return str(target.id)


def _canary(context: Context, action: CanaryAction) -> str | Refusal:
    target = rollouts(context)[:1]
    if action is not CanaryAction.STATUS:
        _signal(context, target[0], SIGNALS[action])
        return answers.canary_body(SIGNALS[action], target[0].id, environment_name(target[0]))
    if not target:
        return Refusal(ReasonCode.NO_ROLLOUT.value, "No rollout is under way here.", fix="`/deploy`")
    facts = load(DeployFacts, target[0].facts)
    if facts.rollout is None:
        return Refusal(ReasonCode.NO_ROLLOUT.value, "The rollout has not begun yet.", fix="`/status`")
    rollout = without_secrets(facts.rollout, context.options.secrets)
    return answers.canary_status_body(target[0].id, facts.environment, rollout)


def _signal(context: Context, target: Operation, kind: SignalKind) -> None:
    """Once, even when a crash comes in between: this operation's signal bears its moment."""
    subject, ledger = context.operation.subject, context.ports.ledger
    signal = Signal(kind, subject.author.login, "", context.operation.created_at)

    def send() -> str:
        ledger.signal(target.id, signal, context.operation)
        return str(target.id)

    def find() -> str | None:
        return str(target.id) if signal in ledger.signals(target.id) else None

    context.effect(f"{STEER}{target.id}", send, find)


def _lock(context: Context, command: Lock) -> str | Refusal:
    subject = context.operation.subject
    wanted = LockRow(
        key_of(subject.repository_id, command.environment),
        subject.author.login,
        command.reason,
        context.now,
        context.now + command.for_ if command.for_ else None,
        None,
    )
    got = context.ports.ledger.acquire(wanted, context.operation)
    if got.holder != wanted.holder:
        return Refusal(ReasonCode.LOCKED.value, f"{got.holder} holds this environment.", got.reason)
    reason = without_secrets(got.reason, context.options.secrets)
    return answers.lock_body(command.environment, reason, got.until)


def _unlock(context: Context, environment: str) -> str:
    subject = context.operation.subject
    lock = held(context, environment)
    if lock is not None and lock.operation_id is None:  # since the gate, a rollout may have taken what lapsed
        key = key_of(subject.repository_id, environment)
        context.ports.ledger.release(key, lock.holder, context.operation)
    return answers.unlock_body(environment, without_secrets(lock, context.options.secrets))


def _ok_to_test(context: Context, sha: str) -> str:
    context.ports.ledger.allow_fork(context.operation, sha, context.now)
    return answers.ok_to_test_body(sha)
