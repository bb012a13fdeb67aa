"""Names, annotations and paths of what Kfops keeps on a cluster, and which model a running thing was made from."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

OWNER = "kfops.dev/environment"
DIGEST = "kfops.dev/digest"
VERSION = "kfops.dev/version"
MODE = "serving.kserve.io/deploymentMode"
TAG_ROUTING = "serving.kserve.io/enable-tag-routing"
# Who has it is not published to the gateway: in Knative's words, and in those that KServe uses without it.
KNATIVE_VISIBILITY = "networking.knative.dev/visibility"
STANDARD_VISIBILITY = "networking.kserve.io/visibility"
CLUSTER_LOCAL = "cluster-local"
SERVICE_LABEL = "serving.kserve.io/inferenceservice"
# What KServe writes on everything that loads a model: the address that it is loaded from.
LOADED_FROM = "internal.serving.kserve.io/storage-initializer-sourceuri"

_DIGEST = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")


@dataclass(frozen=True)
class Identity:
    """Which model and under which label: what tells one revision from another."""

    digest: str
    version: str

    @property
    def short(self) -> str:
        """A name of `[a-z0-9]` that starts with a letter, unique enough among the revisions of one model."""
        return "m" + hashlib.sha256(f"{self.digest} {self.version}".encode()).hexdigest()[:10]


def identity_of(annotations: Mapping[str, str] | None) -> Identity | None:
    """By where it really loads its model from; by our own note where KServe has written nothing yet. None: no model
    of ours.
    """
    known = annotations or {}
    found = _DIGEST.findall(known.get(LOADED_FROM, ""))
    digest = found[-1] if found else known.get(DIGEST)
    return Identity(digest, known[VERSION]) if digest and VERSION in known else None


def predictor_service(model: str, name: str | None) -> str:
    """The Service and the Deployment of one predictor in Standard mode."""
    return f"{model}-{name}-predictor" if name else f"{model}-predictor"


def services(namespace: str, name: str = "") -> str:
    return _path("serving.kserve.io/v1beta1", namespace, "inferenceservices", name)


def revisions(namespace: str) -> str:
    return _path("serving.knative.dev/v1", namespace, "revisions", "")


def deployments(namespace: str, name: str) -> str:
    return _path("apps/v1", namespace, "deployments", name)


def routes(namespace: str, name: str) -> str:
    return _path("gateway.networking.k8s.io/v1", namespace, "httproutes", name)


def pods(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/pods"


def config_maps(namespace: str, name: str = "") -> str:
    return f"/api/v1/namespaces/{namespace}/configmaps" + (f"/{name}" if name else "")


def _path(group: str, namespace: str, plural: str, name: str) -> str:
    return f"/apis/{group}/namespaces/{namespace}/{plural}" + (f"/{name}" if name else "")


def labels_of(document: Mapping[str, Any]) -> Mapping[str, str]:
    return dict(document.get("metadata", {}).get("labels") or {})


def annotations_of(document: Mapping[str, Any]) -> Mapping[str, str]:
    return dict(document.get("metadata", {}).get("annotations") or {})
