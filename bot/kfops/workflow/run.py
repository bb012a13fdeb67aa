"""`/build`, `/run`, `/build_run`: from a pinned commit to evidence."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from kfops.command.catalog import keys_needed
from kfops.command.model import Build, BuildRun, Run
from kfops.command.serialise import from_json
from kfops.config.errors import ConfigError
from kfops.config.load import rules_edited, work_of
from kfops.config.meaning import Work
from kfops.config.overrides import Parameters, parameters
from kfops.config.policy import run_timeout
from kfops.domain.facts import ParameterFact, Refusal, RunFacts, dump
from kfops.domain.operation import RUNS, Kind, Outcome
from kfops.domain.package import CompileFailure, Package
from kfops.domain.record import RunRecord
from kfops.domain.run import ENDED, FailureKind, RunState
from kfops.ports.pipelines import CompileOrder, RunOrder
from kfops.rules import gate
from kfops.rules.gate import Reject
from kfops.rules.reasons import ReasonCode
from kfops.workflow import data, environment, evidence, images, offered, reaching
from kfops.workflow.context import Context, End, Next, Step
from kfops.workflow.gathering import (
    CONFIG,
    RulesRead,
    asker,
    checkout,
    live,
    needed,
    refusal,
    rules,
    rules_when_asked,
)

TICK = timedelta(seconds=1)
ATTEMPTS = 2


def decide(context: Context, facts: RunFacts) -> Step:
    if context.operation.cancel_by and context.operation.phase not in {"follow", "canceling"}:
        begun = _begun(context, facts) if context.operation.phase == "submit" else None
        if begun is None:
            return End(Outcome.CANCELED, ReasonCode.CANCELED, facts)
        context.ports.pipelines.cancel(begun)
        return Next("canceling", replace(facts, run_id=begun), TICK / 2)
    return PHASES[context.operation.phase](context, facts)


def not_carried_out(read: RulesRead) -> Refusal | None:
    """What the rules may say and this server does not do."""
    if read.rules.registered_by == "bot":
        return None
    why = "`models.registered_by: pipeline` is not carried out by this server."
    return Refusal(ReasonCode.RULES_INVALID.value, why, read.rules.registered_by, "bot", "Leave it out.")


def _begun(context: Context, facts: RunFacts) -> str | None:
    """The run that was submitted before a crash, and not written down as being followed."""
    record = context.operation.effects.get(f"run:{facts.attempt}")
    if record is None:
        return None
    return record.identity or context.ports.pipelines.find(_name(context, facts))


def _name(context: Context, facts: RunFacts) -> str:
    return f"op-{context.operation.id}-{facts.attempt}"


def _gate(context: Context, facts: RunFacts) -> Step:
    read = rules(context)
    if isinstance(read, Refusal):
        return _refused(facts, read)
    if (unserved := not_carried_out(read)) is not None:
        return _refused(facts, unserved)
    command = _command(context)
    need = needed(read.rules, keys_needed(command))
    state = live(context, read)

    decision = gate.run(state, asker(context, need), need, f"/{context.operation.kind.value}")
    if isinstance(decision, Reject):
        outcome = Outcome.SUPERSEDED if decision.code is ReasonCode.SUPERSEDED else Outcome.REFUSED
        return End(outcome, decision.code, replace(facts, refusal=refusal(decision)))
    return Next(
        "source",
        replace(facts, model=read.rules.model, is_adopted=read.rules.is_adopted, began_at=context.now),
    )


def _source(context: Context, facts: RunFacts) -> Step:
    checkout(context)
    work = _work(context)
    why = work if isinstance(work, Refusal) else offered.refused(context, work, dict(_command(context).set))
    return Next("environment", facts) if why is None else _refused(facts, why)


def _environment(context: Context, facts: RunFacts) -> Step:
    work = _work(context)
    if isinstance(work, Refusal):
        return _refused(facts, work)
    return environment.prepared(context, facts, work, "images")


def _images(context: Context, facts: RunFacts) -> Step:
    work, read = _work(context), rules_when_asked(context)
    if isinstance(work, Refusal):
        return _refused(facts, work)
    if isinstance(read, Refusal):
        return _refused(facts, read)
    return images.built(context, facts, read, work, "compile")


def _install(context: Context, facts: RunFacts) -> Step:
    work = _work(context)
    if isinstance(work, Refusal):
        return _refused(facts, work)
    return environment.prepared(context, facts, work, "data")


def _data(context: Context, facts: RunFacts) -> Step:
    work = _work(context)
    if isinstance(work, Refusal):
        return _refused(facts, work)
    return data.fetched(context, facts, work, "submit")


def _compile(context: Context, facts: RunFacts) -> Step:
    read = rules_when_asked(context)
    if isinstance(read, Refusal):
        return _refused(facts, read)
    work = _work(context)
    if isinstance(work, Refusal):
        return _refused(facts, work)
    edited = rules_edited(_config(context), read.content)
    facts = replace(
        facts, rules_edited=edited, config_digest=hashlib.sha256(_config(context) or b"").hexdigest()
    )

    made = _package(context, facts, work)
    if isinstance(made, Refusal):
        return _refused(facts, made)
    if isinstance(made, CompileFailure):
        facts = replace(facts, compile_failure=made, ended_at=context.now)
        return End(Outcome.FAILED, ReasonCode.COMPILE_FAILED, facts)
    overridable = read.rules.overridable
    values = parameters(made.inputs, work.pipeline.parameters, _command(context).set, overridable=overridable)
    if not isinstance(values, Parameters):
        problem = values[0]
        return _refused(
            facts,
            Refusal(
                problem.reason_code.value,
                f"{problem.source} {problem.name}: {problem.message}.",
                problem.found,
                problem.expected,
                problem.hint,
            ),
        )
    if (out_of_reach := reaching.refused(context, read, work, made, values)) is not None:
        return _refused(facts, out_of_reach)
    facts = replace(
        facts,
        package_digest=made.digest,
        package_path=str(made.path),
        steps=tuple(step.name for step in made.steps),
        values=values.values,
        parameters=_shown(made, values, evidence.champion_parameters(context, facts.model)),
    )
    if context.operation.kind is Kind.BUILD:
        _record(context, facts, "BUILT")
        return End(Outcome.SUCCEEDED, ReasonCode.DONE, replace(facts, ended_at=context.now))
    wanted = tuple(dict.fromkeys(one for step in made.steps for one in step.packages))
    return Next("install", replace(facts, packages=wanted)) if wanted else Next("data", facts)


def _submit(context: Context, facts: RunFacts) -> Step:
    if _runs_under_way(context) >= context.options.max_runs:
        return Next("submit", facts, TICK)
    work = _work(context)
    if isinstance(work, Refusal):
        return _refused(facts, work)
    package = context.ports.pipelines.compile(_order(context, facts, work, Path(facts.package_path)))
    if isinstance(package, CompileFailure):
        return End(Outcome.FAILED, ReasonCode.COMPILE_FAILED, replace(facts, compile_failure=package))

    name = _name(context, facts)
    order = RunOrder(
        name=name,
        package=package,
        source_dir=context.source_dir,
        parameters=dict(facts.values or {}) | {one.parameter: one.path for one in facts.data_files},
        data=tuple(Path(one.path) for one in facts.data_files),
        timeout_s=run_timeout(context.options.policy, work.pipeline.timeout).total_seconds(),
        cache=work.pipeline.cache,
        packages=environment.packages(context, facts),
        labels={
            "repository": str(context.operation.subject.repository_id),
            "model": facts.model,
            "pull-request": str(context.operation.subject.pull_request),
            "commit": context.operation.short_sha,
        },
    )
    pipelines = context.ports.pipelines
    run_id = context.effect(
        f"run:{facts.attempt}", lambda: pipelines.submit(order), lambda: pipelines.find(name)
    )
    return Next("follow", replace(facts, run_id=run_id), TICK)


def _follow(context: Context, facts: RunFacts) -> Step:
    if context.operation.cancel_by:
        context.ports.pipelines.cancel(facts.run_id)
        return Next("canceling", facts, TICK / 2)
    status = context.ports.pipelines.status(facts.run_id)
    facts = replace(facts, status=status)
    if status.state not in ENDED:
        return Next("follow", facts, TICK)
    if status.is_lost and facts.attempt < ATTEMPTS:
        note = f"Attempt {facts.attempt} ended without a result; this is attempt {facts.attempt + 1}."
        return Next("submit", replace(facts, attempt=facts.attempt + 1, notes=(*facts.notes, note)))
    if status.state is RunState.CANCELED:
        return End(Outcome.CANCELED, ReasonCode.CANCELED, replace(facts, ended_at=context.now))
    if status.state is not RunState.SUCCEEDED:
        _record(context, facts, "FAILED")
        return End(Outcome.FAILED, _why(facts), replace(facts, ended_at=context.now))
    return Next("record", facts)


def _canceling(context: Context, facts: RunFacts) -> Step:
    status = context.ports.pipelines.status(facts.run_id)
    facts = replace(facts, status=status)
    if status.state not in ENDED:
        return Next("canceling", facts, TICK / 2)
    return End(Outcome.CANCELED, ReasonCode.CANCELED, replace(facts, ended_at=context.now))


def _record_model(context: Context, facts: RunFacts) -> Step:
    step = evidence.record(context, facts)
    if isinstance(step.facts, RunFacts):
        environment.remember(context, step.facts)
    return step


def _compare(context: Context, facts: RunFacts) -> Step:
    read = rules_when_asked(context)
    if isinstance(read, Refusal):
        return _refused(facts, read)
    work = _work(context)
    if isinstance(work, Refusal):
        return _refused(facts, work)
    done = replace(evidence.compared(context, facts, read.rules, work), ended_at=context.now)
    _record(context, done, "SUCCEEDED")
    if done.scoring_failure is not None:
        return End(Outcome.FAILED, ReasonCode.NO_MODEL, done)
    return End(Outcome.SUCCEEDED, ReasonCode.DONE, done)


PHASES: dict[str, Callable[[Context, RunFacts], Step]] = {
    "gate": _gate,
    "source": _source,
    "environment": _environment,
    "images": _images,
    "compile": _compile,
    "install": _install,
    "data": _data,
    "submit": _submit,
    "follow": _follow,
    "canceling": _canceling,
    "record": _record_model,
    "compare": _compare,
}


def _command(context: Context) -> Build | Run | BuildRun:
    command = from_json(context.operation.subject.command)
    if not isinstance(command, Build | Run | BuildRun):
        raise TypeError(f"operation {context.operation.id} holds {command}, not a run")
    return command


def _refused(facts: RunFacts, why: Refusal) -> End:
    return End(Outcome.REFUSED, ReasonCode(why.code), replace(facts, refusal=why))


def _config(context: Context) -> bytes | None:
    path = context.source_dir / CONFIG
    return path.read_bytes() if path.is_file() and not path.is_symlink() else None


def _work(context: Context) -> Work | Refusal:
    content = _config(context)
    if content is None:
        return Refusal(
            ReasonCode.CONFIG_MISSING.value,
            f"There is no `{CONFIG}` at this commit.",
            "no file",
            f"`{CONFIG}` at the root of the repository",
            "`kfc init .` makes one.",
        )
    try:
        return work_of(content)
    except ConfigError as error:
        return Refusal(
            ReasonCode.CONFIG_INVALID.value, f"`{CONFIG}` at this commit has errors.", detail=str(error)
        )


def _package(context: Context, facts: RunFacts, work: Work) -> Package | CompileFailure | Refusal:
    """Compile; or, for `/run`, take the last package that was built for this commit."""
    command, subject = _command(context), context.operation.subject
    if not isinstance(command, Run):
        return context.ports.pipelines.compile(_order(context, facts, work, None))
    built = context.ports.ledger.runs(
        subject.repository_id, pull_request=subject.pull_request, commit_sha=subject.head_sha
    )
    fitting = [run for run in built if not command.package or run.package_digest.startswith(command.package)]
    if not fitting:
        return Refusal(
            ReasonCode.NO_PACKAGE.value,
            "No package was built for this commit.",
            "nothing",
            "a package",
            "`/build`",
        )
    path = Path(str(fitting[0].evidence["package_path"]))
    return context.ports.pipelines.compile(_order(context, facts, work, path))


def _order(context: Context, facts: RunFacts, work: Work, package: Path | None) -> CompileOrder:
    out = context.options.data_dir / "packages" / str(context.operation.id)
    out.mkdir(parents=True, exist_ok=True)
    if package is not None:
        return CompileOrder(package.parent, package.name, out / "again", installs_later=True)
    return CompileOrder(
        context.source_dir,
        work.pipeline.source,
        out,
        work.pipeline.function,
        packages=environment.packages(context, facts),
        installs_later=True,
        images={one.name: one.reference for one in facts.images},
    )


def _shown(package: Package, values: Parameters, champion: Mapping[str, str]) -> tuple[ParameterFact, ...]:
    def text(value: Any) -> str:
        return "" if value is None else str(value)

    return tuple(
        ParameterFact(
            one.name,
            text(values.values.get(one.name, one.default)),
            text(one.default),
            champion.get(one.name),
            one.name in values.overridden,
        )
        for one in package.inputs
    )


def _runs_under_way(context: Context) -> int:
    others = context.ports.ledger.open_operations(context.operation.subject.repository_id, kinds=RUNS)
    return sum(one.phase in {"follow", "canceling"} and one.id != context.operation.id for one in others)


def _why(facts: RunFacts) -> ReasonCode:
    failure = facts.status.failure if facts.status else None
    match failure.kind if failure else None:
        case FailureKind.TIMEOUT:
            return ReasonCode.TIMED_OUT
        case FailureKind.LOST:
            return ReasonCode.RUN_LOST
        case FailureKind.STEP | FailureKind.OUT_OF_SPACE | FailureKind.BACKEND | None:
            return ReasonCode.RUN_FAILED


def _record(context: Context, facts: RunFacts, state: str) -> None:
    subject = context.operation.subject
    context.ports.ledger.add_run(
        RunRecord(
            operation_id=context.operation.id,
            repository_id=subject.repository_id,
            pull_request=subject.pull_request,
            commit_sha=str(subject.head_sha),
            state=state,
            package_digest=facts.package_digest,
            model_version=facts.model_version or None,
            model_digest=facts.model_digest or None,
            evidence=dump(facts),
            created_at=context.now,
        )
    )
