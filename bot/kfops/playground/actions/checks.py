"""Check runs, which only apps write, and commit statuses."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from kfops.playground.errors import Refusal, forbidden, not_found
from kfops.playground.forge import Forge
from kfops.playground.roles import Caller, require
from kfops.playground.state import CheckRun, CheckSuite, CommitStatus, Repository, Role, User
from kfops.playground.webhooks import events
from kfops.playground.wire.checks import suite_conclusion, suite_runs


@dataclass(frozen=True)
class Report:
    """What a caller says of a check run; None leaves what was there."""

    name: str | None = None
    status: str | None = None
    conclusion: str | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    external_id: str | None = None
    details_url: str | None = None
    output: dict[str, Any] | None = field(default=None)


def _writer(repository: Repository, by: Caller) -> tuple[User, int]:
    user = require(repository, by, Role.READ, scopes=("checks",))
    if by.app_id is None:
        raise forbidden("You must authenticate via a GitHub App.")
    return user, by.app_id


def create_run(forge: Forge, repository: Repository, sha: str, report: Report, by: Caller) -> CheckRun:
    user, app_id = _writer(repository, by)
    if forge.bare(repository).resolve(sha) != sha:
        raise Refusal(422, f"No commit found for SHA: {sha}")
    suite = next(
        (one for one in repository.suites.values() if (one.app_id, one.head_sha) == (app_id, sha)), None
    )
    if suite is None:
        suite = CheckSuite(forge.state.next_id(), app_id, sha, forge.now())
        repository.suites[suite.id] = suite
    run = CheckRun(
        forge.state.next_id(),
        suite.id,
        app_id,
        report.name or "",
        sha,
        "queued",
        report.started_at or forge.now(),
    )
    _write(forge, run, report)
    repository.check_runs[run.id] = run
    events.check_run(forge, repository, "created", run, user)
    _after(forge, repository, run, user, was_completed=False)
    return run


def update_run(forge: Forge, repository: Repository, run_id: int, report: Report, by: Caller) -> CheckRun:
    user, app_id = _writer(repository, by)
    run = find_run(repository, run_id)
    if run.app_id != app_id:
        raise forbidden("Invalid app_id: check run was made by another GitHub App.")
    was_completed = run.status == "completed"
    _write(forge, run, report)
    _after(forge, repository, run, user, was_completed=was_completed)
    return run


def find_run(repository: Repository, run_id: int) -> CheckRun:
    found = repository.check_runs.get(run_id)
    if found is None:
        raise not_found()
    return found


def _write(forge: Forge, run: CheckRun, report: Report) -> None:
    run.name = report.name or run.name
    run.started_at = report.started_at or run.started_at
    run.external_id = run.external_id if report.external_id is None else report.external_id
    run.details_url = report.details_url or run.details_url
    run.output = {**run.output, **(report.output or {})}
    if report.conclusion is not None:  # a conclusion completes a run
        run.status, run.conclusion = "completed", report.conclusion
        run.completed_at = report.completed_at or forge.now()
    elif report.status is not None:
        run.status, run.conclusion, run.completed_at = report.status, None, None


def _after(forge: Forge, repository: Repository, run: CheckRun, user: User, *, was_completed: bool) -> None:
    forge.state.revision += 1
    if run.status != "completed" or was_completed:
        return
    events.check_run(forge, repository, "completed", run, user)
    suite = repository.suites[run.suite_id]
    if suite_conclusion(suite_runs(repository, suite)) is not None:
        events.check_suite(forge, repository, "completed", suite, user)


def create_status(
    forge: Forge,
    repository: Repository,
    sha: str,
    by: Caller,
    *,
    state: str,
    context: str = "default",
    description: str | None = None,
    target_url: str | None = None,
) -> CommitStatus:
    user = require(repository, by, Role.WRITE, scopes=("statuses",))
    if forge.bare(repository).resolve(sha) != sha:
        raise Refusal(422, f"No commit found for SHA: {sha}")
    status = CommitStatus(
        forge.state.next_id(), sha, context, state, user.id, forge.now(), description, target_url
    )
    repository.statuses.append(status)
    events.status(forge, repository, status, user)
    return status


def latest_statuses(repository: Repository, sha: str) -> list[CommitStatus]:
    """The newest status of each context."""
    return list({status.context: status for status in repository.statuses if status.sha == sha}.values())


def combined_state(statuses: list[CommitStatus]) -> str:
    found = {status.state for status in statuses}
    if found & {"error", "failure"}:
        return "failure"
    return "success" if found == {"success"} else "pending"
