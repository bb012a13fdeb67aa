"""KServe's stand-in in Knative mode: revisions, and what Knative makes of a percentage.

It makes the same trouble as the real one: `latestRevision` means the latest *ready* one; a percentage is ignored before
the first rollout; annotations are part of a revision; `observedGeneration` is another object's.
"""

from __future__ import annotations

from dataclasses import dataclass

import httpx
from tests.support.cluster.kserve_data_plane import ModelServer
from tests.support.cluster.kserve_ground import Document, Ground, conditions, copied, loaded

from kfops.adapters.kserve import names

VISIBILITY = "networking.knative.dev/visibility"


@dataclass(frozen=True)
class Knative:
    ground: Ground

    def reconcile(self, service: Document) -> None:
        ground, name = self.ground, service["metadata"]["name"]
        before = service.get("status", {}).get("components", {}).get("predictor", {})
        revisions = sorted(
            ground.kubernetes.list(names.revisions(ground.namespace), {names.SERVICE_LABEL: name}),
            key=lambda one: one["metadata"]["name"],
        )
        template = _template(service)
        if not revisions or revisions[-1]["spec"] != template:
            revisions.append(self._new_revision(name, len(revisions) + 1, template))
        servers = {one["metadata"]["name"]: self._revive(name, one) for one in revisions}
        ready = [one for one, server in servers.items() if ground.is_ready(one, server)]
        created, latest_ready = revisions[-1]["metadata"]["name"], ready[-1] if ready else ""
        rolled_out = before.get("latestRolledoutRevision", "")
        traffic = self._traffic(service, latest_ready, rolled_out) if ready else []
        component = {
            "latestCreatedRevision": created,
            "traffic": traffic,
            **({"latestReadyRevision": latest_ready} if ready else {}),
            **_rolled_out(before, traffic, created, latest_ready),
        }
        self._route(service, traffic)
        is_new_ready = created in ready
        status = {
            "deploymentMode": "Knative",
            "observedGeneration": len(revisions),
            "components": {"predictor": component},
            "modelStatus": ground.model_status(created, servers[created], blocks=bool(ready)),
            "conditions": conditions(
                Ready=is_new_ready,
                PredictorReady=is_new_ready,
                LatestDeploymentReady=is_new_ready,
                IngressReady=bool(ready),
            ),
            **(ground.url(service, is_local=_is_local(service)) if ready else {}),
        }
        ground.write_status(service, status)

    def _route(self, service: Document, traffic: list[Document]) -> None:
        name, shares = service["metadata"]["name"], _shares(traffic)
        public = self.ground.public_host(name)
        hosts = {self.ground.local_host(name): shares}
        if not _is_local(service):
            hosts[public] = shares
        hosts |= {httpx.URL(one["url"]).host: {one["revisionName"]: 100} for one in traffic if one.get("tag")}
        self.ground.route(hosts, gone=public if _is_local(service) else "")

    def _new_revision(self, name: str, number: int, template: Document) -> Document:
        revision = f"{name}-predictor-{number:05d}"
        labels = {names.SERVICE_LABEL: name, "serving.knative.dev/configuration": f"{name}-predictor"}
        return self.ground.kubernetes.create(
            names.revisions(self.ground.namespace),
            {
                "apiVersion": "serving.knative.dev/v1",
                "kind": "Revision",
                "metadata": {"name": revision, "labels": labels, "annotations": loaded(template)},
                "spec": template,
            },
        )

    def _revive(self, name: str, revision: Document) -> ModelServer | None:
        ground = self.ground
        own, predictor = revision["metadata"]["name"], revision["spec"]["predictor"]
        server = ground.server(f"{ground.namespace}/{own}", name, predictor)
        ground.show_failure({"serving.knative.dev/revision": own}, own, predictor, server)
        words = server.last_words if server else None
        ready = "True" if ground.is_ready(own, server) else "Unknown" if words is None else "False"
        condition = {"type": "Ready", "status": ready}
        if words is not None and server is not None:
            condition |= {
                "reason": f"ExitCode{server.process.returncode}",
                "message": f"Container failed with: {words}",
            }
        if revision.get("status", {}).get("conditions") != [condition]:
            path = f"{names.revisions(ground.namespace)}/{own}/status"
            ground.kubernetes.patch(path, {"status": {"conditions": [condition]}})
        return server

    def _traffic(self, service: Document, ready: str, rolled_out: str) -> list[Document]:
        """As KServe asks Knative for it, and Knative resolves it."""
        name, percent = service["metadata"]["name"], service["spec"]["predictor"].get("canaryTrafficPercent")
        domain = "svc.cluster.local" if _is_local(service) else "example.com"
        place = f"{name}-predictor.{self.ground.namespace}.{domain}"
        is_tagged = names.annotations_of(service).get(names.TAG_ROUTING) == "true"
        share = percent if percent is not None and rolled_out else 100
        latest = {"revisionName": ready, "latestRevision": True, "percent": share}
        if is_tagged:
            latest |= {"tag": "latest", "url": f"http://latest-{place}"}
        if share == 100:
            return [latest]
        previous = {
            "revisionName": rolled_out,
            "latestRevision": False,
            "percent": 100 - share,
            "tag": "prev",
            "url": f"http://prev-{place}",
        }
        return [latest, previous]


def _is_local(service: Document) -> bool:
    """Not published to the gateway that callers use; no part of a revision."""
    return (service["metadata"].get("labels") or {}).get(VISIBILITY) == "cluster-local"


def _template(service: Document) -> Document:
    """What a revision is made of: all of the predictor but its share, and the annotations."""
    predictor = {
        key: value for key, value in service["spec"]["predictor"].items() if key != "canaryTrafficPercent"
    }
    return {"predictor": predictor, "annotations": copied(service)}


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
