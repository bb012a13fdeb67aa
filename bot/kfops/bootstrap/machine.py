"""Engines on this machine."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from kfops.adapters.system_clock import SystemClock
from kfops.bootstrap.problem import SettingsProblem

if TYPE_CHECKING:
    from pathlib import Path

    from kfops.adapters.local.confinement import Confinement
    from kfops.adapters.local.environments.adapter import LocalEnvironments
    from kfops.adapters.local.pipelines.adapter import LocalPipelines
    from kfops.adapters.local.serving.adapter import LocalServing
    from kfops.adapters.local.short_work import Workroom
    from kfops.adapters.mlflow.server import MlflowServer
    from kfops.adapters.sql.ledger import SqlLedger
    from kfops.ports.images import Images
    from kfops.settings import Settings
    from kfops.workflow.pruning import Pruning

log = structlog.get_logger("kfops")


def workroom(settings: Settings) -> Workroom:
    """Where short pieces of foreign work are done: compiling, scoring."""
    if settings.sandbox != "kubernetes":
        return sandbox(settings)
    from kfops.bootstrap.cluster_jobs import sandbox_jobs

    return sandbox_jobs(settings)


def sandbox(settings: Settings) -> Confinement:
    """Of this machine, for what runs on it."""
    from kfops.adapters.local.sandbox import NoSandbox, probe

    if settings.sandbox == "kubernetes":
        raise SettingsProblem(
            "KFOPS_SANDBOX=kubernetes needs KFOPS_PIPELINES=kubeflow and KFOPS_SERVING=kserve: pipelines and models that "
            "run on this machine need a sandbox of this machine"
        )
    if settings.sandbox == "none":
        log.warning("no sandbox: code of pull requests runs with the bot's own rights")
        return NoSandbox()
    found = probe()
    if isinstance(found, str):
        raise SettingsProblem(
            f"no sandbox starts here: {found}. Install bubblewrap, or set KFOPS_SANDBOX=none for code that you trust"
        )
    return found


def local_pipelines(settings: Settings) -> LocalPipelines:
    from kfops.adapters.local.pipelines.adapter import LocalPipelines

    path = settings.data_dir / "ledger.db"
    return LocalPipelines(
        settings.data_dir / "pipelines",
        sandbox(settings),
        SystemClock(),
        ledger=path if path.exists() else None,
    )


def environments(settings: Settings) -> LocalEnvironments:
    from kfops.adapters.local.environments.adapter import LocalEnvironments
    from kfops.adapters.local.environments.operators_pip import operators_index
    from kfops.adapters.local.sandbox import NoSandbox

    if settings.sandbox == "kubernetes" and settings.install:
        raise SettingsProblem(
            "KFOPS_INSTALL=true needs a sandbox of this machine; on a cluster, packages come with the steps' images"
        )
    address = settings.index_url.get_secret_value()
    return LocalEnvironments(
        settings.data_dir / "environments",
        # On a cluster nothing is installed here, so that nothing is confined.
        NoSandbox() if settings.sandbox == "kubernetes" else sandbox(settings),
        is_allowed=settings.install,
        index=lambda: operators_index(address),
    )


def pruning(settings: Settings, book: SqlLedger, installs: LocalEnvironments) -> Pruning:
    """Of this process's data folder; each replica has its own."""
    from kfops.adapters.local.storerooms import storerooms
    from kfops.workflow.pruning import Pruning

    clock = SystemClock()
    rooms = storerooms(settings.data_dir.absolute(), installs, clock.now)
    return Pruning(book, clock, rooms, timedelta(days=settings.keep_days), settings.keep_runs)


def local_serving(settings: Settings) -> LocalServing:
    from kfops.adapters.local.serving.adapter import LocalServing

    return LocalServing(
        settings.data_dir / "serving",
        sandbox(settings),
        SystemClock(),
        packages_of=environments(settings).packages_of,
    )


def mlflow_server(settings: Settings) -> MlflowServer:
    from kfops.adapters.mlflow.server import MlflowServer

    return MlflowServer(settings.data_dir / "mlflow")


def images(settings: Settings) -> Images | None:
    if settings.images == "none":
        return None
    if settings.images == "kubernetes":
        from kfops.bootstrap.cluster_jobs import image_jobs

        return image_jobs(settings)
    from kfops.adapters.buildah.images import BuildahImages

    secret = settings.registry_password.get_secret_value()
    return BuildahImages(
        settings.data_dir / "images",
        is_plain=settings.registry_plain,
        credentials=(settings.registry_user, secret) if settings.registry_user else None,
        bwrap=_bubblewrap(settings),
    )


def _bubblewrap(settings: Settings) -> Path | None:
    """For builds of images, which root alone can make in one."""
    from kfops.adapters.local.sandbox import probe

    if settings.sandbox == "none" or os.geteuid() != 0:
        return None
    found = probe()
    if isinstance(found, str):
        raise SettingsProblem(
            f"KFOPS_IMAGES=buildah builds in a sandbox, and {found}. Install bubblewrap, or set KFOPS_IMAGES=kubernetes"
        )
    return found.bwrap
