"""Engines on a Kubernetes cluster."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import structlog

from kfops.adapters.system_clock import SystemClock
from kfops.bootstrap.keeping import bucket, store
from kfops.bootstrap.machine import workroom
from kfops.bootstrap.problem import SettingsProblem
from kfops.ports.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kfops.adapters.kserve.installation import Told
    from kfops.adapters.kubernetes.client import Kubernetes
    from kfops.ports.pipelines import Pipelines
    from kfops.ports.serving import ModelSource, Serving
    from kfops.ports.traffic import Traffic
    from kfops.settings import Settings

log = structlog.get_logger("kfops")


def kubeflow(settings: Settings) -> Pipelines:
    from kfops.adapters.kubeflow.adapter import KubeflowPipelines
    from kfops.adapters.kubeflow.pods import RunPods
    from kfops.adapters.kubeflow.server import KubeflowServer
    from kfops.adapters.kubeflow.storage import RunStorage
    from kfops.adapters.kubernetes.access import find_access
    from kfops.adapters.kubernetes.client import Kubernetes
    from kfops.adapters.local.pipelines.compiling import Compiler
    from kfops.domain.package_policy import Allowed

    if not settings.kubeflow_url:
        raise SettingsProblem("KFOPS_KUBEFLOW_URL is missing: the address of Kubeflow Pipelines' API")
    if settings.storage != "s3":
        raise SettingsProblem(
            "KFOPS_PIPELINES=kubeflow needs KFOPS_STORAGE=s3: steps on a cluster hand over through a bucket"
        )
    namespace = settings.kubeflow_namespace
    try:
        pods = RunPods(Kubernetes(find_access(settings.kubeconfig)), namespace)
    except Refused as error:
        log.warning("no way to the cluster's pods: failures of steps have fewer words", error=str(error))
        pods = None
    return KubeflowPipelines(
        KubeflowServer(
            settings.kubeflow_url,
            namespace,
            settings.kubeflow_token.get_secret_value(),
            settings.kubeflow_ui_url,
        ),
        RunStorage(bucket(settings), settings.data_dir / "fetched"),
        Compiler(workroom(settings), Allowed(), runs_here=False),
        SystemClock(),
        pods=pods,
        service_account=settings.kubeflow_service_account,
    )


def kserve(settings: Settings) -> tuple[Serving, Traffic]:
    from kfops.adapters.kserve.adapter import KServeServing
    from kfops.adapters.kserve.adapter import Settings as KServeSettings
    from kfops.adapters.kserve.counting import counted_arms, own_requests
    from kfops.adapters.kserve.own_requests import OwnRequests
    from kfops.adapters.prometheus.adapter import PrometheusTraffic
    from kfops.adapters.prometheus.api import Prometheus
    from kfops.adapters.prometheus.uncounted import Uncounted
    from kfops.adapters.s3.models import S3ModelStore

    models = store(settings)
    if not isinstance(models, S3ModelStore):
        raise SettingsProblem(
            "KFOPS_SERVING=kserve needs KFOPS_STORAGE=s3: the cluster reads models from a bucket"
        )

    def publish(source: ModelSource) -> str:
        return models.address(models.put(source.directory))

    kubernetes, told = _kserves_cluster(settings)
    own, clock = OwnRequests(), SystemClock()
    asked = KServeSettings(told, settings.kserve_service_account, settings.kserve_ingress)
    serves = KServeServing(kubernetes, publish, clock, own, asked)
    if not settings.prometheus_url:
        return serves, Uncounted()
    token = settings.prometheus_token.get_secret_value()
    return serves, PrometheusTraffic(
        Prometheus(settings.prometheus_url, token=lambda: token or None),
        lambda key: counted_arms(serves, key, settings.prometheus_metrics),
        own_requests(own),
        clock,
    )


def examine_kserve(settings: Settings) -> Iterator[tuple[str, str, bool]]:
    """For `kfops doctor`: problem, fix, whether it is grave."""
    from kfops.adapters.kserve.examination import examine
    from kfops.adapters.prometheus.api import Prometheus

    kserve(settings)
    kubernetes, told = _kserves_cluster(settings)
    with closing(kubernetes):
        yield from examine(kubernetes, told)
    if not settings.prometheus_url:
        yield (
            "nobody counts requests: rollouts replay held-out requests, or ask",
            "set KFOPS_PROMETHEUS_URL",
            False,
        )
        return
    token = settings.prometheus_token.get_secret_value()
    with closing(Prometheus(settings.prometheus_url, token=lambda: token or None)) as counts:
        scraped = counts.value("count(up)", SystemClock().now())
    if scraped is None:
        yield "Prometheus scrapes nothing", "let it scrape Knative's queue-proxies, or the gateway", True


def _kserves_cluster(settings: Settings) -> tuple[Kubernetes, Told]:
    from kfops.adapters.kserve.installation import Told
    from kfops.adapters.kubernetes.access import find_access
    from kfops.adapters.kubernetes.client import Kubernetes

    told = Told(settings.kserve_mode, settings.kserve_version, settings.kserve_system_namespace)
    try:
        return Kubernetes(find_access(settings.kubeconfig)), told
    except Refused as error:
        raise SettingsProblem(f"KFOPS_SERVING=kserve: {error}; {error.fix}") from error
