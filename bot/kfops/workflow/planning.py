"""`/plan`: what a command would do now, and which gate would refuse it. Nothing is done."""

from __future__ import annotations

from dataclasses import replace

from kfops.command.duration import format_duration
from kfops.command.model import (
    Build,
    BuildRun,
    CanaryAction,
    CanaryControl,
    Cancel,
    Deploy,
    Help,
    Lock,
    OkToTest,
    Plannable,
    Rollback,
    Run,
    StagingDeploy,
    Status,
    Unlock,
)
from kfops.command.serialise import to_json
from kfops.command.write import as_text
from kfops.config.errors import ConfigError
from kfops.config.load import work_of
from kfops.config.meaning import PRODUCTION
from kfops.config.plan import rollout_plan
from kfops.config.policy import run_timeout
from kfops.domain.facts import Refusal
from kfops.domain.operation import ROLLOUTS, RUNS, Operation
from kfops.rules import planning
from kfops.rules.gate import Reject
from kfops.rules.reasons import ReasonCode
from kfops.rules.replies.answers import PlanView
from kfops.rules.stopping import how
from kfops.workflow.context import Context
from kfops.workflow.deciding import cancelable, decision_on, rollouts
from kfops.workflow.gathering import CONFIG, RulesRead, policy_refusal, refusal
from kfops.workflow.holding import held
from kfops.workflow.judging import environment_name, judged, rollout_of
from kfops.workflow.rollouts.placing import place_by_rules
from kfops.workflow.rollouts.rollback import judged as rollback_judged
from kfops.workflow.runs.packaging import last_built

Steps = tuple[str, ...]


def planned_view(context: Context, read: RulesRead, command: Plannable) -> PlanView:
    subject = replace(context.operation.subject, command=to_json(command))
    pretending = replace(
        context, operation=replace(context.operation, kind=command.kind, subject=subject, cancel_by=None)
    )
    text = as_text(command)
    decision = decision_on(pretending, read, command)
    if isinstance(decision, Reject):
        return PlanView(text, "it would be refused.", refusal=refusal(decision))
    steps = _steps(pretending, read, command)
    if isinstance(steps, Refusal):
        return PlanView(text, "it would be refused.", refusal=steps)
    return PlanView(text, "it would go ahead.", steps)


def _steps(context: Context, read: RulesRead, command: Plannable) -> Steps | Refusal:
    match command:
        case Build() | Run() | BuildRun():
            return _run(context, read, command)
        case Deploy() | StagingDeploy():
            return _deploy(context, read)
        case Rollback(environment=environment):
            return _rollback(context, read, environment)
        case CanaryControl(action=CanaryAction.STATUS) | Help() | Status():
            return ("Answer at once; nothing changes.",)
        case CanaryControl(action=action):
            target = rollouts(context)[0]
            return (f"Pass `{action.value}` on to operation {target.id}, `/{target.kind.value}`.",)
        case Cancel(operation=number):
            return tuple(
                f"Stop operation {one.id}, `/{one.kind.value}`: {how(one.kind, rollout_of(one))}."
                for one in cancelable(context, number).stoppable
            )
        case Lock(environment=environment, for_=for_):
            until = f"for {format_duration(for_)}" if for_ else "until it is unlocked"
            return (f"Hold `{environment}` {until}: nothing is deployed there meanwhile.",)
        case Unlock(environment=environment):
            lock = held(context, environment)
            return (f"Let `{environment}` go; {lock.holder if lock else 'nobody'} holds it now.",)
        case OkToTest(sha=sha):
            return (f"Let commit `{sha[:7]}` of this fork run in the sandbox; it is never deployed.",)


def _run(context: Context, read: RulesRead, command: Build | Run | BuildRun) -> Steps | Refusal:
    subject = context.operation.subject
    head = str(subject.head_sha)
    content = context.ports.forge.file(subject.repository_id, CONFIG, head)
    try:
        work = work_of(content)
    except ConfigError as error:
        code = ReasonCode.CONFIG_MISSING if content is None else ReasonCode.CONFIG_INVALID
        return Refusal(code.value, f"`{CONFIG}` at this commit cannot be used.", detail=str(error))
    forbidden = [name for name, _ in command.set if name not in read.rules.overridable]
    if forbidden:
        listed = ", ".join(read.rules.overridable) or "nothing: `overridable` is empty"
        return Refusal(
            ReasonCode.NOT_OVERRIDABLE.value,
            "`kfops.yaml` does not let a comment change it.",
            ", ".join(forbidden),
            listed,
            "Add it to `overridable` on the default branch.",
        )
    package = ""
    if isinstance(command, Run):
        built = last_built(context, command)
        if isinstance(built, Refusal):
            return built
        package = built.package_digest
    return planning.run_steps(
        planning.RunPlan(
            command.kind,
            head,
            work.pipeline.source,
            package,
            command.set,
            format_duration(run_timeout(context.options.policy, work.pipeline.timeout)),
            _champion(context, read, PRODUCTION),
            _before(context, [one for one in _open(context) if one.kind in RUNS and _is_here(context, one)]),
        )
    )


def _deploy(context: Context, read: RulesRead) -> Steps:
    seen = judged(context, read)
    environment = read.rules.environment(seen.facts.environment)
    if environment is None or seen.run is None:
        raise ValueError("the gate let a deployment through without a run or an environment")
    ahead = [
        one for one in _open(context) if one.kind in ROLLOUTS and environment_name(one) == environment.name
    ]
    return planning.deploy_steps(
        planning.DeployPlan(
            environment,
            rollout_plan(read.rules, environment, is_first=seen.facts.serving_digest is None),
            seen.run,
            _champion(context, read, environment.name),
            tuple(sorted(seen.facts.forced)),
            _before(context, ahead),
        )
    )


def _rollback(context: Context, read: RulesRead, environment: str) -> Steps:
    target = rollback_judged(context, read).target
    if target is None:
        raise ValueError("the gate let a rollback through without a revision")
    aborted = [
        one.id for one in _open(context) if one.kind in ROLLOUTS and environment_name(one) == environment
    ]
    return planning.rollback_steps(environment, target, aborted)


def _open(context: Context) -> tuple[Operation, ...]:
    return context.ports.ledger.open_operations(context.operation.subject.repository_id)


def _is_here(context: Context, operation: Operation) -> bool:
    return operation.subject.pull_request == context.operation.subject.pull_request


def _before(context: Context, operations: list[Operation]) -> tuple[int, ...]:
    return tuple(one.id for one in operations if one.id != context.operation.id)


def _champion(context: Context, read: RulesRead, environment: str) -> str:
    """The version that serves there now; empty: none, or none of this repository's concern."""
    if policy_refusal(context, read, environment):
        return ""
    place = place_by_rules(context, read.rules, environment)
    return context.ports.serving.observe(place).stable.version or ""
