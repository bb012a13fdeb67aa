"""The manifests of `deploy/` as kustomize builds them, and how they are put into a cluster."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from kfops.adapters.kubernetes.client import Kubernetes

DEPLOY = Path(__file__).parents[3] / "deploy"
KUBECTL = Path(sys.executable).parent / "kubectl"
OVERLAYS = ("kind", "production")

Document = dict[str, Any]

# Where the API of 1.20 keeps each kind; None: it does not know the kind yet.
_PLURALS = {
    ("v1", "Namespace"): "namespaces",
    ("v1", "ServiceAccount"): "serviceaccounts",
    ("v1", "ConfigMap"): "configmaps",
    ("v1", "Service"): "services",
    ("v1", "PersistentVolumeClaim"): "persistentvolumeclaims",
    ("v1", "ResourceQuota"): "resourcequotas",
    ("v1", "LimitRange"): "limitranges",
    ("apps/v1", "Deployment"): "deployments",
    ("apps/v1", "StatefulSet"): "statefulsets",
    ("rbac.authorization.k8s.io/v1", "Role"): "roles",
    ("rbac.authorization.k8s.io/v1", "RoleBinding"): "rolebindings",
    ("rbac.authorization.k8s.io/v1", "ClusterRole"): "clusterroles",
    ("networking.k8s.io/v1", "NetworkPolicy"): "networkpolicies",
    ("networking.k8s.io/v1", "Ingress"): "ingresses",
    ("monitoring.coreos.com/v1", "ServiceMonitor"): "servicemonitors",
    ("policy/v1", "PodDisruptionBudget"): None,
}
OF_OTHERS = {"monitoring.coreos.com/v1"}  # kinds whose schema is not Kubernetes' own


@cache
def built(folder: str) -> tuple[Document, ...]:
    """What `kubectl kustomize deploy/FOLDER` prints."""
    made = subprocess.run(
        [str(KUBECTL), "kustomize", str(DEPLOY / folder)],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return tuple(yaml.safe_load_all(made.stdout))


def overlay(name: str) -> tuple[Document, ...]:
    return built(f"overlays/{name}")


def path_of(document: Document) -> str | None:
    """None: this API does not know the kind."""
    version, kind, metadata = document["apiVersion"], document["kind"], document["metadata"]
    plural = _PLURALS[version, kind]
    if plural is None:
        return None
    root = f"/api/{version}" if "/" not in version else f"/apis/{version}"
    inside = f"/namespaces/{metadata['namespace']}" if "namespace" in metadata else ""
    return f"{root}{inside}/{plural}/{metadata['name']}"


def apply(client: Kubernetes, documents: tuple[Document, ...]) -> list[Document]:
    """Server-side, namespaces first; those are returned that this API does not know."""
    unknown = []
    for document in sorted(documents, key=lambda one: one["kind"] != "Namespace"):
        path = path_of(document)
        if path is None:
            unknown.append(document)
        else:
            client.apply(path, document, manager="kfops-tests", force=True)
    return unknown
