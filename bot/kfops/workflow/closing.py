"""The common end of every operation: everything outside reaches a final state (R18), then the row ends."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from kfops.domain.facts import DeployFacts, RunFacts
from kfops.domain.operation import ROLLOUTS, RUNS, TRAININGS, Kind, Operation, Outcome
from kfops.ports.errors import Refused, Unavailable
from kfops.ports.forge import CheckConclusion, CheckReport, DeploymentState
from kfops.ports.ledger import Fenced
from kfops.rules.replies.outside import description
from kfops.workflow.context import Context, Facts
from kfops.workflow.holding import give_back
from kfops.workflow.runs import capacity, training
from kfops.workflow.telling import REACTIONS, external_id, keep_one, react, tell

PATIENCE = timedelta(hours=6)
AGAIN = timedelta(minutes=10)
LATE = timedelta(minutes=2)  # by then the last call of a worker that was paused past its lease has come in
log = structlog.get_logger("kfops.closing")
CONCLUSIONS = {
    Outcome.SUCCEEDED: CheckConclusion.SUCCESS,
    Outcome.FAILED: CheckConclusion.FAILURE,
    Outcome.ROLLED_BACK: CheckConclusion.FAILURE,
    Outcome.REFUSED: CheckConclusion.ACTION_REQUIRED,
    Outcome.CANCELED: CheckConclusion.CANCELLED,
    Outcome.SUPERSEDED: CheckConclusion.NEUTRAL,
    Outcome.SKIPPED: CheckConclusion.NEUTRAL,
}


def close(context: Context, facts: Facts) -> None:
    """All of it is idempotent: a crash in the middle does it again. Every part is tried, whatever became of the others.

    Raises `Unavailable` when one may go through later, else the defect of one, else `Refused`.
    """
    operation, problems = context.operation, list[Exception]()
    outcome = operation.outcome
    if outcome is None:
        raise ValueError(f"operation {operation.id} closes without an outcome")
    parts: tuple[Callable[[], object], ...] = (
        lambda: context.effect("audit", lambda: _audit(context, facts), lambda: _audited(context)),
        lambda: _let_go(context, facts),  # nobody waits for an environment because the forge is away
        lambda: _finish_deployment(context, facts),
        lambda: _report_check(context, CONCLUSIONS[outcome]),
        lambda: tell(context, operation, facts, repository_url(context)),
        lambda: keep_one(context),
        lambda: _keep_one_run(context, facts),
        lambda: react(context, REACTIONS[outcome]),
    )
    for part in parts:
        try:
            part()
        except Fenced:
            raise
        except (Unavailable, Refused) as error:
            problems.append(error)
        except Exception as error:
            log.exception("defect", operation=operation.id, phase=operation.phase)
            problems.append(error)
    if problems:
        raise min(problems, key=_weight)


def _weight(problem: Exception) -> int:
    return 0 if isinstance(problem, Unavailable) else 2 if isinstance(problem, Refused) else 1


def _let_go(context: Context, facts: Facts) -> None:
    if isinstance(facts, DeployFacts):
        give_back(context, facts.environment)
    if context.operation.kind in TRAININGS:
        capacity.give_back(context)


def _keep_one_run(context: Context, facts: Facts) -> None:
    if isinstance(facts, RunFacts):
        training.keep_one(context, facts)


def repository_url(context: Context) -> str:
    return context.ports.forge.repository(context.operation.subject.repository_id).html_url


def begin_check(context: Context) -> None:
    _report_check(context, None)


def _report_check(context: Context, conclusion: CheckConclusion | None) -> None:
    operation = context.operation
    if operation.kind not in RUNS | ROLLOUTS or not operation.subject.head_sha:
        return
    if operation.outcome is Outcome.REFUSED and "check" not in operation.effects:
        return  # a refusal says nothing of the commit
    said = operation.outcome.value.replace("_", " ") if operation.outcome else "under way"
    report = CheckReport(
        name=f"kfops/{operation.kind.value}",
        head_sha=operation.subject.head_sha,
        title=f"/{operation.kind.value}: {said}",
        summary=f"Operation {operation.id}, asked for by {operation.subject.author.login}.",
        external_id=external_id(operation),
        conclusion=conclusion,
    )
    try:
        if conclusion is None:
            context.effect("check", lambda: _send(context, report))
        else:
            _send(context, report)
    except Refused:
        # A check run is decoration, the comment and the ledger say what happened; but one that was begun gets its end.
        if conclusion is not None and "check" in operation.effects:
            raise


def _send(context: Context, report: CheckReport) -> str:
    return str(context.ports.forge.report_check(context.operation.subject.repository_id, report) or "")


def _finish_deployment(context: Context, facts: Facts) -> None:
    if not isinstance(facts, DeployFacts):
        return
    deployment = _deployment(context, facts)
    if deployment is None:
        return
    good = context.operation.outcome is Outcome.SUCCEEDED

    def say() -> str:
        context.ports.forge.deployment_status(
            context.operation.subject.repository_id,
            deployment,
            DeploymentState.SUCCESS if good else DeploymentState.FAILURE,
            description=description(facts.rollout.sentence if facts.rollout else "", context.options.secrets),
            environment_url=facts.url or None,
        )
        return "-"

    # Each status is a line of its own in the deployment's history: once, unless what was final is looked at again.
    if context.operation.ended_at is None:
        context.effect("deployment_status", say)
    else:
        say()


def _deployment(context: Context, facts: DeployFacts) -> int | None:
    """Also one whose making was cut off before its number was written down."""
    operation = context.operation
    known = operation.identity("deployment")
    if known is not None or "deployment" not in operation.effects:
        return int(known) if known else None
    return context.ports.forge.find_deployment(
        operation.subject.repository_id,
        sha=str(operation.subject.head_sha),
        environment=facts.environment,
        external_id=external_id(operation),
    )


def _audited(context: Context) -> str | None:
    subject = context.operation.subject
    trail = context.ports.ledger.trail(subject.repository_id, subject.pull_request)
    return next((one.name for one in trail if one.detail.get("operation") == context.operation.id), None)


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
    entry = context.ports.ledger.append(
        operation.subject.repository_id,
        operation.subject.pull_request,
        context.now,
        operation.subject.author.login,
        operation.kind.value,
        detail,
        operation,
    )
    return entry.name


def is_hopeless(context: Context) -> bool:
    """The forge has been away for so long that the operation ends untold; the ledger has it, and `settling` goes on.

    Closing began when it was written into the trail: `due_at` moves with each attempt.
    """
    began = context.operation.effects.get("audit")
    return began is not None and began.at is not None and context.now - began.at > PATIENCE


def look_again(operation: Operation, now: datetime, problem: Exception | None) -> datetime | None:
    """When an operation that ends now is to be settled (R18); None: all of it is in its final state.

    After a take-over, what is final may still be overwritten: the worker before may have been in the middle of a call.
    """
    may_dangle = bool({"check", "deployment"} & operation.effects.keys())
    if problem and (may_dangle or not isinstance(problem, Refused)):
        return now + AGAIN
    return now + LATE if operation.takeovers else None
