"""`/staging_deploy` and `/deploy`: gates, the rollout, and what follows a promotion."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from kfops.command.catalog import keys_needed
from kfops.command.model import Deploy, StagingDeploy
from kfops.command.serialise import from_json
from kfops.config.meaning import STAGING, Environment, Rules
from kfops.config.plan import rollout_plan
from kfops.config.policy import freeze_at
from kfops.config.tighten import environment_refusal
from kfops.domain.environment import EnvironmentKey
from kfops.domain.facts import DeployFacts, Refusal, RunFacts, load
from kfops.domain.model_version import Alias
from kfops.domain.operation import Operation, Outcome
from kfops.domain.pull_request import Permission
from kfops.domain.record import RevisionRecord, RunRecord
from kfops.domain.rollout import Phase, Reason
from kfops.ports.errors import Refused, Unavailable
from kfops.rules import gate
from kfops.rules.gate import Approvals, Asker, Live, Needed, Reject, Requirement
from kfops.rules.gate import DeployFacts as GateFacts
from kfops.rules.reasons import ReasonCode
from kfops.rules.rollout import start
from kfops.workflow import rolling
from kfops.workflow.context import Context, End, Next, Step
from kfops.workflow.gathering import RulesRead, asker, live, needed, refusal, rules
from kfops.workflow.holding import holder, key_of, take

SOON = timedelta(seconds=1)
PRODUCTION = "production"
ROLLOUT_ALIASES = {PRODUCTION: Alias.CHAMPION, STAGING: Alias.STAGING}


def environment_name(operation: Operation) -> str:
    command = from_json(operation.subject.command)
    return command.environment if isinstance(command, Deploy) else STAGING


def decide(context: Context, facts: DeployFacts) -> Step:
    if context.operation.cancel_by and facts.rollout is None:
        return End(Outcome.CANCELED, ReasonCode.CANCELED, facts)
    return PHASES[context.operation.phase](context, facts)


def judged(context: Context, read: RulesRead) -> tuple[GateFacts, Live, RunRecord | None, Asker, Needed]:
    """Everything that the gate decides on. Also what `/plan` shows."""
    subject, ledger = context.operation.subject, context.ports.ledger
    command = _command(context)
    name = environment_name(context.operation)
    environment = read.rules.environment(name)
    who, need = asker(context, needed(read.rules, keys_needed(command)))
    said = command.sha if isinstance(command, Deploy) else None
    state = live(context, read.repository, said_sha=said, reread=True)
    run = _run(context, command)
    evidence = load(RunFacts, run.evidence) if run else None
    forced = frozenset(skip.value for skip in command.force) if isinstance(command, Deploy) else frozenset()
    key = EnvironmentKey(subject.repository_id, read.rules.model, name)
    staging = replace(key, name=STAGING)
    requires = frozenset(Requirement(one) for one in environment.requires) if environment else frozenset()
    policy = environment_refusal(context.options.policy, read.repository.full_name, name)
    freeze = freeze_at(context.options.policy, read.repository.full_name, name, context.now)
    frozen = f"Deployments are frozen: {freeze.reason}." if freeze else None
    facts = GateFacts(
        environment=name,
        is_known_environment=environment is not None,
        requires=requires,
        rules_adopted=read.rules.is_adopted,
        merges=bool(environment and environment.merge),
        run_succeeded=run is not None,
        model_digest=run.model_digest if run else None,
        failed_gates=tuple(one.text for one in evidence.gates if one.holds is False) if evidence else (),
        staging_digest=context.ports.serving.observe(staging).stable.digest
        if Requirement.STAGING in requires
        else None,
        serving_digest=context.ports.serving.observe(key).stable.digest,
        lock=ledger.held(key_of(subject.repository_id, name), context.now),
        own_lock_holder=holder(context.operation),
        policy_refusal=str(policy) if policy else frozen,
        forced=forced,
    )
    return _with_forge(context, facts, state), state, run, who, need


def _with_forge(context: Context, facts: GateFacts, state: Live) -> GateFacts:
    """What only the forge knows, asked only where it is required."""
    subject, forge, pull = context.operation.subject, context.ports.forge, state.pull_request
    if Requirement.UP_TO_DATE in facts.requires:
        facts = replace(
            facts, is_up_to_date=forge.is_up_to_date(subject.repository_id, pull.base_ref, pull.head_sha)
        )
    if Requirement.CHECKS in facts.requires:
        facts = replace(
            facts, checks=forge.required_checks(subject.repository_id, pull.base_ref, pull.head_sha)
        )
    if Requirement.APPROVAL in facts.requires:
        facts = replace(facts, approvals=_approvals(context))
    if facts.merges:
        changed = forge.changed_files(subject.repository_id, subject.pull_request)
        facts = replace(
            facts, changes_workflows=any(path.startswith(".github/workflows/") for path in changed)
        )
    return facts


def _approvals(context: Context) -> Approvals:
    subject, forge = context.operation.subject, context.ports.forge
    reviews = forge.reviews(subject.repository_id, subject.pull_request)
    permissions: dict[int, Permission] = {}
    for review in reviews:
        if review.reviewer.id not in permissions:
            permissions[review.reviewer.id] = forge.permission(subject.repository_id, review.reviewer)
    head = context.ports.ledger.head(subject.repository_id, subject.pull_request)
    return Approvals(reviews, permissions, head.sender if head else None)


def _gate(context: Context, facts: DeployFacts) -> Step:
    read = rules(context)
    if isinstance(read, Refusal):
        return End(Outcome.REFUSED, ReasonCode(read.code), replace(facts, refusal=read))
    what, state, run, who, need = judged(context, read)

    decision = gate.deploy(state, who, need, what, f"/{context.operation.kind.value}")
    if isinstance(decision, Reject):
        outcome = Outcome.SUPERSEDED if decision.code is ReasonCode.SUPERSEDED else Outcome.REFUSED
        return End(outcome, decision.code, replace(facts, refusal=refusal(decision)))
    environment = read.rules.environment(what.environment)
    if run is None or environment is None:
        raise ValueError("the gate let a deployment through without a run or an environment")
    command = _command(context)
    return Next(
        "begin",
        replace(
            facts,
            model=read.rules.model,
            model_version=run.model_version or "",
            model_digest=run.model_digest or "",
            run_operation_id=run.operation_id,
            merge_method=environment.merge or "",
            label=f"Deployed-to-{environment.name}",
            forced=tuple(sorted(what.forced)),
            reason=(command.reason or "") if isinstance(command, Deploy) else "",
            began_at=context.now,
        ),
    )


def _begin(context: Context, facts: DeployFacts) -> Step:
    """Take the environment, tell the forge, plan the rollout."""
    subject, ledger = context.operation.subject, context.ports.ledger
    if not take(context, facts.environment):
        return Next("begin", facts, SOON)
    read = rules(context)
    if isinstance(read, Refusal):
        return End(Outcome.REFUSED, ReasonCode(read.code), replace(facts, refusal=read))
    environment = _environment(read.rules, facts.environment)
    place = EnvironmentKey(subject.repository_id, facts.model, facts.environment)
    serving = context.ports.serving.observe(place).stable.digest
    known = next(
        (one for one in ledger.revisions(subject.repository_id, facts.environment) if one.digest == serving),
        None,
    )
    context.effect("deployment", lambda: _deployment(context, facts))
    plan = rollout_plan(read.rules, environment, is_first=serving is None)
    return Next(
        "rollout",
        replace(
            facts,
            champion_digest=serving or "",
            champion_version=known.version if known else "",
            rollout=start(plan, context.now),
            url=context.ports.serving.url(place),
        ),
    )


def _rollout(context: Context, facts: DeployFacts) -> Step:
    rollout = rolling.step(context, facts)
    facts = replace(
        facts, rollout=rollout.rollout, signals_read=rollout.signals_read, merge_sha=rollout.merge_sha
    )
    if rollout.rollout.phase is Phase.DONE:
        return Next("promoted", facts)
    if rollout.rollout.phase is Phase.ROLLED_BACK:
        reason = (
            ReasonCode.MERGE_REFUSED
            if rollout.rollout.reason is Reason.MERGE_REFUSED
            else ReasonCode.ROLLED_BACK
        )
        return End(Outcome.ROLLED_BACK, reason, replace(facts, ended_at=context.now))
    return Next("rollout", facts, rollout.wait)


def _promoted(context: Context, facts: DeployFacts) -> Step:
    """The record first: what serves is a fact, whatever the labels say."""
    subject = context.operation.subject
    context.ports.ledger.activate(
        RevisionRecord(
            id=0,
            repository_id=subject.repository_id,
            environment=facts.environment,
            model=facts.model,
            version=facts.model_version,
            digest=facts.model_digest,
            commit_sha=str(subject.head_sha),
            pull_request=subject.pull_request,
            run_operation_id=facts.run_operation_id,
            by=subject.author.login,
            since=facts.began_at or context.now,
            is_active=True,
        )
    )
    return Next("aliases", facts)


def _aliases(context: Context, facts: DeployFacts) -> Step:
    set_aliases(context, facts.environment, facts.model, facts.model_version, facts.champion_version)
    return Next("labels", facts)


def _labels(context: Context, facts: DeployFacts) -> Step:
    """Decoration: a label that cannot be moved never fails a deployment."""
    subject, forge = context.operation.subject, context.ports.forge
    try:
        others = [n for n in forge.labelled(subject.repository_id, facts.label) if n != subject.pull_request]
        forge.set_labels(subject.repository_id, subject.pull_request, add=[facts.label])
        for number in others:
            forge.set_labels(subject.repository_id, number, remove=[facts.label])
    except (Unavailable, Refused) as error:
        facts = replace(facts, notes=(*facts.notes, f"The label {facts.label} could not be moved: {error}"))
        others = []
    done = replace(facts, label_taken_from=tuple(others), ended_at=context.now)
    return End(Outcome.SUCCEEDED, ReasonCode.DONE, done)


def set_aliases(context: Context, environment: str, model: str, version: str, before: str) -> None:
    alias = ROLLOUT_ALIASES.get(environment)
    if alias is None:
        return
    if alias is Alias.CHAMPION and before and before != version:
        context.ports.models.set_alias(model, Alias.PREVIOUS, before)
    context.ports.models.set_alias(model, alias, version)
    context.ports.models.tag(
        model,
        version,
        {
            "deployed_by": context.operation.subject.author.login,
            "deployed_at": context.now.isoformat(timespec="seconds"),
            "validation_status": "approved",
        },
    )


PHASES: dict[str, Callable[[Context, DeployFacts], Step]] = {
    "gate": _gate,
    "begin": _begin,
    "rollout": _rollout,
    "promoted": _promoted,
    "aliases": _aliases,
    "labels": _labels,
}


def _command(context: Context) -> Deploy | StagingDeploy:
    command = from_json(context.operation.subject.command)
    if not isinstance(command, Deploy | StagingDeploy):
        raise TypeError(f"operation {context.operation.id} holds {command}, not a deployment")
    return command


def _run(context: Context, command: Deploy | StagingDeploy) -> RunRecord | None:
    """The newest succeeded run of this very commit, or the one that was named (R13)."""
    subject = context.operation.subject
    runs = context.ports.ledger.runs(
        subject.repository_id, pull_request=subject.pull_request, commit_sha=subject.head_sha
    )
    fitting = (run for run in runs if run.state == "SUCCEEDED" and run.model_digest)
    return next((run for run in fitting if command.run in {None, str(run.operation_id)}), None)


def _environment(meant: Rules, name: str) -> Environment:
    environment = meant.environment(name)
    if environment is None:
        raise Refused(f"`kfops.yaml` on the default branch names no environment `{name}` any more")
    return environment


def _deployment(context: Context, facts: DeployFacts) -> str:
    subject = context.operation.subject
    return str(
        context.ports.forge.create_deployment(
            subject.repository_id,
            sha=str(subject.head_sha),
            environment=facts.environment,
            external_id=f"kfops-{context.operation.id}",
        )
    )
