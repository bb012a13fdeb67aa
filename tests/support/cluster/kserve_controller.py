"""A stand-in for KServe's controller, in both modes: it watches InferenceServices on a real API server, keeps what KServe
would keep beside them (Knative's Revisions; Deployments and HTTPRoutes), and writes `status` as KServe does. Behind the
names are real model servers.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from tests.support.cluster.kserve_data_plane import DataPlane
from tests.support.cluster.kserve_ground import Cluster, Document, Ground
from tests.support.cluster.kserve_knative import Knative
from tests.support.cluster.kserve_standard import Standard

from kfops.adapters.kserve import names
from kfops.adapters.kubernetes.client import Conflict, Kubernetes
from kfops.ports.errors import Unavailable

_SOON_S, _IDLE_S = 0.05, 0.5


class Controller:
    """Works in a thread of its own until `stop`. One namespace."""

    def __init__(self, ground: Ground) -> None:
        self.problem: BaseException | None = None
        self._ground = ground
        self._knative, self._standard = Knative(ground), Standard(ground)
        self._over = threading.Event()
        self._wake = threading.Event()
        self._known: dict[str, Document] = {}
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

    def _watch(self) -> None:
        """The API's own stream of changes; the loop's tick mends what falls between two streams."""
        access = self._ground.kubernetes._access
        path = f"{access.server}{names.services(self._ground.namespace)}?watch=1&timeoutSeconds=1"
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
            self._wake.wait(_SOON_S if self._ground.is_moving else _IDLE_S)
            self._wake.clear()

    def _turn(self) -> None:
        ground = self._ground
        ground.is_moving = False
        found = ground.kubernetes.list(names.services(ground.namespace))
        present = {one["metadata"]["name"]: one for one in found}
        for name in set(self._known) - set(present):
            ground.collect(name)
            del self._known[name]
        for name, service in present.items():
            self._known[name] = service
            mode = names.annotations_of(service).get(names.MODE, ground.cluster.default_mode)
            if mode in {"Knative", "Serverless"}:
                self._knative.reconcile(service)
            elif mode in {"Standard", "RawDeployment"}:
                self._standard.reconcile(service)


@contextmanager
def running(
    kubernetes: Kubernetes, namespace: str, plane: DataPlane, cluster: Cluster
) -> Iterator[Controller]:
    controller = Controller(Ground(kubernetes, namespace, plane, cluster))
    controller.start()
    try:
        yield controller
    finally:
        controller.stop()
