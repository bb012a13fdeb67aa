"""Deployments and their statuses."""

from __future__ import annotations

from kfops.playground.forge import Forge
from kfops.playground.state import Deployment, DeploymentStatus, Repository
from kfops.playground.wire.apps import app_or_none
from kfops.playground.wire.basics import Json, moment, node_id, simple_user_or_none
from kfops.playground.wire.repositories import repository_url


def deployment(forge: Forge, repository: Repository, one: Deployment) -> Json:
    api = repository_url(forge, repository)
    return {
        "id": one.id,
        "node_id": node_id("Deployment", one.id),
        "url": f"{api}/deployments/{one.id}",
        "sha": one.sha,
        "ref": one.ref,
        "task": one.task,
        "payload": one.payload,
        "original_environment": one.environment,
        "environment": one.environment,
        "description": one.description,
        "creator": simple_user_or_none(forge, one.creator_id),
        "created_at": moment(one.created_at),
        "updated_at": moment(one.updated_at),
        "statuses_url": f"{api}/deployments/{one.id}/statuses",
        "repository_url": api,
        "transient_environment": one.transient,
        "production_environment": one.production,
        "performed_via_github_app": app_or_none(forge, one.app_id),
    }


def deployment_status(forge: Forge, repository: Repository, of: Deployment, one: DeploymentStatus) -> Json:
    api = repository_url(forge, repository)
    return {
        "id": one.id,
        "node_id": node_id("DeploymentStatus", one.id),
        "url": f"{api}/deployments/{of.id}/statuses/{one.id}",
        "state": one.state,
        "creator": simple_user_or_none(forge, one.creator_id),
        "description": one.description,
        "environment": one.environment,
        "target_url": one.log_url,
        "log_url": one.log_url,
        "environment_url": one.environment_url,
        "created_at": moment(one.created_at),
        "updated_at": moment(one.created_at),
        "deployment_url": f"{api}/deployments/{of.id}",
        "repository_url": api,
        "performed_via_github_app": None,
    }
