"""A package's run on the pipelines engine: submitted once, followed, cancelled, tried again when it was lost."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from kfops.config.meaning import Work
from kfops.config.policy import run_timeout
from kfops.domain.facts import RunFacts
from kfops.domain.operation import Kind, Outcome
from kfops.domain.package import CompileFailure
from kfops.domain.run import ENDED, FailureKind
from kfops.ports.pipelines import RunOrder
from kfops.rules.reasons import ReasonCode
from kfops.workflow.context import Context, End, Next, Step
from kfops.workflow.runs import capacity, data, environment, packaging
from kfops.workflow.telling import may_be_overwritten

TICK = timedelta(seconds=1)
ATTEMPTS = 2


def submitted(context: Context, facts: RunFacts, work: Work) -> Step:
    """The run under its name: one that was submitted before a crash is found, not doubled."""
    if not capacity.take(context):
        return Next(capacity.WAITING, facts, capacity.UNWOKEN)
    package = packaging.again(context, facts, work)
    if isinstance(package, CompileFailure):
        return End(Outcome.FAILED, ReasonCode.COMPILE_FAILED, replace(facts, compile_failure=package))

    facts, name = data.here(context, facts), _name(context, facts)
    order = RunOrder(
        name=name,
        package=package,
        source_dir=context.source_dir,
        parameters=dict(facts.values or {}) | {one.parameter: one.path for one in facts.data_files},
        data=tuple(Path(one.path) for one in facts.data_files),
        timeout_s=run_timeout(context.options.policy, work.pipeline.timeout).total_seconds(),
        cache=work.pipeline.cache,
        packages=environment.packages(context, facts),
        labels=_labels(context, facts),
        hold=context.hold,
    )
    pipelines = context.ports.pipelines
    run_id = context.effect(_effect(facts), lambda: pipelines.submit(order), lambda: pipelines.find(name))
    return Next("follow", replace(facts, run_id=run_id), TICK)


def _labels(context: Context, facts: RunFacts) -> dict[str, str]:
    """A retraining belongs to no pull request, and goes into the model's own experiment."""
    subject = context.operation.subject
    found = {
        "repository": str(subject.repository_id),
        "model": facts.model,
        "commit": context.operation.short_sha,
    }
    if context.operation.kind is not Kind.RETRAIN:
        found["pull-request"] = str(subject.pull_request)
    return found


def may_go_on(context: Context, facts: RunFacts) -> bool:
    """Is there a run outside, or may there be one that was submitted before a crash?"""
    phase = context.operation.phase
    return phase == "follow" or (phase == "submit" and _effect(facts) in context.operation.effects)


def _begun(context: Context, facts: RunFacts) -> str | None:
    """The run of this attempt; None when a crash came before there was one."""
    record = context.operation.effects.get(_effect(facts))
    return (record and record.identity) or context.ports.pipelines.find(_name(context, facts))


def followed(context: Context, facts: RunFacts) -> Step | RunFacts:
    """What to do while it moves or was lost; the facts once it has ended."""
    if context.operation.cancel_by:
        return canceling(facts)
    facts = replace(facts, status=context.ports.pipelines.status(facts.run_id))
    assert facts.status is not None  # noqa: S101 - it was just asked
    if facts.status.state not in ENDED:
        return Next("follow", facts, TICK)
    if facts.status.is_lost and facts.attempt < ATTEMPTS:
        note = f"Attempt {facts.attempt} ended without a result; this is attempt {facts.attempt + 1}."
        return Next("submit", replace(facts, attempt=facts.attempt + 1, notes=(*facts.notes, note)))
    capacity.give_back(context)  # what follows is not the engine's work
    return facts


def canceling(facts: RunFacts) -> Step:
    """Nothing goes on; the run is stopped in a phase of its own, which is gone through again until it has ended."""
    return Next("canceling", facts)


def canceled(context: Context, facts: RunFacts) -> Step:
    """Over only when the run has ended: whoever comes next finds the machine free."""
    run_id, pipelines = _begun(context, facts), context.ports.pipelines
    if run_id is None:
        return over(context, facts)
    facts = replace(facts, run_id=run_id)

    def cancel() -> str:
        pipelines.cancel(run_id)
        return "-"

    context.effect("cancel", cancel)
    facts = replace(facts, status=pipelines.status(run_id))
    assert facts.status is not None  # noqa: S101 - it was just asked
    return over(context, facts) if facts.status.state in ENDED else Next("canceling", facts, TICK / 2)


def over(context: Context, facts: RunFacts) -> End:
    """Canceled by somebody, or given up."""
    facts = replace(facts, ended_at=context.now)
    if facts.refusal is None:
        return End(Outcome.CANCELED, ReasonCode.CANCELED, facts)
    return End(Outcome.FAILED, ReasonCode(facts.refusal.code), facts)


def keep_one(context: Context, facts: RunFacts) -> None:
    """The run of the last attempt, when a worker that was paused may have submitted another one late."""
    known = context.operation.identity(_effect(facts))
    if known is not None and may_be_overwritten(context.operation):
        context.ports.pipelines.keep_one(_name(context, facts), known)


def why(facts: RunFacts) -> ReasonCode:
    """Of a run that failed."""
    failure = facts.status.failure if facts.status else None
    match failure.kind if failure else None:
        case FailureKind.TIMEOUT:
            return ReasonCode.TIMED_OUT
        case FailureKind.LOST:
            return ReasonCode.RUN_LOST
        case FailureKind.STEP | FailureKind.OUT_OF_SPACE | FailureKind.BACKEND | None:
            return ReasonCode.RUN_FAILED


def _name(context: Context, facts: RunFacts) -> str:
    return f"op-{context.operation.id}-{facts.attempt}"


def _effect(facts: RunFacts) -> str:
    return f"run:{facts.attempt}"
