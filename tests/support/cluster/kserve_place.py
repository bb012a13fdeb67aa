"""One environment on KServe as a test sees it: a namespace on the real API server, the stand-in for KServe's
controller, and users who call through its gateway.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Protocol

from tests.support.cluster.api_server import ApiServer
from tests.support.cluster.kserve_controller import running
from tests.support.cluster.kserve_data_plane import DataPlane
from tests.support.cluster.kserve_ground import Cluster
from tests.support.serving_contract import WallClock

from kfops.adapters.kserve import names
from kfops.adapters.kserve.adapter import KServeServing, Settings
from kfops.adapters.kserve.counting import counted_arms, own_requests
from kfops.adapters.kserve.installation import Told
from kfops.adapters.kserve.own_requests import OwnRequests
from kfops.adapters.kubernetes.client import Kubernetes
from kfops.adapters.local.digest import digest_of_directory
from kfops.adapters.prometheus.adapter import PrometheusTraffic
from kfops.adapters.prometheus.api import Prometheus
from kfops.domain.environment import EnvironmentKey
from kfops.ports.serving import ModelSource

MODEL = "churn"


class KServePlace:
    """`bucket` is what the cluster reads models from; publishing copies them there."""

    def __init__(
        self, kubernetes: Kubernetes, namespace: str, plane: DataPlane, models: Path, cluster: Cluster
    ) -> None:
        self.kubernetes = kubernetes
        self.plane = plane
        self.cluster = cluster
        self.key = EnvironmentKey(7, MODEL, "production", namespace)
        self.own = OwnRequests()
        self.published: list[str] = []
        self._models = models
        told = Told(cluster.default_mode, "0.21" if cluster.has_weights else "0.20")
        self.serving = KServeServing(
            kubernetes, self._publish, WallClock(), self.own, Settings(told, through=plane.url)
        )
        self.users = Users(self)
        self.counted_within_s = 10.0
        self.traffic: PrometheusTraffic | None = None

    def counted_by(self, prometheus: Prometheus) -> None:
        self.traffic = PrometheusTraffic(
            prometheus, lambda key: counted_arms(self.serving, key), own_requests(self.own), WallClock()
        )

    def source(self, name: str, version: str, **more: Any) -> ModelSource:
        directory = self._models / name
        return ModelSource(directory, digest_of_directory(directory), version, MODEL, **more)

    def _publish(self, source: ModelSource) -> str:
        target = self.cluster.models / source.digest
        if not target.exists():
            shutil.copytree(source.directory, target)
        self.published.append(source.digest)
        return f"s3://models/7/{source.digest}"

    def send(self, content: bytes) -> tuple[int, str | None]:
        answer = self.plane.send(f"{MODEL}-{self.key.namespace}.example.com", "/predict", content)
        return answer.status_code, answer.headers.get("x-kfops-version")

    def service(self) -> dict[str, Any]:
        found = self.kubernetes.get(names.services(self.key.namespace, MODEL))
        assert found is not None
        return found

    def patch(self, body: dict[str, Any]) -> None:
        """As somebody else would."""
        self.kubernetes.patch(names.services(self.key.namespace, MODEL), body)

    def revisions(self) -> list[str]:
        found = self.kubernetes.list(names.revisions(self.key.namespace))
        return sorted(one["metadata"]["name"] for one in found)

    def until(self, is_so: Any, within_s: float = 20.0) -> Any:
        deadline = time.monotonic() + within_s
        while not (found := is_so()):
            assert time.monotonic() < deadline, self.service()
            time.sleep(0.02)
        return found


class Called(Protocol):
    def send(self, content: bytes) -> tuple[int, str | None]:
        """A user's request: the status, and the version that answered."""
        ...


class Users:
    """They call all the time while a block runs; `answers` are their statuses and versions."""

    def __init__(self, place: Called) -> None:
        self._place = place
        self.answers: list[tuple[int, str | None]] = []

    @contextmanager
    def calling(self, content: bytes, pause_s: float = 0.004) -> Iterator[list[tuple[int, str | None]]]:
        over = threading.Event()
        answers: list[tuple[int, str | None]] = []

        def call() -> None:
            while not over.is_set():
                answers.append(self._place.send(content))
                time.sleep(pause_s)

        thread = threading.Thread(target=call, daemon=True)
        thread.start()
        try:
            yield answers
        finally:
            over.set()
            thread.join(20)


@contextmanager
def place_of(
    api_server: ApiServer,
    plane: DataPlane,
    models: Path,
    mode: str,
    *,
    namespace: str = "",
    kubernetes: Kubernetes | None = None,
    **cluster: Any,
) -> Iterator[KServePlace]:
    """In this mode, in a fresh namespace unless one is named. `kubernetes`: as whom the bot speaks to the API; as its
    owner, unless said.
    """
    namespace = namespace or api_server.namespace(mode.lower())
    bucket = plane.folder / "bucket"
    bucket.mkdir(exist_ok=True)
    there = Cluster(bucket, default_mode=mode, **cluster)
    with closing(api_server.client()) as own, closing(api_server.client()) as watching:
        place = KServePlace(kubernetes or own, namespace, plane, models, there)
        with running(watching, namespace, plane, there):
            yield place
            own.delete(names.services(namespace, MODEL))
            own.delete(names.config_maps(namespace, f"kfops-{MODEL}"))
            place.until(lambda: not any(key.startswith(f"{namespace}/") for key in plane.backends))
