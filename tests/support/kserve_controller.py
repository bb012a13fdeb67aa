"""A stand-in for KServe's controller, in both modes: it watches InferenceServices on a real API server, keeps what KServe
would keep beside them (Knative's Revisions; Deployments and HTTPRoutes), and writes `status` as KServe does. Behind the
names are real model servers.

It makes the same trouble as the real one: `latestRevision` means the latest *ready* one; a percentage is ignored before
the first rollout and in Standard mode; annotations are part of a revision; Deployments go before routes are written;
`observedGeneration` is another object's.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from tests.support.kserve_data_plane import DataPlane, ModelServer

from kfops.adapters.kserve import names
from kfops.adapters.kubernetes.client import Conflict, Kubernetes
from kfops.ports.errors import Unavailable

Document = dict[str, Any]

_TICK_S = 0.05


@dataclass
class Cluster:
    """How the cluster under test is. `models`: the folder in which an address `s3://models/…/DIGEST` is found by its
    digest. `starts_in_s`: how long a pod takes at least, also where a server of that model happens to run. `pods`: what is wrong with the pods of whoever loads a digest, as container statuses.
    """

    models: Path
    default_mode: str = "Knative"
    has_weights: bool = True
    has_gateway: bool = True
    starts_in_s: float = 0.4
    pods: dict[str, list[Document]] = field(default_factory=dict)


class Controller:
    """Works in a thread of its own until `stop`. One namespace."""

    def __init__(self, kubernetes: Kubernetes, namespace: str, plane: DataPlane, cluster: Cluster) -> None:
        self.cluster = cluster
        self.plane = plane
        self.problem: BaseException | None = None
        self._kubernetes = kubernetes
        self._namespace = namespace
        self._over = threading.Event()
        self._wake = threading.Event()
        self._known: dict[str, Document] = {}
        self._born: dict[str, float] = {}
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._watcher = threading.Thread(target=self._watch, daemon=True)

    def start(self) -> None:
        self._thread.start()
        self._watcher.start()

    def stop(self) -> None:
        self._over.set()
        self._wake.set()
        self._thread.join(20)
        self._watcher.join(20)
        if self.problem is not None:
            raise self.problem

    # The loop

    def _watch(self) -> None:
        """The API's own stream of changes; the loop's tick mends what falls between two streams."""
        access = self._kubernetes._access
        path = f"{access.server}{names.services(self._namespace)}?watch=1&timeoutSeconds=1"
        headers = {"authorization": f"Bearer {access.token()}"}
        with httpx.Client(verify=access.tls(), timeout=5, trust_env=False, headers=headers) as client:
            while not self._over.is_set():
                with contextlib.suppress(httpx.HTTPError), client.stream("GET", path) as answer:
                    for _ in answer.iter_lines():
                        self._wake.set()
                        if self._over.is_set():
                            return

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                self._turn()
            except (Conflict, Unavailable):
                continue
            except BaseException as error:  # noqa: BLE001 - a thread must not die unseen
                self.problem = error
                return
            self._wake.wait(_TICK_S)
            self._wake.clear()

    def _turn(self) -> None:
        present = {
            one["metadata"]["name"]: one for one in self._kubernetes.list(names.services(self._namespace))
        }
        for name in set(self._known) - set(present):
            self._collect(name)
            self._born.clear()
            del self._known[name]
        for name, service in present.items():
            self._known[name] = service
            mode = names.annotations_of(service).get(names.MODE, self.cluster.default_mode)
            if mode in {"Knative", "Serverless"}:
                self._knative(service)
            elif mode in {"Standard", "RawDeployment"}:
                self._standard(service)

    def _collect(self, name: str) -> None:
        """What the garbage collector would do."""
        label = {names.SERVICE_LABEL: name}
        for path in (names.revisions(self._namespace), names.deployments(self._namespace, "").rstrip("/")):
            for one in self._kubernetes.list(path, label):
                self._kubernetes.delete(f"{path}/{one['metadata']['name']}")
        for route in (name, f"{name}-predictor"):
            self._kubernetes.delete(names.routes(self._namespace, route))
        for pod in self._kubernetes.list(names.pods(self._namespace)):
            self._kubernetes.delete(f"{names.pods(self._namespace)}/{pod['metadata']['name']}")
        for key in [key for key in self.plane.backends if key.startswith(f"{self._namespace}/{name}-")]:
            del self.plane.backends[key]
        for host in [host for host in self.plane.hosts if f"{name}-" in host or host.startswith(f"{name}.")]:
            del self.plane.hosts[host]
        self.plane.put_in_force()

    # What both modes share

    def _server(self, backend: str, name: str, predictor: Document) -> ModelServer | None:
        """None: this one cannot even be started here, and its pods say why."""
        uri = predictor["model"]["storageUri"]
        digest, version = (
            uri.rstrip("/").rpartition("/")[2],
            (predictor.get("annotations") or {}).get(names.VERSION, ""),
        )
        if digest in self.cluster.pods:
            return None
        known = self.plane.backends.get(backend)
        if known is None:
            known = self.plane.server(self.cluster.models / digest, name, version, digest)
            self.plane.backends[backend] = known
        return known

    def _is_ready(self, name: str, server: ModelServer | None) -> bool:
        born = self._born.setdefault(name, time.monotonic())
        return server is not None and server.is_ready and time.monotonic() - born >= self.cluster.starts_in_s

    def _route(self, shares: dict[str, dict[str, int]]) -> None:
        """Hosts to shares, by the names of revisions or Services."""
        wanted = {
            host: {f"{self._namespace}/{one}": share for one, share in backends.items()}
            for host, backends in shares.items()
        }
        if any(self.plane.hosts.get(host) != backends for host, backends in wanted.items()):
            self.plane.hosts.update(wanted)
            self.plane.put_in_force()

    def _write_status(self, service: Document, status: Document) -> None:
        if status != service.get("status"):
            path = f"{names.services(self._namespace, service['metadata']['name'])}/status"
            # Members that are gone must go: a merge patch alone would leave them.
            gone = {key: None for key in service.get("status", {}) if key not in status}
            version = service["metadata"]["resourceVersion"]
            self._kubernetes.patch(
                path, {"metadata": {"resourceVersion": version}, "status": {**gone, **status}}
            )

    def _pod(self, label: Document, name: str, statuses: list[Document]) -> None:
        """The pod of a revision that does not start, as its statuses show it."""
        path = names.pods(self._namespace)
        if self._kubernetes.get(f"{path}/{name}-pod") is not None:
            return
        container = {"name": "kserve-container", "image": "model-server"}
        body = {"metadata": {"name": f"{name}-pod", "labels": label}, "spec": {"containers": [container]}}
        self._kubernetes.create(path, body)
        self._kubernetes.patch(f"{path}/{name}-pod/status", {"status": {"containerStatuses": statuses}})

    def _show_failure(
        self, label: Document, name: str, predictor: Document, server: ModelServer | None
    ) -> None:
        digest = predictor["model"]["storageUri"].rstrip("/").rpartition("/")[2]
        if digest in self.cluster.pods:
            self._pod(label, name, self.cluster.pods[digest])
        elif server is not None and server.last_words is not None:
            ended = {
                "exitCode": server.process.returncode or 1,
                "reason": "Error",
                "message": server.last_words,
            }
            status = {
                "name": "kserve-container",
                "image": "model-server",
                "imageID": "",
                "ready": False,
                "restartCount": 1,
                "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off restarting"}},
                "lastState": {"terminated": ended},
            }
            self._pod(label, name, [status])

    def _model_status(self, name: str, server: ModelServer | None, *, blocks: bool) -> Document:
        words = server.last_words if server else "the pod does not start"
        if words is None:
            loaded = self._is_ready(name, server)
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

    # Knative

    def _knative(self, service: Document) -> None:
        name = service["metadata"]["name"]
        before = service.get("status", {}).get("components", {}).get("predictor", {})
        revisions = sorted(
            self._kubernetes.list(names.revisions(self._namespace), {names.SERVICE_LABEL: name}),
            key=lambda one: one["metadata"]["name"],
        )
        template = _template(service)
        if not revisions or revisions[-1]["spec"] != template:
            revisions.append(self._new_revision(name, len(revisions) + 1, template))
        servers = {one["metadata"]["name"]: self._revive(name, one) for one in revisions}
        ready = [one for one, server in servers.items() if self._is_ready(one, server)]
        created, latest_ready = revisions[-1]["metadata"]["name"], ready[-1] if ready else ""
        rolled_out = before.get("latestRolledoutRevision", "")
        traffic = self._traffic(service, latest_ready, rolled_out) if ready else []
        component = {
            "latestCreatedRevision": created,
            "traffic": traffic,
            **({"latestReadyRevision": latest_ready} if ready else {}),
            **_rolled_out(before, traffic, created, latest_ready),
        }
        shares = {f"{name}.{self._namespace}.svc.cluster.local": _shares(traffic)}
        shares[f"{name}-{self._namespace}.example.com"] = _shares(traffic)
        shares |= {
            httpx.URL(one["url"]).host: {one["revisionName"]: 100} for one in traffic if one.get("tag")
        }
        self._route(shares)
        is_new_ready = created in ready
        model = self._model_status(created, servers[created], blocks=bool(ready))
        status = {
            "deploymentMode": "Knative",
            "observedGeneration": len(revisions),
            "components": {"predictor": component},
            "modelStatus": model,
            "conditions": _conditions(
                Ready=is_new_ready,
                PredictorReady=is_new_ready,
                LatestDeploymentReady=is_new_ready,
                IngressReady=bool(ready),
            ),
        }
        if ready:
            status["url"] = f"http://{name}-{self._namespace}.example.com"
            status["address"] = {"url": f"http://{name}.{self._namespace}.svc.cluster.local"}
        self._write_status(service, status)

    def _new_revision(self, name: str, number: int, template: Document) -> Document:
        revision = f"{name}-predictor-{number:05d}"
        labels = {names.SERVICE_LABEL: name, "serving.knative.dev/configuration": f"{name}-predictor"}
        return self._kubernetes.create(
            names.revisions(self._namespace),
            {
                "apiVersion": "serving.knative.dev/v1",
                "kind": "Revision",
                "metadata": {"name": revision, "labels": labels, "annotations": _loaded(template)},
                "spec": template,
            },
        )

    def _revive(self, name: str, revision: Document) -> ModelServer | None:
        own, predictor = revision["metadata"]["name"], revision["spec"]["predictor"]
        server = self._server(f"{self._namespace}/{own}", name, predictor)
        self._show_failure({"serving.knative.dev/revision": own}, own, predictor, server)
        words = server.last_words if server else None
        ready = "True" if self._is_ready(own, server) else "Unknown" if words is None else "False"
        condition = {"type": "Ready", "status": ready}
        if words is not None and server is not None:
            condition |= {
                "reason": f"ExitCode{server.process.returncode}",
                "message": f"Container failed with: {words}",
            }
        if revision.get("status", {}).get("conditions") != [condition]:
            path = f"{names.revisions(self._namespace)}/{own}/status"
            self._kubernetes.patch(path, {"status": {"conditions": [condition]}})
        return server

    def _traffic(self, service: Document, ready: str, rolled_out: str) -> list[Document]:
        """As KServe asks Knative for it, and Knative resolves it."""
        name, percent = service["metadata"]["name"], service["spec"]["predictor"].get("canaryTrafficPercent")
        is_tagged = names.annotations_of(service).get(names.TAG_ROUTING) == "true"
        share = percent if percent is not None and rolled_out else 100
        latest = {"revisionName": ready, "latestRevision": True, "percent": share}
        if is_tagged:
            latest |= {
                "tag": "latest",
                "url": f"http://latest-{name}-predictor.{self._namespace}.example.com",
            }
        if share == 100:
            return [latest]
        previous = {
            "revisionName": rolled_out,
            "latestRevision": False,
            "percent": 100 - share,
            "tag": "prev",
            "url": f"http://prev-{name}-predictor.{self._namespace}.example.com",
        }
        return [latest, previous]

    # Standard

    def _standard(self, service: Document) -> None:
        name, spec = service["metadata"]["name"], service["spec"]
        stable, entries = spec["predictor"], spec.get("canary") or []
        least = stable.get("minReplicas", 1)
        wanted = {names.predictor_service(name, stable.get("name")): (stable, least)}
        for entry in entries:
            theirs = entry["predictor"]
            copies = theirs.get("minReplicas") or -(-least * entry["trafficPercent"] // 100)
            merged = {**stable, **theirs}
            wanted[names.predictor_service(name, theirs["name"])] = (merged, copies)
        present = {
            one["metadata"]["name"]
            for one in self._kubernetes.list(
                names.deployments(self._namespace, ""), {names.SERVICE_LABEL: name}
            )
        }
        gone = present - set(wanted)
        for one in gone:
            self._kubernetes.delete(names.deployments(self._namespace, one))
            self.plane.backends.pop(f"{self._namespace}/{one}", None)
        if gone:
            # The pods end here; who is still led to them finds nobody.
            self.plane.put_in_force()
            time.sleep(0.1)
        servers = {one: self._deploy(name, service, one, *how) for one, how in wanted.items()}
        ready = {one for one, server in servers.items() if self._is_ready(one, server)}
        own = names.predictor_service(name, stable.get("name"))
        self._weigh(name, own, entries, ready)
        self._write_status(service, self._standard_status(service, own, servers, ready))

    def _deploy(
        self, name: str, service: Document, own: str, predictor: Document, copies: int
    ) -> ModelServer | None:
        path = names.deployments(self._namespace, own)
        annotations = _loaded({"predictor": predictor, "annotations": _copied(service)})
        labels = {"app": f"isvc.{own}"}
        body = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": own, "labels": {names.SERVICE_LABEL: name}},
            "spec": {
                "replicas": copies,
                "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": labels, "annotations": annotations},
                    "spec": {"containers": [{"name": "kserve-container", "image": "model-server"}]},
                },
            },
        }
        backend = f"{self._namespace}/{own}"
        before = self._kubernetes.get(path)
        old = (
            (before or {})
            .get("spec", {})
            .get("template", {})
            .get("metadata", {})
            .get("annotations", annotations)
        )
        if old != annotations:
            self.plane.backends.pop(backend, None)  # a rolling update, to whoever comes next
        deployment = self._kubernetes.apply(path, body, manager="kserve", force=True)
        if copies == 0:
            return None
        server = self._server(backend, name, predictor)
        self._show_failure(labels, own, predictor, server)
        available = copies if self._is_ready(own, server) else 0
        if deployment.get("status", {}).get("availableReplicas", 0) != available:
            counts = {"replicas": copies, "readyReplicas": available, "availableReplicas": available}
            self._kubernetes.patch(f"{path}/status", {"status": counts})
        return server

    def _weigh(self, name: str, own: str, entries: list[Document], ready: set[str]) -> None:
        """Routes come into being when the predictor is ready for the first time."""
        routes = (name, f"{name}-predictor")
        known = self._kubernetes.get(names.routes(self._namespace, name))
        if known is None and own not in ready:
            return
        shares = {
            names.predictor_service(name, one["predictor"]["name"]): one["trafficPercent"]
            for one in entries
            if self.cluster.has_weights and names.predictor_service(name, one["predictor"]["name"]) in ready
        }
        shares = {own: 100 - sum(shares.values()), **shares}
        if self.cluster.has_gateway:
            backends = [{"name": one, "port": 80, "weight": weight} for one, weight in shares.items()]
            for route in routes:
                content = {
                    "apiVersion": "gateway.networking.k8s.io/v1",
                    "kind": "HTTPRoute",
                    "metadata": {"name": route, "labels": {names.SERVICE_LABEL: name}},
                    "spec": {"rules": [{"backendRefs": backends}]},
                }
                self._kubernetes.apply(
                    names.routes(self._namespace, route), content, manager="kserve", force=True
                )
        suffix = f"{self._namespace}.svc.cluster.local"
        hosts = {f"{one}.{suffix}": {one: 100} for one in shares}
        hosts |= {f"{name}.{suffix}": shares, f"{name}-{self._namespace}.example.com": shares}
        self._route(hosts)
        self._take_over(routes)

    def _take_over(self, routes: tuple[str, ...]) -> None:
        """What the gateway reports."""
        for route in routes:
            found = self._kubernetes.get(names.routes(self._namespace, route))
            if found is None:
                continue
            generation = found["metadata"]["generation"]
            conditions = [
                {"type": kind, "status": "True", "observedGeneration": generation}
                for kind in ("Accepted", "ResolvedRefs")
            ]
            status = {"parents": [{"conditions": conditions}]}
            if found.get("status") != status:
                self._kubernetes.patch(f"{names.routes(self._namespace, route)}/status", {"status": status})

    def _standard_status(
        self, service: Document, own: str, servers: dict[str, ModelServer | None], ready: set[str]
    ) -> Document:
        name = service["metadata"]["name"]
        entries = service["spec"].get("canary") or []
        canaries = [
            {
                "name": one["predictor"]["name"],
                "ready": names.predictor_service(name, one["predictor"]["name"]) in ready,
                "trafficPercent": one["trafficPercent"],
            }
            for one in entries
        ]
        status: Document = {
            "deploymentMode": "Standard",
            "observedGeneration": 1,
            "modelStatus": self._model_status(own, servers[own], blocks=False),
            "conditions": _conditions(
                Ready=own in ready, PredictorReady=own in ready, IngressReady=own in ready
            ),
        }
        if canaries:
            status["canaryStatuses"] = canaries
            status["conditions"] += _conditions(CanaryPredictorReady=all(one["ready"] for one in canaries))
        if own in ready:
            status["url"] = f"http://{name}-{self._namespace}.example.com"
            status["address"] = {"url": f"http://{name}.{self._namespace}.svc.cluster.local"}
        return status


def _copied(service: Document) -> dict[str, str]:
    """Annotations that KServe hands down to what it makes."""
    return dict(names.annotations_of(service))


def _template(service: Document) -> Document:
    """What a revision is made of: all of the predictor but its share, and the annotations."""
    predictor = {
        key: value for key, value in service["spec"]["predictor"].items() if key != "canaryTrafficPercent"
    }
    return {"predictor": predictor, "annotations": _copied(service)}


def _loaded(template: Document) -> dict[str, str]:
    own = template["predictor"].get("annotations") or {}
    return {**template["annotations"], **own, names.LOADED_FROM: template["predictor"]["model"]["storageUri"]}


def _shares(traffic: list[Document]) -> dict[str, int]:
    shares: dict[str, int] = {}
    for one in traffic:
        shares[one["revisionName"]] = shares.get(one["revisionName"], 0) + one["percent"]
    return shares


def _rolled_out(before: Document, traffic: list[Document], created: str, ready: str) -> Document:
    """Which revisions last had everything: how KServe keeps its one step of history."""
    latest, previous = before.get("latestRolledoutRevision", ""), before.get("previousRolledoutRevision", "")
    newest = next((one for one in traffic if one["latestRevision"]), None)
    if newest is not None and latest != ready and newest["percent"] == 100:
        latest, previous = ready, latest
    elif newest is not None and latest == ready == created and newest["percent"] < 100:
        # Everything fell back on the very revision that was to lose traffic: the one before it is meant.
        latest = previous if previous and _shares(traffic)[ready] == 100 else latest
    found = {"latestRolledoutRevision": latest, "previousRolledoutRevision": previous}
    return {key: value for key, value in found.items() if value}


def _conditions(**states: bool) -> list[Document]:
    return [{"type": kind, "status": "True" if is_so else "False"} for kind, is_so in states.items()]


@contextmanager
def running(
    kubernetes: Kubernetes, namespace: str, plane: DataPlane, cluster: Cluster
) -> Iterator[Controller]:
    controller = Controller(kubernetes, namespace, plane, cluster)
    controller.start()
    try:
        yield controller
    finally:
        controller.stop()
