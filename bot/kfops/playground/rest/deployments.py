"""Deployments and their statuses."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import Response
from pydantic import BaseModel

from kfops.playground.actions import deployments as actions
from kfops.playground.rest.door import In, Routes, answer, created, page_of
from kfops.playground.wire import deployments as wire

routes = Routes()
_ONE = "/repos/{owner}/{repo}/deployments/{deployment_id}"


@routes.get("/repos/{owner}/{repo}/deployments")
def list_deployments(at: In) -> Response:
    """Newest first, by any of sha, ref, task and environment."""
    query = at.request.query_params
    wanted = {
        key: query[key] for key in ("sha", "ref", "task", "environment") if query.get(key, "none") != "none"
    }
    found = [
        one
        for one in reversed(at.repository.deployments.values())
        if all(getattr(one, key) == value for key, value in wanted.items())
    ]
    return page_of(at, found, lambda one: wire.deployment(at.forge, at.repository, one))


class NewDeployment(BaseModel):
    ref: str
    task: str = "deploy"
    auto_merge: bool = True
    required_contexts: list[str] | None = None
    payload: dict[str, Any] | str = ""
    environment: str = "production"
    description: str | None = ""
    transient_environment: bool = False
    production_environment: bool | None = None


@routes.post("/repos/{owner}/{repo}/deployments")
def create(at: In, body: NewDeployment) -> Response:
    made = actions.create(
        at.forge,
        at.repository,
        at.caller,
        ref=body.ref,
        task=body.task,
        environment=body.environment,
        payload=body.payload,
        description=body.description,
        auto_merge=body.auto_merge,
        required_contexts=body.required_contexts,
        transient=body.transient_environment,
        production=body.production_environment,
    )
    if isinstance(made, str):
        return answer({"message": made}, 202)
    return created(wire.deployment(at.forge, at.repository, made))


@routes.get(_ONE)
def get(at: In, deployment_id: int) -> Response:
    return answer(wire.deployment(at.forge, at.repository, actions.find(at.repository, deployment_id)))


@routes.get(f"{_ONE}/statuses")
def list_statuses(at: In, deployment_id: int) -> Response:
    """Newest first."""
    found = actions.find(at.repository, deployment_id)
    return page_of(
        at, found.statuses[::-1], lambda one: wire.deployment_status(at.forge, at.repository, found, one)
    )


class NewDeploymentStatus(BaseModel):
    state: Literal["error", "failure", "inactive", "in_progress", "queued", "pending", "success"]
    description: str = ""
    environment: str = ""
    environment_url: str = ""
    log_url: str = ""
    target_url: str = ""
    auto_inactive: bool = True


@routes.post(f"{_ONE}/statuses")
def add_status(at: In, deployment_id: int, body: NewDeploymentStatus) -> Response:
    found = actions.find(at.repository, deployment_id)
    made = actions.add_status(
        at.forge,
        at.repository,
        found,
        at.caller,
        state=body.state,
        auto_inactive=body.auto_inactive,
        description=body.description,
        environment=body.environment,
        environment_url=body.environment_url,
        log_url=body.log_url or body.target_url,
    )
    return created(wire.deployment_status(at.forge, at.repository, found, made))
