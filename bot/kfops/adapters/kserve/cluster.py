"""What the cluster shows of one environment, read with as few calls as it takes."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from kfops.adapters.kserve import knative, names, standard
from kfops.adapters.kserve.documents import Mode, mode_of
from kfops.adapters.kserve.failing import exit_of, failure_of, restarts_of
from kfops.adapters.kserve.knative import KnativeView
from kfops.adapters.kserve.names import predictor_service
from kfops.adapters.kserve.standard import StandardView
from kfops.adapters.kubernetes.client import Kubernetes, condition
from kfops.domain.canary_facts import FailureKind, Readiness
from kfops.domain.environment import EnvironmentKey
from kfops.ports.errors import Refused, Unavailable
from kfops.ports.serving import Arm

Document = dict[str, Any]

_LONGEST_WORDS = 500
_LARGEST_TAIL = 64 << 10
_OF_THE_MODEL = {FailureKind.DOES_NOT_START, FailureKind.DIED}


@dataclass(frozen=True)
class Cluster:
    """One look. `view` None: KServe has not said yet in which mode it serves this."""

    kubernetes: Kubernetes
    key: EnvironmentKey
    service: Document
    view: KnativeView | StandardView | None
    parts: Mapping[str, Document] = field(default_factory=dict)  # revisions or Deployments by name

    @property
    def url(self) -> str:
        return str(self.service.get("status", {}).get("url") or in_cluster_url(self.key))

    def health(self, name: str) -> Arm:
        """Of a revision, or of the Deployment behind a predictor's Service."""
        part = self.parts.get(name)
        if part is None:
            return Arm(Readiness.STARTING)
        is_knative = isinstance(self.view, KnativeView)
        label = {"serving.knative.dev/revision": name} if is_knative else {"app": f"isvc.{name}"}
        status = part.get("status", {})
        conditions = status.get("conditions") or []
        is_ready = (
            condition(conditions, "Ready").get("status") == "True"
            if is_knative
            else self._is_ready_deployment(name, part)
        )
        pods = self.kubernetes.list(names.pods(self.key.namespace), label)
        failure = failure_of(pods, conditions, self._told(name), was_ready=is_ready)
        if failure is not None and failure.kind in _OF_THE_MODEL and not failure.message:
            failure = replace(failure, message=self._last_words(pods) or exit_of(pods))
        return Arm(
            failure or (Readiness.READY if is_ready else Readiness.STARTING), restarts=restarts_of(pods)
        )

    def _is_ready_deployment(self, name: str, deployment: Document) -> bool:
        if not isinstance(self.view, StandardView):
            return False
        canary = self.view.canary
        if canary is not None and name == predictor_service(self.key.model, canary.name):
            return canary.is_ready
        return bool(deployment.get("status", {}).get("availableReplicas", 0))

    def _last_words(self, pods: list[Document]) -> str:
        """Of the container that ended, from its log; where that cannot be had, there are none."""
        for pod in pods:
            path = f"{names.pods(self.key.namespace)}/{pod['metadata']['name']}/log"
            query = {
                "container": "kserve-container",
                "tailLines": "5",
                "previous": "true",
                "limitBytes": str(_LARGEST_TAIL),
            }
            with contextlib.suppress(Unavailable, Refused):
                return (self.kubernetes.text(path, query) or "").strip()[-_LONGEST_WORDS:]
        return ""

    def _told(self, name: str) -> Mapping[str, Any]:
        """KServe's own words, where they are about this revision and not about an earlier one."""
        told = self.service.get("status", {}).get("modelStatus", {}).get("lastFailureInfo") or {}
        about = told.get("modelRevisionName") or told.get("location", "")
        is_about_it = about == name or about.startswith(f"{name}-")
        is_specification = told.get("reason") in _OF_THE_SPECIFICATION and self._is_newest(name)
        return told if is_about_it or is_specification else {}

    def _is_newest(self, name: str) -> bool:
        if isinstance(self.view, KnativeView):
            return name == self.view.created
        return isinstance(self.view, StandardView) and self.view.canary is None


# These name no revision: none could be made.
_OF_THE_SPECIFICATION = {
    "NoSupportingRuntime",
    "RuntimeNotRecognized",
    "RuntimeDisabled",
    "InvalidPredictorSpec",
}


def in_cluster_url(key: EnvironmentKey) -> str:
    return f"http://{key.model}.{key.namespace}.svc.cluster.local"


def look(kubernetes: Kubernetes, key: EnvironmentKey) -> Cluster | None:
    """None: there is no InferenceService. Refused when it is not this environment's."""
    service = kubernetes.get(names.services(key.namespace, key.model))
    if service is None:
        return None
    owner = (service["metadata"].get("labels") or {}).get(names.OWNER)
    if owner != key.slug:
        raise Refused(
            f"the InferenceService {key.model} in namespace {key.namespace} belongs to {owner or 'somebody else'}",
            fix="delete it, or give the model another name or the environment another namespace",
        )
    said = service.get("status", {}).get("deploymentMode")
    match mode_of(said):
        case Mode.KNATIVE:
            found = kubernetes.list(names.revisions(key.namespace), {names.SERVICE_LABEL: key.model})
            parts = {one["metadata"]["name"]: one for one in found}
            return Cluster(kubernetes, key, service, knative.look(service, found), parts)
        case Mode.STANDARD:
            return _standard(kubernetes, key, service)
        case None if said:
            raise Refused(f"KServe serves {key.model} in the mode {said}; expected Knative or Standard")
        case None:
            return Cluster(kubernetes, key, service, None)


def _standard(kubernetes: Kubernetes, key: EnvironmentKey, service: Document) -> Cluster:
    spec = service["spec"]
    named = [spec["predictor"].get("name"), *(one["predictor"]["name"] for one in spec.get("canary") or [])]
    parts: dict[str, Document] = {}
    for name in (predictor_service(key.model, one) for one in named):
        deployment = kubernetes.get(names.deployments(key.namespace, name))
        if deployment is not None:
            parts[name] = deployment
    routes = []
    for name in (key.model, predictor_service(key.model, None)):
        route = kubernetes.get(names.routes(key.namespace, name))
        if route is not None:
            routes.append(route)
    if not all(standard.is_taken_over(route) for route in routes):
        raise Unavailable("the gateway has not taken over the route as it is written now")
    return Cluster(kubernetes, key, service, standard.look(service, parts, routes), parts)
