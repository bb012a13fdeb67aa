"""Everything that the bot drives on a cluster, joined: Kubeflow Pipelines' front, KServe on the API server, the sandbox's
Jobs with a node that runs them, a bucket, a tracking server, a database. The bot finds all of it by its settings.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.cluster import node as nodes
from tests.support.cluster.api_server import ApiServer
from tests.support.cluster.kserve_controller import running as controller_running
from tests.support.cluster.kserve_data_plane import DataPlane
from tests.support.cluster.kserve_ground import Cluster
from tests.support.cluster.kubeflow_front import Description, Front
from tests.support.cluster.kubeflow_front import running as front_running
from tests.support.playground import contract
from tests.support.servers.seaweed import KEY, SECRET, Seaweed

from kfops.adapters.kserve import names
from kfops.adapters.kubernetes.sandbox.job import PURPOSE
from kfops.adapters.local.pipelines.adapter import LocalPipelines
from kfops.adapters.local.processes import Handle, stop
from kfops.adapters.local.sandbox import NoSandbox
from kfops.adapters.system_clock import SystemClock

BUCKET = "kfops"
KEYS = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}


@dataclass(frozen=True)
class Pod(NoSandbox):
    """What a step has on Kubeflow: the way to its part of the bucket, as the operator's service account gives it."""

    endpoint: str = ""

    def argv(self, inside: Any, *, variables: Mapping[str, str] = {}, **more: Any) -> list[str]:
        reach = {**KEYS, "AWS_ENDPOINT_URL_S3": self.endpoint, "AWS_DEFAULT_REGION": "us-east-1"}
        return super().argv(inside, variables={**variables, **reach}, **more)


@dataclass(frozen=True)
class WholeCluster:
    """`settings` are the bot's. `model` is deployed to `namespaces`, by environment."""

    api_server: ApiServer
    front: Front
    plane: DataPlane
    namespaces: Mapping[str, str]
    settings: Mapping[str, str]
    model: str

    def rules(self, text: str) -> str:
        """The template's kfops.yaml for this cluster."""
        text = text.replace("model: churn\n", f"model: {self.model}\n")
        text = text.replace("churn-staging", self.namespaces["staging"])
        return text.replace("{namespace: churn,", f"{{namespace: {self.namespaces['production']},")

    def send(self, content: bytes) -> tuple[int, str | None]:
        """As production's callers do, through the gateway: the status, and which version answered."""
        host = f"{self.model}-{self.namespaces['production']}.example.com"
        answer = self.plane.send(host, "/predict", content)
        return answer.status_code, answer.headers.get("x-kfops-version")

    def service(self) -> dict[str, Any]:
        """Production's InferenceService."""
        with closing(self.api_server.client()) as client:
            found = client.get(names.services(self.namespaces["production"], self.model))
        assert found is not None
        return found


@contextmanager
def whole_cluster(
    folder: Path,
    mode: str,
    api_server: ApiServer,
    plane: DataPlane,
    storage: Seaweed,
    elsewhere: Mapping[str, str],
) -> Iterator[WholeCluster]:
    """`elsewhere`: settings of what is no part of the cluster (the database, the tracking server, Prometheus)."""
    model = f"churn-{mode.lower()}"
    namespaces = {name: api_server.namespace(name) for name in ("staging", "production")}
    with ExitStack() as opened:
        front = opened.enter_context(_kubeflow(folder / "kubeflow", storage))
        there = Cluster(plane.folder / "bucket", mode, initialize=_initializer(storage))
        there.models.mkdir(exist_ok=True)
        for namespace in namespaces.values():
            client = opened.enter_context(closing(api_server.client()))
            opened.enter_context(controller_running(client, namespace, plane, there))
        node = opened.enter_context(nodes.running(api_server, looks_every_s=0.25))
        settings = {
            **KEYS,
            **elsewhere,
            "KFOPS_SANDBOX": "kubernetes",
            "KFOPS_SANDBOX_NAMESPACE": node.namespace,
            "KFOPS_SANDBOX_IMAGE": "registry.example.com/kfops@sha256:" + "0" * 64,
            "KFOPS_PIPELINES": "kubeflow",
            "KFOPS_KUBEFLOW_URL": front.url,
            "KFOPS_KUBEFLOW_UI_URL": "https://kubeflow.example",
            "KFOPS_KUBEFLOW_SERVICE_ACCOUNT": "steps",
            "KFOPS_SERVING": "kserve",
            "KFOPS_KSERVE_SYSTEM_NAMESPACE": _installed(api_server, mode),
            "KFOPS_KSERVE_SERVICE_ACCOUNT": "models-reader",
            "KFOPS_KSERVE_INGRESS": plane.url,
            "KFOPS_KUBECONFIG": str(api_server.kubeconfig(folder / "kubeconfig")),
            "KFOPS_STORAGE": "s3",
            "KFOPS_S3_ADDRESS": f"s3://{BUCKET}/{mode.lower()}/",
            "KFOPS_S3_ENDPOINT": storage.endpoint,
        }
        yield WholeCluster(api_server, front, plane, namespaces, settings, model)
        done = {one["metadata"]["labels"][PURPOSE] for one in node.documents}
        assert {"compile", "predict", "judge"} <= done, "code of pull requests ran elsewhere than in Jobs"


@contextmanager
def _kubeflow(folder: Path, storage: Seaweed) -> Iterator[Front]:
    engine = LocalPipelines(folder / "runs", Pod(endpoint=storage.endpoint), SystemClock())

    def upload(file: Path, address: str) -> None:
        storage.client().upload_file(str(file), BUCKET, address.removeprefix(f"s3://{BUCKET}/"))

    description = Description(contract("kfp-v2beta1.swagger.json"))
    try:
        with front_running(Front(folder, description, engine, upload)) as front:
            yield front
    finally:
        for handle in (folder / "runs").glob("*/supervisor.json"):
            stop(Handle.from_json(handle.read_text()), grace_s=5)


def _initializer(storage: Seaweed) -> Any:
    """KServe's storage initializer: what lies at an address, in a folder of the pod's."""

    def initialize(address: str, folder: Path) -> None:
        if folder.exists():
            return
        prefix = address.removeprefix(f"s3://{BUCKET}/").rstrip("/") + "/"
        client, incoming = storage.client(), folder.with_suffix(".incoming")
        found = client.list_objects_v2(Bucket=BUCKET, Prefix=prefix)
        for one in found["Contents"]:
            place = incoming / one["Key"].removeprefix(prefix)
            place.parent.mkdir(parents=True, exist_ok=True)
            client.download_file(BUCKET, one["Key"], str(place))
        incoming.rename(folder)

    return initialize


def _installed(api_server: ApiServer, mode: str) -> str:
    """The namespace in which KServe is installed: what its chart leaves there tells the bot the mode and the version."""
    system = api_server.namespace("kserve")
    labels = {"app": "kserve"}
    container = {"name": "manager", "image": "docker.io/kserve/kserve-controller:v0.21.0"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    data = {"deploy": json.dumps({"defaultDeploymentMode": mode})}
    with closing(api_server.client()) as client:
        client.create(
            names.config_maps(system), {"metadata": {"name": "inferenceservice-config"}, "data": data}
        )
        client.create(
            names.deployments(system, "").rstrip("/"),
            {
                "metadata": {"name": "kserve-controller-manager"},
                "spec": {"selector": {"matchLabels": labels}, "template": template},
            },
        )
    return system
