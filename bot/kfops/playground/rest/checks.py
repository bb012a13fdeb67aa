"""Check runs, commit statuses, and the commits that they are about."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from fastapi import Response
from pydantic import BaseModel

from kfops.playground.actions import checks as actions
from kfops.playground.errors import invalid
from kfops.playground.git.history import commits
from kfops.playground.rest.door import In, Routes, answer, created, links, page_of
from kfops.playground.state import CheckRun, Role
from kfops.playground.wire import checks as wire
from kfops.playground.wire.commits import combined_status, commit_summary, commit_whole

routes = Routes()
_MOST = 10_000  # commits of a branch
Status = Literal["queued", "in_progress", "completed", "waiting", "requested", "pending"]
Conclusion = Literal[
    "action_required", "cancelled", "failure", "neutral", "success", "skipped", "stale", "timed_out"
]


class RunEdit(BaseModel):
    name: str | None = None
    status: Status | None = None
    conclusion: Conclusion | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    external_id: str | None = None
    details_url: str | None = None
    output: dict[str, Any] | None = None

    def report(self) -> actions.Report:
        if self.status == "completed" and self.conclusion is None:
            raise invalid("CheckRun", "conclusion", "missing_field")
        if self.output is not None and not self.output.get("summary"):
            raise invalid("CheckRun", "output.summary", "missing_field")
        return actions.Report(
            name=self.name,
            status=self.status,
            conclusion=self.conclusion,
            started_at=self.started_at,
            completed_at=self.completed_at,
            external_id=self.external_id,
            details_url=self.details_url,
            output=self.output,
        )


class NewRun(RunEdit):
    name: str
    head_sha: str


@routes.post("/repos/{owner}/{repo}/check-runs")
def create_run(at: In, body: NewRun) -> Response:
    run = actions.create_run(at.forge, at.repository, body.head_sha, body.report(), at.caller)
    return created(wire.check_run(at.forge, at.repository, run))


@routes.get("/repos/{owner}/{repo}/check-runs/{check_run_id}")
def get_run(at: In, check_run_id: int) -> Response:
    return answer(wire.check_run(at.forge, at.repository, actions.find_run(at.repository, check_run_id)))


@routes.patch("/repos/{owner}/{repo}/check-runs/{check_run_id}")
def update_run(at: In, check_run_id: int, body: RunEdit) -> Response:
    run = actions.update_run(at.forge, at.repository, check_run_id, body.report(), at.caller)
    return answer(wire.check_run(at.forge, at.repository, run))


@routes.get("/repos/{owner}/{repo}/commits")
def list_commits(at: In) -> Response:
    """Newest first: of the branch or commit `sha`, or of the default branch; `path`: those that touch it."""
    query = at.request.query_params
    tip = at.commit(query.get("sha") or at.repository.default_branch)
    listed = commits(
        at.forge.bare(at.repository), tip, limit=_MOST, oldest_first=False, path=query.get("path", "")
    )
    return page_of(at, listed, lambda one: commit_summary(at.forge, at.repository, one))


@routes.get("/repos/{owner}/{repo}/commits/{ref:path}/check-runs")
def list_runs(at: In, ref: str) -> Response:
    """The newest run of each app and name first, or all runs with `filter=all`."""
    query, sha = at.request.query_params, at.commit(ref)
    found = [run for run in at.repository.check_runs.values() if run.head_sha == sha]
    if query.get("filter", "latest") == "latest":
        found = list({(run.app_id, run.name): run for run in found}.values())
    wanted = {"name": query.get("check_name"), "status": query.get("status"), "app_id": query.get("app_id")}
    found = [
        run for run in found if all(value in {None, str(getattr(run, key))} for key, value in wanted.items())
    ]

    def shown(run: CheckRun) -> dict[str, Any]:
        return wire.check_run(at.forge, at.repository, run)

    return page_of(at, found[::-1], shown, under="check_runs")


@routes.get("/repos/{owner}/{repo}/commits/{ref:path}/status")
def combined(at: In, ref: str) -> Response:
    sha, (page, size) = at.commit(ref), at.page
    found = actions.latest_statuses(at.repository, sha)
    shown = [
        wire.status_simple(at.forge, at.repository, one) for one in found[(page - 1) * size : page * size]
    ]
    state = actions.combined_state(found)
    content = combined_status(at.forge, at.repository, sha, shown, len(found), state)
    return answer(content, headers=links(at, len(found)))


@routes.get("/repos/{owner}/{repo}/commits/{ref:path}")
def get_commit(at: In, ref: str) -> Response:
    return answer(commit_whole(at.forge, at.repository, at.commit(ref)))


class NewStatus(BaseModel):
    state: Literal["error", "failure", "pending", "success"]
    context: str = "default"
    description: str | None = None
    target_url: str | None = None


@routes.post("/repos/{owner}/{repo}/statuses/{sha}")
def create_status(at: In, sha: str, body: NewStatus) -> Response:
    at.require(Role.WRITE, "statuses")
    made = actions.create_status(at.forge, at.repository, sha, at.caller, **body.model_dump())
    return created(wire.status_whole(at.forge, at.repository, made))
