"""What KServe's stand-in does alike in both modes: servers behind names, routes, pods that fail, and `status`."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.cluster.kserve_data_plane import DataPlane, ModelServer

from kfops.adapters.kserve import names
from kfops.adapters.kubernetes.client import Kubernetes

Document = dict[str, Any]


@dataclass
class Cluster:
    """How the cluster under test is. `models`: the folder in which an address `s3://models/…/DIGEST` is found by its
    digest; `initialize` puts it there first, as KServe's storage initializer does. `starts_in_s`: how long a pod takes
    at least, also where a server of that model happens to run. `pods`: what is wrong with the pods of whoever loads a
    digest, as container statuses.
    """

    models: Path
    default_mode: str = "Knative"
    has_weights: bool = True
    has_gateway: bool = True
    starts_in_s: float = 0.4
    pods: dict[str, list[Document]] = field(default_factory=dict)
    initialize: Callable[[str, Path], None] = lambda _address, _folder: None


@dataclass
class Ground:
    """One namespace."""

    kubernetes: Kubernetes
    namespace: str
    plane: DataPlane
    cluster: Cluster
    born: dict[str, float] = field(default_factory=dict)
    is_moving: bool = False  # something is starting: it is worth while to look again soon

    def server(self, backend: str, name: str, predictor: Document) -> ModelServer | None:
        """None: this one cannot even be started here, and its pods say why."""
        digest = digest_of(predictor)
        if digest in self.cluster.pods:
            return None
        known = self.plane.backends.get(backend)
        if known is None:
            folder = self.cluster.models / digest
            self.cluster.initialize(predictor["model"]["storageUri"], folder)
            version = (predictor.get("annotations") or {}).get(names.VERSION, "")
            known = self.plane.server(folder, name, version, digest)
            self.plane.backends[backend] = known
        return known

    def is_ready(self, name: str, server: ModelServer | None) -> bool:
        born = self.born.setdefault(name, time.monotonic())
        is_old_enough = time.monotonic() - born >= self.cluster.starts_in_s
        if server is not None and server.is_ready and is_old_enough:
            return True
        self.is_moving = True
        return False

    def local_host(self, name: str) -> str:
        return f"{name}.{self.namespace}.svc.cluster.local"

    def public_host(self, name: str) -> str:
        return f"{name}-{self.namespace}.example.com"

    def url(self, service: Document, *, is_local: bool) -> Document:
        """`status.url` and `status.address` of a service that can be reached."""
        name = service["metadata"]["name"]
        host = self.local_host(name) if is_local else self.public_host(name)
        return {"url": f"http://{host}", "address": {"url": f"http://{self.local_host(name)}"}}

    def route(self, shares: dict[str, dict[str, int]], gone: str = "") -> None:
        """Hosts to shares, by the names of revisions or Services; `gone` is a host that leads nowhere any more."""
        wanted = {
            host: {f"{self.namespace}/{one}": share for one, share in backends.items()}
            for host, backends in shares.items()
        }
        is_stale = self.plane.hosts.pop(gone, None) is not None
        if is_stale or any(self.plane.hosts.get(host) != backends for host, backends in wanted.items()):
            self.plane.hosts.update(wanted)
            self.plane.put_in_force()

    def write_status(self, service: Document, status: Document) -> None:
        if status != service.get("status"):
            path = f"{names.services(self.namespace, service['metadata']['name'])}/status"
            # Members that are gone must go: a merge patch alone would leave them.
            gone = {key: None for key in service.get("status", {}) if key not in status}
            version = service["metadata"]["resourceVersion"]
            self.kubernetes.patch(
                path, {"metadata": {"resourceVersion": version}, "status": {**gone, **status}}
            )

    def show_failure(
        self, label: Document, name: str, predictor: Document, server: ModelServer | None
    ) -> None:
        digest = digest_of(predictor)
        if digest in self.cluster.pods:
            self._pod(label, name, self.cluster.pods[digest])
        elif server is not None and server.last_words is not None:
            self._pod(label, name, [_crashed(server)])

    def model_status(self, name: str, server: ModelServer | None, *, blocks: bool) -> Document:
        words = server.last_words if server else "the pod does not start"
        if words is None:
            loaded = self.is_ready(name, server)
            states = {
                "activeModelState": "Loaded" if loaded else "Pending",
                "targetModelState": "Loaded" if loaded else "Loading",
            }
            return {"transitionStatus": "UpToDate" if loaded else "InProgress", "states": states}
        if server is None:
            return {
                "transitionStatus": "InProgress",
                "states": {"activeModelState": "Pending", "targetModelState": "Pending"},
            }
        return {
            "transitionStatus": "BlockedByFailedLoad",
            "states": {"activeModelState": "Loaded" if blocks else "", "targetModelState": "FailedToLoad"},
            "lastFailureInfo": {
                "reason": "ModelLoadFailed",
                "message": words,
                "location": f"{name}-deployment-7d8f-x",
                "modelRevisionName": name,
                "exitCode": server.process.returncode or 1,
            },
        }

    def collect(self, name: str) -> None:
        """What the garbage collector would do."""
        label = {names.SERVICE_LABEL: name}
        for path in (names.revisions(self.namespace), names.deployments(self.namespace, "").rstrip("/")):
            for one in self.kubernetes.list(path, label):
                self.kubernetes.delete(f"{path}/{one['metadata']['name']}")
        for route in (name, f"{name}-predictor"):
            self.kubernetes.delete(names.routes(self.namespace, route))
        for pod in self.kubernetes.list(names.pods(self.namespace)):
            self.kubernetes.delete(f"{names.pods(self.namespace)}/{pod['metadata']['name']}")
        for key in [key for key in self.plane.backends if key.startswith(f"{self.namespace}/{name}-")]:
            del self.plane.backends[key]
        for host in [host for host, shares in self.plane.hosts.items() if self._is_of(name, host, shares)]:
            del self.plane.hosts[host]
        self.born.clear()
        self.plane.put_in_force()

    def _is_of(self, name: str, host: str, shares: dict[str, int]) -> bool:
        own = host in {self.local_host(name), self.public_host(name)}
        return own or any(one.startswith(f"{self.namespace}/{name}-") for one in shares)

    def _pod(self, label: Document, name: str, statuses: list[Document]) -> None:
        """The pod of a revision that does not start, as its statuses show it."""
        path = names.pods(self.namespace)
        if self.kubernetes.get(f"{path}/{name}-pod") is not None:
            return
        container = {"name": "kserve-container", "image": "model-server"}
        body = {"metadata": {"name": f"{name}-pod", "labels": label}, "spec": {"containers": [container]}}
        self.kubernetes.create(path, body)
        self.kubernetes.patch(f"{path}/{name}-pod/status", {"status": {"containerStatuses": statuses}})


def digest_of(predictor: Document) -> str:
    return str(predictor["model"]["storageUri"]).rstrip("/").rpartition("/")[2]


def copied(service: Document) -> dict[str, str]:
    """Annotations that KServe hands down to what it makes."""
    return dict(names.annotations_of(service))


def loaded(template: Document) -> dict[str, str]:
    own = template["predictor"].get("annotations") or {}
    return {**template["annotations"], **own, names.LOADED_FROM: template["predictor"]["model"]["storageUri"]}


def conditions(**states: bool) -> list[Document]:
    return [{"type": kind, "status": "True" if is_so else "False"} for kind, is_so in states.items()]


def _crashed(server: ModelServer) -> Document:
    ended = {"exitCode": server.process.returncode or 1, "reason": "Error", "message": server.last_words}
    return {
        "name": "kserve-container",
        "image": "model-server",
        "imageID": "",
        "ready": False,
        "restartCount": 1,
        "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off restarting"}},
        "lastState": {"terminated": ended},
    }
