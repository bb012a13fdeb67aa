"""The engines that the operator chose."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kfops.bootstrap.machine import local_pipelines, local_serving, mlflow_server

if TYPE_CHECKING:
    from kfops.ports.models import Models
    from kfops.ports.pipelines import Pipelines
    from kfops.ports.serving import Serving
    from kfops.ports.traffic import Traffic
    from kfops.settings import Settings


def pipelines(settings: Settings) -> Pipelines:
    if settings.pipelines == "local":
        return local_pipelines(settings)
    from kfops.bootstrap.cluster import kubeflow

    return kubeflow(settings)


def serving_and_traffic(settings: Settings) -> tuple[Serving, Traffic]:
    """Who serves, and who counts what users ask of it."""
    if settings.serving == "local":
        here = local_serving(settings)
        return here, here
    from kfops.bootstrap.cluster import kserve

    return kserve(settings)


def serving(settings: Settings) -> Serving:
    return serving_and_traffic(settings)[0]


def models(settings: Settings) -> Models:
    """The operator's tracking server, or the bot's own."""
    from kfops.adapters.mlflow.models import MlflowModels

    if not settings.mlflow_url:
        return MlflowModels(mlflow_server(settings).ensure_running())
    password = settings.mlflow_password.get_secret_value()
    auth = (settings.mlflow_username, password) if settings.mlflow_username else None
    return MlflowModels(settings.mlflow_url, public_url=settings.mlflow_public_url, auth=auth)


def shutdown(settings: Settings) -> None:
    """End what outlives the bot on one machine: the serving stack and the tracking server. A cluster's goes on."""
    if settings.serving == "local":
        local_serving(settings).shutdown()
    mlflow_server(settings).shutdown()
