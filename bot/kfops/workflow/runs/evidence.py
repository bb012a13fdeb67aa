"""The second half of a run: its model is recorded, scored beside production's, and held against the gates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from kfops.config.gate_result import evaluate
from kfops.config.meaning import Rules, Work
from kfops.domain.evidence import Comparison, ScoringFailure
from kfops.domain.facts import GateFact, RunFacts
from kfops.domain.model_version import Alias, Artifact, ModelVersion
from kfops.domain.operation import Kind, Operation, Outcome
from kfops.domain.profile import DataDrift, Profile, read_profile
from kfops.domain.run import RunOutputs
from kfops.ports.models import RunRecord as TrackedRun
from kfops.rules.drift import drift
from kfops.rules.reasons import ReasonCode
from kfops.workflow.context import Context, End, Next, Step


def champion_parameters(context: Context, model: str) -> Mapping[str, str]:
    champion = context.ports.models.by_alias(model, Alias.CHAMPION)
    return champion.parameters if champion else {}


def record(context: Context, facts: RunFacts) -> Step:
    """The bot records, not the pipeline: nothing is unpickled, nothing needs credentials inside."""
    outputs = context.ports.pipelines.outputs(facts.run_id)
    if outputs.model is None:
        facts = replace(facts, notes=(*facts.notes, *outputs.problems), ended_at=context.now)
        return End(Outcome.FAILED, ReasonCode.NO_MODEL, facts)
    digest = context.ports.store.put(outputs.model)
    found = {
        Artifact.MODEL: outputs.model,
        Artifact.HELDOUT: outputs.heldout,
        Artifact.TRAINING_ROWS: outputs.training_rows,
        Artifact.PROFILE: outputs.profile,
        Artifact.METRICS: outputs.metrics_file,
        Artifact.GOLDEN: outputs.golden,
    }
    status, subject = facts.status, context.operation.subject
    tracked = TrackedRun(
        model=facts.model,
        operation=f"kfops-{subject.repository_id}-{context.operation.id}",
        name=f"{_origin(context.operation)} {context.operation.short_sha} #{context.operation.id}",
        started_at=(status.started_at if status else None) or context.operation.created_at,
        ended_at=(status.ended_at if status else None) or context.now,
        artifacts={kind: path for kind, path in found.items() if path is not None},
        parameters={one.name: one.value for one in facts.parameters},
        metrics=outputs.metrics,
        tags=_tags(context.operation, facts, outputs),
    )
    models = context.ports.models
    number = context.effect("model", lambda: models.record(tracked).version)
    return _recorded(context, facts, outputs, models.version_of(facts.model, number), number, digest)


def adopt(context: Context, facts: RunFacts) -> Step:
    """`models.registered_by: pipeline`: the version that the pipeline registered, known by this run's tags."""
    outputs, models = context.ports.pipelines.outputs(facts.run_id), context.ports.models
    wanted = {
        name: value
        for name, value in _tags(context.operation, facts, outputs).items()
        if name in {"git_commit", "kfops.run_id"}
    }
    found = models.adopt(facts.model, wanted)
    place = model_of(context, found) if found else None
    if found is None or place is None:
        tags = ", ".join(f"{name}={value}" for name, value in wanted.items())
        note = (
            f"The pipeline registered no version of {facts.model} with the tags {tags}, which "
            "`models.registered_by: pipeline` asks for; an input `kfops_run_id` is given that number."
        )
        facts = replace(facts, notes=(*facts.notes, note, *outputs.problems), ended_at=context.now)
        return End(Outcome.FAILED, ReasonCode.NO_MODEL, facts)
    models.tag(facts.model, found.version, _tags(context.operation, facts, outputs))
    return _recorded(context, facts, outputs, found, found.version, found.digest)


def _recorded(
    context: Context,
    facts: RunFacts,
    outputs: RunOutputs,
    version: ModelVersion | None,
    number: str,
    digest: str,
) -> Next:
    context.ports.models.set_alias(facts.model, Alias.CHALLENGER, number)
    return Next(
        "compare",
        replace(
            facts,
            model_version=number,
            model_digest=digest,
            model_link=version.link if version else "",
            run_link=version.run_link if version else "",
            reported=outputs.metrics,
            data_digest=outputs.digests.get("data", ""),
            notes=(*facts.notes, *outputs.problems),
        ),
    )


def _tags(operation: Operation, facts: RunFacts, outputs: RunOutputs) -> dict[str, str]:
    """A version's evidence, as the registry shows it."""
    subject = operation.subject
    return {
        "git_commit": str(subject.head_sha),
        **_cause(operation),
        "repository_id": str(subject.repository_id),
        "kfops.run_id": str(operation.id),
        "data_digest": outputs.digests.get("data", ""),
        "package_digest": facts.package_digest,
        "environment_digest": facts.environment_digest,
        "config_digest": facts.config_digest,
        "requested_by": subject.author.login,
    }


def _origin(operation: Operation) -> str:
    return "retraining" if operation.kind is Kind.RETRAIN else f"pr-{operation.subject.pull_request}"


def _cause(operation: Operation) -> dict[str, str]:
    """Where a version came from. One without a pull request is none that can be deployed (R13)."""
    if operation.kind is Kind.RETRAIN:
        return {"scheduled_for": str(operation.subject.command["moment"])}
    return {"pr": str(operation.subject.pull_request)}


def compared(context: Context, facts: RunFacts, rules: Rules, work: Work) -> RunFacts:
    """Both on the same held-out rows, in the sandbox; then the gates on that score."""
    subject = context.operation.subject
    earlier = context.ports.ledger.runs(
        subject.repository_id, pull_request=subject.pull_request, commit_sha=subject.head_sha
    )
    attempts = 1 + sum(
        run.state == "SUCCEEDED"
        and run.operation_id != context.operation.id
        # The same commit every week is no lucky seed, unless the data are the same too.
        and (
            context.operation.kind is not Kind.RETRAIN or run.evidence.get("data_digest") == facts.data_digest
        )
        for run in earlier
    )
    champion = context.ports.models.by_alias(rules.model, Alias.CHAMPION)
    result = score(context, facts, work, champion, attempts)
    facts = replace(
        facts,
        commit_attempts=attempts,
        champion_version=champion.version if champion else "",
        drift=_drift(context, facts, champion) if champion else None,
    )
    if isinstance(result, ScoringFailure):
        return replace(facts, scoring_failure=result)
    if result is None:
        metrics, beside = dict(facts.reported or {}), None
        note = "The pipeline handed over no held-out rows: these are the metrics that it reported itself."
        facts = replace(facts, notes=(*facts.notes, note))
    else:
        metrics, beside = dict(result.challenger), dict(result.champion) or None
        facts = replace(facts, comparison=result)
    gates = tuple(
        GateFact(outcome.text, outcome.passed)
        for outcome in (evaluate(g, metrics, beside) for g in rules.gates)
    )
    return replace(facts, gates=gates)


def score(
    context: Context, facts: RunFacts, work: Work, champion: ModelVersion | None, attempts: int
) -> Comparison | ScoringFailure | None:
    """None: there is nothing to score on, or nobody said what is predicted."""
    challenger = context.ports.store.path(facts.model_digest)
    scratch = context.options.data_dir / "scratch" / str(context.operation.id)
    scratch.mkdir(parents=True, exist_ok=True)
    heldout = context.ports.models.fetch(
        facts.model, facts.model_version, Artifact.HELDOUT, scratch / "challenger"
    )
    if challenger is None or heldout is None or work.data is None:
        return None
    return context.ports.scoring.compare(
        challenger,
        model_of(context, champion) if champion else None,
        heldout,
        task=work.data.task,
        target=work.data.target,
        attempts=attempts,
        champion_training_rows=context.ports.models.fetch(
            champion.model, champion.version, Artifact.TRAINING_ROWS, scratch / "champion"
        )
        if champion
        else None,
    )


def _drift(context: Context, facts: RunFacts, champion: ModelVersion) -> DataDrift | None:
    scratch = context.options.data_dir / "scratch" / str(context.operation.id)
    now = _profile(context, facts.model, facts.model_version, scratch / "challenger")
    then = _profile(context, champion.model, champion.version, scratch / "champion")
    return drift(now, then) if now and then else None


def _profile(context: Context, model: str, version: str, scratch: Path) -> Profile | None:
    file = context.ports.models.fetch(model, version, Artifact.PROFILE, scratch)
    return read_profile(file.read_bytes()) if file else None


def model_of(context: Context, version: ModelVersion) -> Path | None:
    """From the store, or fetched from the registry into it."""
    known = context.ports.store.path(version.digest)
    if known:
        return known
    scratch = context.options.data_dir / "scratch" / str(context.operation.id)
    fetched = context.ports.models.fetch(version.model, version.version, Artifact.MODEL, scratch / "champion")
    return context.ports.store.path(context.ports.store.put(fetched)) if fetched else None
