"""`/staging_deploy` and `/deploy`: gates, the rollout, and what follows a promotion."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from kfops.command.model import Deploy
from kfops.config.meaning import STAGING, Environment, Rules
from kfops.config.plan import predictor_spec, rollout_plan
from kfops.domain.facts import DeployFacts, Refusal
from kfops.domain.model_version import Alias
from kfops.domain.operation import Outcome
from kfops.domain.record import RevisionRecord
from kfops.domain.rollout import Phase, Reason
from kfops.ports.errors import Refused, Unavailable
from kfops.rules.gate import Reject
from kfops.rules.reasons import ReasonCode
from kfops.rules.rollout import start, stopped
from kfops.workflow.context import Context, End, Next, Step
from kfops.workflow.gathering import refusal, rules, rules_when_asked
from kfops.workflow.holding import take
from kfops.workflow.judging import command_of, judged
from kfops.workflow.rollouts import rolling
from kfops.workflow.rollouts.placing import place_of
from kfops.workflow.telling import external_id

SOON = timedelta(seconds=1)
STUCK = timedelta(minutes=1)
PRODUCTION = "production"
ROLLOUT_ALIASES = {PRODUCTION: Alias.CHAMPION, STAGING: Alias.STAGING}


def decide(context: Context, facts: DeployFacts) -> Step:
    if context.operation.cancel_by and facts.rollout is None:
        return End(Outcome.CANCELED, ReasonCode.CANCELED, facts)
    return PHASES[context.operation.phase](context, facts)


def _gate(context: Context, facts: DeployFacts) -> Step:
    read = rules(context)
    if isinstance(read, Refusal):
        return End(Outcome.REFUSED, ReasonCode(read.code), replace(facts, refusal=read))
    seen = judged(context, read)

    decision = seen.decision(context.operation)
    if isinstance(decision, Reject):
        outcome = Outcome.SUPERSEDED if decision.code is ReasonCode.SUPERSEDED else Outcome.REFUSED
        return End(outcome, decision.code, replace(facts, refusal=refusal(decision)))
    environment, run = read.rules.environment(seen.facts.environment), seen.run
    if run is None or environment is None:
        raise ValueError("the gate let a deployment through without a run or an environment")
    command = command_of(context)
    return Next(
        "begin",
        replace(
            facts,
            model=read.rules.model,
            model_version=run.model_version or "",
            model_digest=run.model_digest or "",
            run_operation_id=run.operation_id,
            namespace=environment.namespace,
            predictor=predictor_spec(read.rules),
            merge_method=environment.merge or "",
            label=f"Deployed-to-{environment.name}",
            forced=tuple(sorted(seen.facts.forced)),
            rules_digest=read.digest,
            reason=(command.reason or "") if isinstance(command, Deploy) else "",
            began_at=context.now,
        ),
    )


def _begin(context: Context, facts: DeployFacts) -> Step:
    """Take the environment, tell the forge, plan the rollout."""
    subject, ledger = context.operation.subject, context.ports.ledger
    if not take(context, facts.environment):
        return Next("begin", facts, SOON)
    read = rules_when_asked(context)
    if isinstance(read, Refusal):
        return End(Outcome.REFUSED, ReasonCode(read.code), replace(facts, refusal=read))
    environment = _environment(read.rules, facts.environment)
    place = place_of(context, facts)
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
    rolled = rolling.step(context, facts)
    facts = rolled.facts
    if rolled.rollout.phase is Phase.DONE:
        return Next("promoted", facts)
    if rolled.rollout.phase is Phase.ROLLED_BACK:
        reason = (
            ReasonCode.MERGE_REFUSED
            if rolled.rollout.reason is Reason.MERGE_REFUSED
            else ReasonCode.ROLLED_BACK
        )
        return End(Outcome.ROLLED_BACK, reason, replace(facts, ended_at=context.now))
    return Next("rollout", facts, rolled.wait)


def given_up(context: Context, facts: DeployFacts, why: Refusal) -> Step:
    """What was refused for good, or a defect, in the middle of a rollout: the champion is restored. Where the candidate
    is the champion already, or the way back itself is refused, it is tried again until somebody has mended it.
    """
    if facts.rollout is None or facts.rollout.phase.is_final:
        return End(Outcome.FAILED, ReasonCode(why.code), replace(facts, refusal=why))
    rollout = stopped(facts.rollout, context.ports.clock.now(), why.sentence)
    is_new = rollout.phase is not facts.rollout.phase
    return Next("rollout", replace(facts, rollout=rollout), timedelta(0) if is_new else STUCK)


def _promoted(context: Context, facts: DeployFacts) -> Step:
    """The record first: what serves is a fact, whatever the labels say."""
    subject = context.operation.subject
    context.ports.ledger.activate(
        context.operation,
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
        ),
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
    context.hold()
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
            external_id=external_id(context.operation),
        )
    )
