"""Check runs, check suites and commit statuses."""

from __future__ import annotations

from kfops.playground.forge import Forge
from kfops.playground.state import CheckRun, CheckSuite, CommitStatus, Repository
from kfops.playground.wire.apps import app
from kfops.playground.wire.basics import Json, moment, moment_or_none, node_id, simple_user
from kfops.playground.wire.pulls import pull_reference
from kfops.playground.wire.repositories import html_url, repository_url


def _pulls(forge: Forge, repository: Repository, sha: str) -> list[Json]:
    found = [pull for pull in repository.pulls.values() if pull.is_open and pull.head_sha == sha]
    return [pull_reference(forge, repository, pull) for pull in found]


def check_run(forge: Forge, repository: Repository, run: CheckRun) -> Json:
    api = repository_url(forge, repository)
    url = f"{api}/check-runs/{run.id}"
    html = f"{html_url(forge, repository)}/runs/{run.id}"
    return {
        "id": run.id,
        "node_id": node_id("CheckRun", run.id),
        "head_sha": run.head_sha,
        "name": run.name,
        "external_id": run.external_id,
        "url": url,
        "html_url": html,
        "details_url": run.details_url or html,
        "status": run.status,
        "conclusion": run.conclusion,
        "started_at": moment(run.started_at),
        "completed_at": moment_or_none(run.completed_at),
        "output": {
            "title": run.output.get("title"),
            "summary": run.output.get("summary"),
            "text": run.output.get("text"),
            "annotations_count": len(run.output.get("annotations", [])),
            "annotations_url": f"{url}/annotations",
        },
        "check_suite": {"id": run.suite_id},
        "app": app(forge, forge.state.apps[run.app_id]),
        "pull_requests": _pulls(forge, repository, run.head_sha),
    }


def suite_runs(repository: Repository, suite: CheckSuite) -> list[CheckRun]:
    return [run for run in repository.check_runs.values() if run.suite_id == suite.id]


def suite_conclusion(runs: list[CheckRun]) -> str | None:
    """None while a run is under way; otherwise the worst of the runs' conclusions."""
    if not runs or any(run.status != "completed" for run in runs):
        return None
    found = {run.conclusion for run in runs}
    order = ("failure", "timed_out", "action_required", "cancelled", "success", "neutral", "skipped")
    return next((one for one in order if one in found), "neutral")


def check_suite(forge: Forge, repository: Repository, suite: CheckSuite) -> Json:
    api = repository_url(forge, repository)
    runs = suite_runs(repository, suite)
    conclusion = suite_conclusion(runs)
    status = "completed" if conclusion else "in_progress" if runs else "queued"
    pull = next((pull for pull in repository.pulls.values() if pull.head_sha == suite.head_sha), None)
    latest = max((run.completed_at or run.started_at for run in runs), default=suite.created_at)
    return {
        "id": suite.id,
        "node_id": node_id("CheckSuite", suite.id),
        "head_branch": pull.head_ref if pull else None,
        "head_sha": suite.head_sha,
        "status": status,
        "conclusion": conclusion,
        "url": f"{api}/check-suites/{suite.id}",
        "before": None,
        "after": suite.head_sha,
        "pull_requests": _pulls(forge, repository, suite.head_sha),
        "app": app(forge, forge.state.apps[suite.app_id]),
        "created_at": moment(suite.created_at),
        "updated_at": moment(latest),
        "latest_check_runs_count": len(runs),
        "check_runs_url": f"{api}/check-suites/{suite.id}/check-runs",
    }


def status_simple(forge: Forge, repository: Repository, status: CommitStatus) -> Json:
    creator = forge.state.users[status.creator_id]
    return {
        "url": f"{repository_url(forge, repository)}/statuses/{status.sha}",
        "avatar_url": f"{forge.base_url}/avatars/{creator.id}",
        "id": status.id,
        "node_id": node_id("StatusContext", status.id),
        "state": status.state,
        "description": status.description,
        "target_url": status.target_url,
        "context": status.context,
        "created_at": moment(status.created_at),
        "updated_at": moment(status.created_at),
    }


def status_whole(forge: Forge, repository: Repository, status: CommitStatus) -> Json:
    creator = forge.state.users[status.creator_id]
    return {**status_simple(forge, repository, status), "creator": simple_user(forge, creator)}
