"""Commands that answer at once: help, status, plan, and the brakes. They never queue behind what they steer."""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from kfops.command import catalog
from kfops.command.model import (
    CanaryAction,
    CanaryControl,
    Cancel,
    Command,
    Deploy,
    Help,
    Lock,
    OkToTest,
    Plan,
    Problem,
    StagingDeploy,
    Status,
    Unlock,
)
from kfops.command.serialise import from_json, to_json
from kfops.domain.canary_facts import SignalKind
from kfops.domain.environment import EnvironmentKey
from kfops.domain.facts import AnswerFacts, DeployFacts, Refusal, load
from kfops.domain.operation import ROLLOUTS, RUNS, Kind, Operation, Outcome, Signal
from kfops.domain.record import Lock as LockRow
from kfops.rules import gate
from kfops.rules.gate import Proceed, Reject
from kfops.rules.reasons import ReasonCode
from kfops.rules.replies import answers
from kfops.workflow import deploy
from kfops.workflow.context import Context, End, Step
from kfops.workflow.gathering import RulesRead, asker, live, needed, refusal, rules
from kfops.workflow.holding import key_of

STOPPABLE = RUNS | ROLLOUTS | {Kind.ROLLBACK}
SIGNALS = {
    CanaryAction.PAUSE: SignalKind.PAUSE,
    CanaryAction.RESUME: SignalKind.RESUME,
    CanaryAction.PROMOTE: SignalKind.PROMOTE,
    CanaryAction.ABORT: SignalKind.ABORT,
}


def decide(context: Context, facts: AnswerFacts) -> Step:
    command = from_json(context.operation.subject.command)
    if isinstance(command, Problem):
        why = Refusal(ReasonCode.MISTYPED.value, command.message, command.text, fix=command.hint)
        return _refused(facts, why)
    read = rules(context)
    if isinstance(read, Refusal):
        return _refused(facts, read)
    who, need = asker(context, needed(read.rules, catalog.keys_needed(command)))
    allowed = gate.steer(who, need, f"/{context.operation.kind.value}")
    if isinstance(allowed, Reject):
        return _refused(facts, refusal(allowed))
    result = _answer(context, read, command)
    if isinstance(result, Refusal):
        return _refused(facts, result)
    return End(Outcome.SUCCEEDED, ReasonCode.DONE, replace(facts, body=result))


def _answer(context: Context, read: RulesRead, command: Command) -> str | Refusal:
    match command:
        case Help():
            return _help(context, read)
        case Status():
            return _status(context, read)
        case Plan(command=planned):
            return _plan(context, read, planned)
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
    lines = []
    for entry in catalog.ENTRIES:
        keys = (entry.permission_key,) if entry.permission_key else ()
        who, need = asker(context, needed(read.rules, keys))
        decision = gate.steer(who, need, f"/{entry.name}")
        why_not = decision.sentence if isinstance(decision, Reject) else ""
        may = f"{need.permission.name.lower()}" if not need.teams else ", ".join(need.teams)
        lines.append(answers.HelpLine(entry.usage, entry.summary, why_not, may))
    return answers.help_body(lines)


def _status(context: Context, read: RulesRead) -> str:
    subject, ledger = context.operation.subject, context.ports.ledger
    served, locks = [], []
    for environment in read.rules.environments:
        place = EnvironmentKey(subject.repository_id, read.rules.model, environment.name)
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
        lock = ledger.held(key_of(subject.repository_id, environment.name), context.now)
        if lock:
            locks.append(lock)
    under_way = [
        _line(one) for one in ledger.open_operations(subject.repository_id) if one.id != context.operation.id
    ]
    return answers.status_body(
        answers.StatusView(
            context.now,
            tuple(one for one in under_way if one.phase != "accepted"),
            tuple(served),
            tuple(locks),
            tuple(one for one in under_way if one.phase == "accepted"),
        )
    )


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


def _plan(context: Context, read: RulesRead, planned: Command) -> str:
    """What it would do now, and which gate would refuse it. Nothing is done."""
    pretended = replace(
        context.operation,
        kind=planned.kind,
        subject=replace(context.operation.subject, command=to_json(planned)),
    )
    pretending = replace(context, operation=pretended)
    name = f"/{planned.kind.value}"
    if isinstance(planned, Deploy | StagingDeploy):
        what, state, _, who, need = deploy.judged(pretending, read)
        decision = gate.deploy(state, who, need, what, name)
    else:
        who, need = asker(pretending, needed(read.rules, catalog.keys_needed(planned)))
        if planned.kind in RUNS:
            decision = gate.run(live(pretending, read.repository), who, need, name)
        else:
            decision = gate.steer(who, need, name)
    summary = catalog.entry_of(planned).summary
    match decision:
        case Proceed():
            view = answers.PlanView(name, "it would go ahead.", (summary,))
        case Reject():
            view = answers.PlanView(name, "it would be refused.", refusal=refusal(decision))
        case _:
            assert_never(decision)
    return answers.plan_body(view)


def _cancel(context: Context, number: int | None) -> str | Refusal:
    subject, ledger = context.operation.subject, context.ports.ledger
    under_way = ledger.open_operations(subject.repository_id, subject.pull_request, STOPPABLE)
    chosen = [one for one in under_way if number in {None, one.id}]
    if not chosen:
        return Refusal(
            ReasonCode.NOTHING_TO_CANCEL.value, "Nothing of that kind is under way here.", fix="`/status`"
        )
    for one in chosen:
        ledger.request_cancel(one.id, subject.author.login, context.now)
    return answers.cancel_body([_line(one) for one in chosen])


def _canary(context: Context, action: CanaryAction) -> str | Refusal:
    subject, ledger = context.operation.subject, context.ports.ledger
    under_way = _rollouts(context)
    if not under_way:
        return Refusal(ReasonCode.NO_ROLLOUT.value, "No rollout is under way here.", fix="`/deploy`")
    target = under_way[0]
    if action is CanaryAction.STATUS:
        facts = load(DeployFacts, target.facts)
        if facts.rollout is None:
            return Refusal(ReasonCode.NO_ROLLOUT.value, "The rollout has not begun yet.", fix="`/status`")
        return answers.canary_status_body(target.id, facts.environment, facts.rollout)
    ledger.signal(target.id, Signal(SIGNALS[action], subject.author.login, "", context.now))
    return answers.canary_body(SIGNALS[action], target.id, deploy.environment_name(target))


def _rollouts(context: Context) -> list[Operation]:
    subject = context.operation.subject
    found = context.ports.ledger.open_operations(subject.repository_id, subject.pull_request, ROLLOUTS)
    return [one for one in found if one.facts and one.outcome is None]


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
    held = context.ports.ledger.acquire(wanted)
    if held.holder != wanted.holder:
        return Refusal(ReasonCode.LOCKED.value, f"{held.holder} holds this environment.", held.reason)
    return answers.lock_body(command.environment, held.reason, held.until)


def _unlock(context: Context, environment: str) -> str | Refusal:
    subject, ledger = context.operation.subject, context.ports.ledger
    key = key_of(subject.repository_id, environment)
    held = ledger.held(key, context.now)
    if held is None:
        return answers.unlock_body(environment)
    if held.operation_id is not None:
        return Refusal(
            ReasonCode.LOCKED.value,
            f"Operation {held.operation_id} holds this environment while it is under way.",
            fix=f"`/cancel {held.operation_id}`",
        )
    ledger.release(key, held.holder)
    return answers.unlock_body(environment, held)


def _ok_to_test(context: Context, sha: str) -> str | Refusal:
    subject = context.operation.subject
    if sha != subject.head_sha:
        return Refusal(
            ReasonCode.SHA_MISMATCH.value,
            "This is not the head of this pull request.",
            sha,
            subject.head_sha or "",
            f"`/ok-to-test {subject.head_sha}`",
        )
    context.ports.ledger.allow_fork(
        subject.repository_id, subject.pull_request, sha, subject.author.login, context.now
    )
    return answers.ok_to_test_body(sha)
