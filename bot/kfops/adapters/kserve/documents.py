"""An InferenceService as plain dictionaries: what is written is what arrives, whatever an SDK makes of null."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from kfops.adapters.kserve import names
from kfops.adapters.kserve.formats import format_of
from kfops.adapters.kserve.names import Identity
from kfops.domain.environment import EnvironmentKey
from kfops.ports.errors import Refused
from kfops.ports.serving import ModelSource

Document = dict[str, Any]

# What Kfops writes of a predictor. The rest belongs to KServe's defaults, or to whoever set it.
_WRITTEN = (
    "annotations",
    "automountServiceAccountToken",
    "serviceAccountName",
    "minReplicas",
    "maxReplicas",
    "scaleMetric",
    "scaleTarget",
    "batcher",
    "model",
)
_OF_A_CANARY = frozenset({"annotations", "automountServiceAccountToken", "model", "serviceAccountName"})
_PARTS = frozenset({"annotations", "batcher", "model", "resources", "limits", "requests"})
_HPA = {"autoscaling.knative.dev/class": "hpa.autoscaling.knative.dev"}


class Mode(StrEnum):
    KNATIVE = "Knative"
    STANDARD = "Standard"


def mode_of(word: str | None) -> Mode | None:
    """Under its present or its earlier name; None for another mode, or none."""
    return {
        "Knative": Mode.KNATIVE,
        "Serverless": Mode.KNATIVE,
        "Standard": Mode.STANDARD,
        "RawDeployment": Mode.STANDARD,
    }.get(word or "")


def predictor(source: ModelSource, uri: str, mode: Mode, account: str) -> Document:
    """One arm. Refused when the address does not carry the digest: then nobody could tell what is served (R13)."""
    if source.digest not in uri:
        raise Refused(f"the model's address {uri!r} does not carry its digest {source.digest}")
    if source.packages is not None:
        raise Refused(
            "the model wants packages of its own, which no runtime of KServe takes from outside of its image",
            fix="let the ClusterServingRuntime's image have them, or train with what it has",
        )
    spec, served_by = source.predictor, format_of(source.predictor.format)
    # Standard mode has a Deployment under an HPA, which knows neither sleep nor requests.
    is_knative = mode is Mode.KNATIVE
    least = spec.min_replicas if is_knative else max(1, spec.min_replicas)
    by_hpa = spec.scale_metric in {"cpu", "memory"}
    content: Document = {
        "annotations": {names.DIGEST: source.digest, names.VERSION: source.version}
        | (_HPA if is_knative and by_hpa else {}),
        # Loading a model is running code of a pull request: it gets no way into the cluster (R11).
        "automountServiceAccountToken": False,
        "minReplicas": least,
        "maxReplicas": max(least, spec.max_replicas),
        "model": {
            "name": "kserve-container",  # the schema wants it of a canary's model, and this is its runtimes' name
            "modelFormat": {"name": spec.format},
            "protocolVersion": served_by.protocol,
            "runtime": served_by.runtime,
            "storageUri": uri,
            "resources": _resources(source),
        },
    }
    if is_knative or by_hpa:
        content |= {"scaleMetric": spec.scale_metric, "scaleTarget": spec.scale_target}
    if account:
        content["serviceAccountName"] = account
    if spec.batching is not None:
        content["batcher"] = {
            "maxBatchSize": spec.batching.max_size,
            "maxLatency": spec.batching.max_latency_ms,
        }
    return content


def _resources(source: ModelSource) -> Document:
    amounts = {"cpu": source.predictor.cpu, "memory": source.predictor.memory}
    if source.predictor.gpu:
        amounts["nvidia.com/gpu"] = str(source.predictor.gpu)
    return {"requests": dict(amounts), "limits": dict(amounts)}


def canary(predictor: Mapping[str, Any], name: str, percent: int, replicas: int) -> Document:
    """One entry of `spec.canary`. KServe lays it over the stable predictor and forbids what scales it."""
    kept = {key: value for key, value in predictor.items() if key in _OF_A_CANARY}
    return {"trafficPercent": percent, "predictor": {"name": name, "minReplicas": replicas, **kept}}


def inference_service(
    key: EnvironmentKey, predictor: Document, mode: Mode, *, is_hidden: bool = False
) -> Document:
    """A new one. Its own annotations are set once and for all: a change of them restarts every pod, and in Knative
    mode it would be a new revision.
    """
    annotations: dict[str, str] = {names.MODE: mode.value}
    labels = {names.OWNER: key.slug}
    if is_hidden:
        labels[names.KNATIVE_VISIBILITY if mode is Mode.KNATIVE else names.STANDARD_VISIBILITY] = (
            names.CLUSTER_LOCAL
        )
    if mode is Mode.KNATIVE:
        annotations[names.TAG_ROUTING] = "true"
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {
            "name": key.model,
            "namespace": key.namespace,
            "labels": labels,
            "annotations": annotations,
        },
        "spec": {"predictor": predictor},
    }


def replace_predictor(present: Mapping[str, Any], wanted: Mapping[str, Any]) -> Document:
    """The merge patch that makes one predictor of another: what only the present one has goes."""
    ours = {key: present[key] for key in _WRITTEN if key in present}
    if "annotations" in ours:
        ours["annotations"] = {
            key: value
            for key, value in ours["annotations"].items()
            if key in {names.DIGEST, names.VERSION, *_HPA}
        }
    return _difference(ours, wanted)


def _difference(present: Mapping[str, Any], wanted: Mapping[str, Any]) -> Document:
    patch: Document = {key: None for key in present if key not in wanted}
    for key, value in wanted.items():
        before = present.get(key)
        if key in _PARTS and isinstance(before, Mapping):
            patch[key] = _difference(before, value)
        else:
            patch[key] = value
    return patch


def identity(predictor: Mapping[str, Any]) -> Identity | None:
    """Of a predictor's specification."""
    return names.identity_of(predictor.get("annotations"))
