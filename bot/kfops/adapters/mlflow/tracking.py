"""Experiments and runs: one experiment per model, one MLflow run per Kfops run."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from kfops.adapters.mlflow.rest import MlflowRefused, Rest
from kfops.ports.errors import Refused
from kfops.ports.models import RunRecord

OPERATION = "kfops.operation"
DIGEST = "digest"

# MLflow's own limits: the size of one batch, and of one value.
_BATCH = 100
_PARAMETER_CHARACTERS = 6000
_TAG_CHARACTERS = 5000

# MLflow's page shows these in places of their own.
_KNOWN_TAGS = {
    "git_commit": "mlflow.source.git.commit",
    "git_branch": "mlflow.source.git.branch",
    "repository_url": "mlflow.source.git.repoURL",
    "pipeline": "mlflow.source.name",
    "requested_by": "mlflow.user",
}


@dataclass(frozen=True)
class Run:
    """A tracked run as it stands; `artifacts` is the URI of its artifact folder."""

    id: str
    experiment: str
    artifacts: str
    tags: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)


def run_of(rest: Rest, run_id: str) -> Run | None:
    """The run, or None where it is gone for good."""
    try:
        return _parsed(rest.get("runs/get", run_id=run_id)["run"])
    except MlflowRefused as error:
        if error.code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise


def opened(rest: Rest, record: RunRecord, digest: str) -> Run:
    """The operation's run, made if it is not there; Refused when it was made for another model directory."""
    experiment = _experiment(rest, record.model)
    found = rest.post(
        "runs/search",
        {
            "experiment_ids": [experiment],
            "filter": f"tags.`{OPERATION}` = {quoted(record.operation)}",
            "max_results": 1,
        },
    ).get("runs", [])
    if found:
        run = _parsed(found[0])
        if run.tags.get(DIGEST) != digest:
            raise recorded_otherwise(record.operation, run.tags, digest)
        return run
    tags = {**_page_tags(record), **record.tags, OPERATION: record.operation, DIGEST: digest}
    made = rest.post(
        "runs/create",
        {
            "experiment_id": experiment,
            "run_name": record.name,
            "start_time": _milliseconds(record.started_at.timestamp()),
            "tags": pairs(tags),
        },
    )
    return _parsed(made["run"])


def log(rest: Rest, run: Run, record: RunRecord) -> None:
    """Parameters and metrics; the moment is the run's end, so that a repetition changes nothing."""
    moment = _milliseconds(record.ended_at.timestamp())
    parameters = [
        {"key": key, "value": value[:_PARAMETER_CHARACTERS]} for key, value in record.parameters.items()
    ]
    metrics = [
        {"key": key, "value": value, "timestamp": moment, "step": 0}
        for key, value in record.metrics.items()
        if math.isfinite(value)
    ]
    for some in _batches(parameters):
        rest.post("runs/log-batch", {"run_id": run.id, "params": some})
    for some in _batches(metrics):
        rest.post("runs/log-batch", {"run_id": run.id, "metrics": some})


def finish(rest: Rest, run: Run, record: RunRecord) -> None:
    end = _milliseconds(record.ended_at.timestamp())
    rest.post("runs/update", {"run_id": run.id, "status": "FINISHED", "end_time": end})


def recorded_otherwise(operation: str, tags: Mapping[str, str], digest: str) -> Refused:
    return Refused(
        f"operation {operation} was recorded with model {tags.get(DIGEST, '(no digest)')}, not with {digest}: "
        "one operation makes one model",
        fix="ask for a new run",
    )


def pairs(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value[:_TAG_CHARACTERS]} for key, value in tags.items()]


def quoted(value: str) -> str:
    """A value in MLflow's filter language, which knows two kinds of quotes and no escape."""
    for quote in ("'", '"'):
        if quote not in value and "\\" not in value:
            return f"{quote}{value}{quote}"
    raise Refused(f"{value!r} cannot be looked up: both kinds of quotes, or a backslash, in one value")


def _experiment(rest: Rest, name: str) -> str:
    try:
        return str(rest.post("experiments/create", {"name": name})["experiment_id"])
    except MlflowRefused as error:
        if error.code != "RESOURCE_ALREADY_EXISTS":
            raise
    experiment = rest.get("experiments/get-by-name", experiment_name=name)["experiment"]
    if experiment.get("lifecycle_stage") != "active":
        raise Refused(
            f"the MLflow experiment {name!r} is deleted; expected an active one",
            fix=f"mlflow experiments restore --experiment-id {experiment['experiment_id']}",
        )
    return str(experiment["experiment_id"])


def _page_tags(record: RunRecord) -> dict[str, str]:
    known = {theirs: record.tags[ours] for ours, theirs in _KNOWN_TAGS.items() if ours in record.tags}
    return known | ({"mlflow.note.content": record.description} if record.description else {})


def _parsed(run: Mapping[str, Any]) -> Run:
    info, data = run["info"], run.get("data", {})
    return Run(
        id=info["run_id"],
        experiment=info["experiment_id"],
        artifacts=info.get("artifact_uri", ""),
        tags={tag["key"]: tag["value"] for tag in data.get("tags", [])},
        metrics={metric["key"]: float(metric["value"]) for metric in data.get("metrics", [])},
        parameters={parameter["key"]: parameter["value"] for parameter in data.get("params", [])},
    )


def _batches(items: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    rest = iter(items)
    while some := list(islice(rest, _BATCH)):
        yield some


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
