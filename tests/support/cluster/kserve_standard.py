"""KServe's stand-in in Standard mode: Deployments and HTTPRoutes.

It makes the same trouble as the real one: `canaryTrafficPercent` is ignored; Deployments go before routes are written;
a change of labels or annotations restarts pods; `observedGeneration` is another object's.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from tests.support.cluster.kserve_data_plane import ModelServer
from tests.support.cluster.kserve_ground import Document, Ground, conditions, copied, loaded

from kfops.adapters.kserve import names

VISIBILITY = "networking.kserve.io/visibility"


@dataclass(frozen=True)
class Standard:
    ground: Ground

    def reconcile(self, service: Document) -> None:
        name, spec = service["metadata"]["name"], service["spec"]
        stable, entries = spec["predictor"], spec.get("canary") or []
        least = stable.get("minReplicas", 1)
        wanted = {names.predictor_service(name, stable.get("name")): (stable, least)}
        for entry in entries:
            theirs = entry["predictor"]
            copies = theirs.get("minReplicas") or -(-least * entry["trafficPercent"] // 100)
            wanted[names.predictor_service(name, theirs["name"])] = ({**stable, **theirs}, copies)
        self._remove(name, set(wanted))
        servers = {one: self._deploy(service, one, *how) for one, how in wanted.items()}
        ready = {one for one, server in servers.items() if self.ground.is_ready(one, server)}
        own = names.predictor_service(name, stable.get("name"))
        self._weigh(service, own, entries, ready)
        self.ground.write_status(service, self._status(service, own, servers, ready))

    def _remove(self, name: str, wanted: set[str]) -> None:
        ground = self.ground
        path = names.deployments(ground.namespace, "").rstrip("/")
        present = {
            one["metadata"]["name"] for one in ground.kubernetes.list(path, {names.SERVICE_LABEL: name})
        }
        gone = present - wanted
        for one in gone:
            ground.kubernetes.delete(names.deployments(ground.namespace, one))
            ground.plane.backends.pop(f"{ground.namespace}/{one}", None)
        if gone:
            # The pods end here; who is still led to them finds nobody.
            ground.plane.put_in_force()
            time.sleep(0.1)

    def _deploy(self, service: Document, own: str, predictor: Document, copies: int) -> ModelServer | None:
        ground, name = self.ground, service["metadata"]["name"]
        path = names.deployments(ground.namespace, own)
        body = _deployment(service, own, predictor, copies)
        template = body["spec"]["template"]["metadata"]
        backend = f"{ground.namespace}/{own}"
        before = (ground.kubernetes.get(path) or body)["spec"]["template"]["metadata"]
        if before["annotations"] != template["annotations"]:
            ground.plane.backends.pop(backend, None)  # a rolling update, to whoever comes next
        deployment = ground.kubernetes.apply(path, body, manager="kserve", force=True)
        if copies == 0:
            return None
        server = ground.server(backend, name, predictor)
        ground.show_failure({"app": template["labels"]["app"]}, own, predictor, server)
        available = copies if ground.is_ready(own, server) else 0
        if deployment.get("status", {}).get("availableReplicas", 0) != available:
            counts = {"replicas": copies, "readyReplicas": available, "availableReplicas": available}
            ground.kubernetes.patch(f"{path}/status", {"status": counts})
        return server

    def _weigh(self, service: Document, own: str, entries: list[Document], ready: set[str]) -> None:
        """Routes come into being when the predictor is ready for the first time."""
        ground, name = self.ground, service["metadata"]["name"]
        known = ground.kubernetes.get(names.routes(ground.namespace, name))
        if known is None and own not in ready:
            return
        shares = {
            names.predictor_service(name, one["predictor"]["name"]): one["trafficPercent"]
            for one in entries
            if ground.cluster.has_weights and names.predictor_service(name, one["predictor"]["name"]) in ready
        }
        shares = {own: 100 - sum(shares.values()), **shares}
        hosts = {ground.local_host(one): {one: 100} for one in shares}
        hosts[ground.local_host(name)] = shares
        if not _is_local(service):
            hosts[ground.public_host(name)] = shares
            self._write_routes(name, shares)
        ground.route(hosts, gone=ground.public_host(name) if _is_local(service) else "")
        self._take_over((name, f"{name}-predictor"))

    def _write_routes(self, name: str, shares: dict[str, int]) -> None:
        ground = self.ground
        if not ground.cluster.has_gateway:
            return
        backends = [{"name": one, "port": 80, "weight": weight} for one, weight in shares.items()]
        for route in (name, f"{name}-predictor"):
            content = {
                "apiVersion": "gateway.networking.k8s.io/v1",
                "kind": "HTTPRoute",
                "metadata": {"name": route, "labels": {names.SERVICE_LABEL: name}},
                "spec": {"rules": [{"backendRefs": backends}]},
            }
            path = names.routes(ground.namespace, route)
            ground.kubernetes.apply(path, content, manager="kserve", force=True)

    def _take_over(self, routes: tuple[str, ...]) -> None:
        """What the gateway reports."""
        ground = self.ground
        for route in routes:
            found = ground.kubernetes.get(names.routes(ground.namespace, route))
            if found is None:
                continue
            generation = found["metadata"]["generation"]
            told = [
                {"type": kind, "status": "True", "observedGeneration": generation}
                for kind in ("Accepted", "ResolvedRefs")
            ]
            status = {"parents": [{"conditions": told}]}
            if found.get("status") != status:
                path = f"{names.routes(ground.namespace, route)}/status"
                ground.kubernetes.patch(path, {"status": status})

    def _status(
        self, service: Document, own: str, servers: dict[str, ModelServer | None], ready: set[str]
    ) -> Document:
        name = service["metadata"]["name"]
        canaries = [
            {
                "name": one["predictor"]["name"],
                "ready": names.predictor_service(name, one["predictor"]["name"]) in ready,
                "trafficPercent": one["trafficPercent"],
            }
            for one in service["spec"].get("canary") or []
        ]
        is_ready = own in ready
        status: Document = {
            "deploymentMode": "Standard",
            "observedGeneration": 1,
            "modelStatus": self.ground.model_status(own, servers[own], blocks=False),
            "conditions": conditions(Ready=is_ready, PredictorReady=is_ready, IngressReady=is_ready),
            **(self.ground.url(service, is_local=_is_local(service)) if is_ready else {}),
        }
        if canaries:
            status["canaryStatuses"] = canaries
            status["conditions"] += conditions(CanaryPredictorReady=all(one["ready"] for one in canaries))
        return status


def _is_local(service: Document) -> bool:
    """KServe keeps no route of one that is for the cluster alone."""
    return (service["metadata"].get("labels") or {}).get(VISIBILITY) == "cluster-local"


def _deployment(service: Document, own: str, predictor: Document, copies: int) -> Document:
    name = service["metadata"]["name"]
    annotations = loaded({"predictor": predictor, "annotations": copied(service)})
    selected = {"app": f"isvc.{own}"}
    labels = {**(service["metadata"].get("labels") or {}), **selected}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": own, "labels": {names.SERVICE_LABEL: name}},
        "spec": {
            "replicas": copies,
            "selector": {"matchLabels": selected},
            "template": {
                "metadata": {"labels": labels, "annotations": annotations},
                "spec": {"containers": [{"name": "kserve-container", "image": "model-server"}]},
            },
        },
    }
