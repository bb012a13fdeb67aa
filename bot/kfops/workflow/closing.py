"""The common end of every operation: everything outside reaches a final state (R18), then the row ends."""

from __future__ import annotations

from datetime import timedelta

from kfops.domain.facts import DeployFacts
from kfops.domain.operation import ROLLOUTS, RUNS, Kind, Outcome
from kfops.ports.errors import Refused, Unavailable
from kfops.ports.forge import CheckConclusion, CheckReport, DeploymentState
from kfops.workflow.context import Context, Facts
from kfops.workflow.holding import give_back
from kfops.workflow.telling import REACTIONS, react, tell

PATIENCE = timedelta(hours=6)
CONCLUSIONS = {
    Outcome.SUCCEEDED: CheckConclusion.SUCCESS,
    Outcome.FAILED: CheckConclusion.FAILURE,
    Outcome.ROLLED_BACK: CheckConclusion.FAILURE,
    Outcome.REFUSED: CheckConclusion.ACTION_REQUIRED,
    Outcome.CANCELED: CheckConclusion.CANCELLED,
    Outcome.SUPERSEDED: CheckConclusion.NEUTRAL,
    Outcome.SKIPPED: CheckConclusion.NEUTRAL,
}


def close(context: Context, facts: Facts, repository_url: str) -> None:
    """All of it is idempotent: a crash in the middle does it again. Raises `Unavailable` while the forge is away."""
    operation = context.operation
    if operation.outcome is None:
        raise ValueError(f"operation {operation.id} closes without an outcome")
    context.effect("audit", lambda: _audit(context, facts))
    _finish_deployment(context, facts)
    _report_check(context, CONCLUSIONS[operation.outcome])
    tell(context, operation, facts, repository_url)
    react(context, REACTIONS[operation.outcome])
    if isinstance(facts, DeployFacts):
        give_back(context, facts.environment)


def begin_check(context: Context) -> None:
    _report_check(context, None)


def _report_check(context: Context, conclusion: CheckConclusion | None) -> None:
    operation = context.operation
    if operation.kind not in RUNS | ROLLOUTS or not operation.subject.head_sha:
        return
    if operation.outcome is Outcome.REFUSED and operation.identity("check") is None:
        return  # a refusal says nothing of the commit
    said = operation.outcome.value.replace("_", " ") if operation.outcome else "under way"
    report = CheckReport(
        name=f"kfops/{operation.kind.value}",
        head_sha=operation.subject.head_sha,
        title=f"/{operation.kind.value}: {said}",
        summary=f"Operation {operation.id}, asked for by {operation.subject.author.login}.",
        external_id=f"kfops-{operation.id}",
        conclusion=conclusion,
    )
    try:
        if conclusion is None:
            context.effect("check", lambda: _send(context, report))
        else:
            _send(context, report)
    except Refused:
        return  # a check run is decoration; the comment and the ledger say what happened


def _send(context: Context, report: CheckReport) -> str:
    return str(context.ports.forge.report_check(context.operation.subject.repository_id, report) or "")


def _finish_deployment(context: Context, facts: Facts) -> None:
    deployment = context.operation.identity("deployment")
    if deployment is None or not isinstance(facts, DeployFacts):
        return
    good = context.operation.outcome is Outcome.SUCCEEDED
    context.ports.forge.deployment_status(
        context.operation.subject.repository_id,
        int(deployment),
        DeploymentState.SUCCESS if good else DeploymentState.FAILURE,
        description=(facts.rollout.sentence if facts.rollout else "")[:140],
        environment_url=facts.url or None,
    )


def _audit(context: Context, facts: Facts) -> str:
    operation = context.operation
    detail: dict[str, object] = {
        "operation": operation.id,
        "command": dict(operation.subject.command),
        "commit": operation.subject.head_sha,
        "outcome": operation.outcome.value if operation.outcome else "",
        "reason_code": operation.reason_code,
    }
    if isinstance(facts, DeployFacts):
        detail |= {"model_digest": facts.model_digest, "merge_sha": facts.merge_sha, "forced": facts.forced}
    if operation.kind in {Kind.HELP, Kind.STATUS, Kind.PLAN}:
        return "-"
    context.ports.ledger.append(
        operation.subject.repository_id,
        operation.subject.pull_request,
        context.now,
        operation.subject.author.login,
        operation.kind.value,
        detail,
    )
    return "-"


def is_hopeless(context: Context, error: Unavailable) -> bool:
    """The forge has been away for so long that the operation ends untold; the ledger has it."""
    return context.now - context.operation.due_at > PATIENCE and bool(str(error))
