"""Registered models: their versions, aliases and tags."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kfops.adapters.mlflow.rest import MlflowRefused, Rest
from kfops.adapters.mlflow.tracking import pairs, quoted

_MISSING = "RESOURCE_DOES_NOT_EXIST"


@dataclass(frozen=True)
class Registered:
    """A version as MLflow holds it."""

    model: str
    version: str
    run_id: str
    tags: Mapping[str, str]


def register(
    rest: Rest, model: str, *, source: str, run_id: str, tags: Mapping[str, str], description: str
) -> Registered:
    """A new version; its tags come with it in one call, so that it can be found by them whatever happens next."""
    try:
        rest.post("registered-models/create", {"name": model})
    except MlflowRefused as error:
        if error.code != "RESOURCE_ALREADY_EXISTS":
            raise
    body = {
        "name": model,
        "source": source,
        "run_id": run_id,
        "tags": pairs(tags),
        "description": description,
    }
    return _parsed(rest.post("model-versions/create", body)["model_version"])


def newest_with(rest: Rest, model: str, tags: Mapping[str, str]) -> Registered | None:
    """The version with all these tags and the highest number."""
    terms = [f"name = {quoted(model)}", *(f"tags.`{key}` = {quoted(value)}" for key, value in tags.items())]
    answer = rest.get(
        "model-versions/search", filter=" AND ".join(terms), max_results=1, order_by="version_number DESC"
    )
    versions = answer.get("model_versions", [])
    return _parsed(versions[0]) if versions else None


def version(rest: Rest, model: str, number: str) -> Registered | None:
    if not number.isdecimal():
        return None
    try:
        return _parsed(rest.get("model-versions/get", name=model, version=number)["model_version"])
    except MlflowRefused as error:
        if error.code == _MISSING:
            return None
        raise


def by_alias(rest: Rest, model: str, alias: str) -> Registered | None:
    try:
        return _parsed(rest.get("registered-models/alias", name=model, alias=alias)["model_version"])
    except MlflowRefused as error:
        # A model that lacks the alias is an "invalid parameter" to MLflow.
        if error.code in (_MISSING, "INVALID_PARAMETER_VALUE"):
            return None
        raise


def point(rest: Rest, model: str, alias: str, number: str | None) -> None:
    if number is not None:
        rest.post("registered-models/alias", {"name": model, "alias": alias, "version": number})
        return
    try:
        rest.delete("registered-models/alias", {"name": model, "alias": alias})
    except MlflowRefused as error:
        if error.code != _MISSING:
            raise


def set_tags(rest: Rest, model: str, number: str, tags: Mapping[str, str]) -> None:
    for pair in pairs(tags):
        rest.post("model-versions/set-tag", {"name": model, "version": number, **pair})


def source_of(rest: Rest, model: str, number: str) -> str:
    """Where the version's model directory lies."""
    return str(rest.get("model-versions/get-download-uri", name=model, version=number)["artifact_uri"])


def _parsed(version: Mapping[str, Any]) -> Registered:
    tags = {tag["key"]: tag["value"] for tag in version.get("tags", [])}
    return Registered(version["name"], str(version["version"]), version.get("run_id", ""), tags)
