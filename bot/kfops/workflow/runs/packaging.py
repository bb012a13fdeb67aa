"""From the pinned commit's files to a package and the values of its inputs."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from kfops.command.model import Build, BuildRun, Run
from kfops.command.serialise import from_json
from kfops.config.load import rules_edited
from kfops.config.meaning import Work
from kfops.config.overrides import Parameters, parameters
from kfops.domain.facts import ParameterFact, Refusal, RunFacts
from kfops.domain.operation import Kind
from kfops.domain.package import CompileFailure, Package
from kfops.domain.record import RunRecord
from kfops.ports.pipelines import CompileOrder
from kfops.rules.reasons import ReasonCode
from kfops.workflow.context import Context
from kfops.workflow.gathering import RulesRead
from kfops.workflow.runs import commit, environment, evidence, pulling, reaching

RUN_ID = (
    "kfops_run_id"  # an input of this name is told by which number the bot will look for what was registered
)


def asked(context: Context) -> Build | Run | BuildRun:
    """The command of this operation; a retraining is a `/build_run` that nobody typed."""
    if context.operation.kind is Kind.RETRAIN:
        return BuildRun()
    command = from_json(context.operation.subject.command)
    if not isinstance(command, Build | Run | BuildRun):
        raise TypeError(f"operation {context.operation.id} holds {command}, not a run")
    return command


def packaged(
    context: Context, facts: RunFacts, read: RulesRead, work: Work
) -> tuple[RunFacts, Package] | CompileFailure | Refusal:
    """The package, and the facts with what it is and with which values it shall run."""
    made = _package(context, facts, work)
    if isinstance(made, Refusal | CompileFailure):
        return made
    values = parameters(
        made.inputs, work.pipeline.parameters, asked(context).set, overridable=read.rules.overridable
    )
    if not isinstance(values, Parameters):
        problem = values[0]
        sentence = f"{problem.source} {problem.name}: {problem.message}."
        return Refusal(problem.reason_code.value, sentence, problem.found, problem.expected, problem.hint)
    if (out_of_reach := reaching.refused(context, read, work, made, values)) is not None:
        return out_of_reach
    if (foreign := pulling.refused(context, read, made)) is not None:
        return foreign
    if any(one.name == RUN_ID for one in made.inputs):
        values = replace(values, values={**values.values, RUN_ID: str(context.operation.id)})
    return replace(
        facts,
        package_digest=made.digest,
        package_path=str(made.path),
        steps=tuple(step.name for step in made.steps),
        values=values.values,
        parameters=_shown(made, values, evidence.champion_parameters(context, facts.model)),
    ), made


def again(context: Context, facts: RunFacts, work: Work) -> Package | CompileFailure:
    """The package that was made, read from its file once more: what runs is what was checked."""
    return _made(context, facts, work, Path(facts.package_path), facts.package_digest)


def config_facts(context: Context, facts: RunFacts, read: RulesRead) -> RunFacts:
    """Which kfops.yaml this is, and whether it edits the rules half (R10)."""
    content = commit.config(context)
    return replace(
        facts,
        rules_edited=rules_edited(content, read.content),
        config_digest=hashlib.sha256(content or b"").hexdigest(),
    )


def _package(context: Context, facts: RunFacts, work: Work) -> Package | CompileFailure | Refusal:
    """Compile; or, for `/run`, take the last package that was built for this commit."""
    command = asked(context)
    if not isinstance(command, Run):
        return context.ports.pipelines.compile(_order(context, facts, work, None))
    built = last_built(context, command)
    if isinstance(built, Refusal):
        return built
    path = Path(str(built.evidence["package_path"]))
    return _made(context, facts, work, path, built.package_digest)


def last_built(context: Context, command: Run) -> RunRecord | Refusal:
    """Of this commit, the newest run whose package is the one that is asked for, or any."""
    subject = context.operation.subject
    built = context.ports.ledger.runs(
        subject.repository_id, pull_request=subject.pull_request, commit_sha=str(subject.head_sha)
    )
    fitting = [run for run in built if run.package_digest.startswith(command.package or "")]
    if fitting:
        return fitting[0]
    return Refusal(
        ReasonCode.NO_PACKAGE.value,
        "No package was built for this commit.",
        "nothing",
        "a package",
        "`/build`",
    )


def _made(context: Context, facts: RunFacts, work: Work, path: Path, digest: str) -> Package | CompileFailure:
    """From its file; compiled once more where another replica has that, and then it must be the same."""
    if path.is_file():
        return context.ports.pipelines.compile(_order(context, facts, work, path))
    made = context.ports.pipelines.compile(_order(context, facts, work, None))
    if isinstance(made, Package) and made.digest != digest:
        told = f"compiled once more, it gives another package ({made.digest[:12]} instead of {digest[:12]})"
        hint = "Let the pipeline file give the same each time: no time, no chance, no machine's name."
        return CompileFailure(told, work.pipeline.source, hint=hint)
    return made


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
