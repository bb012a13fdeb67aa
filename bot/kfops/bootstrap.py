"""The only place where ports meet adapters."""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING

import structlog

from kfops.adapters.sql.ledger import SqlLedger
from kfops.adapters.system_clock import SystemClock
from kfops.config.policy import OPEN_POLICY, Policy, is_served, load_policy
from kfops.ports.errors import Refused, Unavailable
from kfops.ports.ledger import Arrival
from kfops.settings import Settings
from kfops.workflow.context import Options, Ports
from kfops.workflow.recovery import EVERY, Recovery
from kfops.workflow.settling import settle
from kfops.workflow.workers import Repair, Workers

if TYPE_CHECKING:
    from fastapi import FastAPI

    from kfops.adapters.github.auth import AppCredentials, TokenCredentials
    from kfops.adapters.github.forge import GitHubForge
    from kfops.adapters.local.confinement import Confinement
    from kfops.adapters.local.environments.adapter import LocalEnvironments
    from kfops.adapters.local.serving.adapter import LocalServing
    from kfops.adapters.mlflow.server import MlflowServer
    from kfops.adapters.s3.bucket import Bucket
    from kfops.ports.data import DataFiles
    from kfops.ports.images import Images
    from kfops.ports.pipelines import Pipelines
    from kfops.ports.serving import ModelSource, Serving
    from kfops.ports.storage import ModelStore
    from kfops.ports.traffic import Traffic

SETTLING_S = 60
CLOCKS_AGREE = timedelta(seconds=5)  # a lease is written by one replica's clock and read by another's
log = structlog.get_logger("kfops")


class SettingsProblem(Exception):  # noqa: N818
    """The operator's settings do not work; the text says which and how to mend them."""


def ledger(settings: Settings) -> SqlLedger:
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    try:
        made = SqlLedger(settings.ledger_url)
        made.migrate()
    except ValueError as error:
        raise SettingsProblem(f"KFOPS_DATABASE_URL: {error}") from error
    except Unavailable as error:
        raise SettingsProblem(f"{error}. Start the database, or mend KFOPS_DATABASE_URL") from error
    return made


def sandbox(settings: Settings) -> Confinement:
    from kfops.adapters.local.sandbox import NoSandbox, probe

    if settings.sandbox == "none":
        log.warning("no sandbox: code of pull requests runs with the bot's own rights")
        return NoSandbox()
    found = probe()
    if isinstance(found, str):
        raise SettingsProblem(
            f"no sandbox starts here: {found}. Install bubblewrap, or set KFOPS_SANDBOX=none for code that you trust"
        )
    return found


def pipelines(settings: Settings) -> Pipelines:
    if settings.pipelines == "kubeflow":
        return _kubeflow(settings)
    from kfops.adapters.local.pipelines.adapter import LocalPipelines

    path = settings.data_dir / "ledger.db"
    return LocalPipelines(
        settings.data_dir / "pipelines",
        sandbox(settings),
        SystemClock(),
        ledger=path if path.exists() else None,
    )


def _kubeflow(settings: Settings) -> Pipelines:
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
        RunStorage(_bucket(settings), settings.data_dir / "fetched"),
        Compiler(sandbox(settings), Allowed(), runs_here=False),
        SystemClock(),
        pods=pods,
        service_account=settings.kubeflow_service_account,
    )


def environments(settings: Settings) -> LocalEnvironments:
    from kfops.adapters.local.environments.adapter import LocalEnvironments
    from kfops.adapters.local.environments.operators_pip import operators_index

    address = settings.index_url.get_secret_value()
    return LocalEnvironments(
        settings.data_dir / "environments",
        sandbox(settings),
        is_allowed=settings.install,
        index=lambda: operators_index(address),
    )


def serving_and_traffic(settings: Settings) -> tuple[Serving, Traffic]:
    """Who serves, and who counts what users ask of it."""
    if settings.serving == "kserve":
        return _kserve(settings)
    here = _local_serving(settings)
    return here, here


def _kserve(settings: Settings) -> tuple[Serving, Traffic]:
    from kfops.adapters.kserve.adapter import KServeServing
    from kfops.adapters.kserve.adapter import Settings as KServeSettings
    from kfops.adapters.kserve.counting import counted_arms, own_requests
    from kfops.adapters.kserve.installation import Told
    from kfops.adapters.kserve.own_requests import OwnRequests
    from kfops.adapters.kubernetes.access import find_access
    from kfops.adapters.kubernetes.client import Kubernetes
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

    told = Told(settings.kserve_mode, settings.kserve_version, settings.kserve_system_namespace)
    try:
        kubernetes = Kubernetes(find_access(settings.kubeconfig))
    except Refused as error:
        raise SettingsProblem(f"KFOPS_SERVING=kserve: {error}; {error.fix}") from error
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


def serving(settings: Settings) -> Serving:
    return serving_and_traffic(settings)[0]


def _local_serving(settings: Settings) -> LocalServing:
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


def store(settings: Settings) -> ModelStore:
    from kfops.adapters.local.store import Store

    kept = Store(settings.data_dir / "models")
    if settings.storage == "local":
        return kept
    from kfops.adapters.s3.models import S3ModelStore

    return S3ModelStore(_bucket(settings), kept, settings.data_dir / "scratch")


def _bucket(settings: Settings) -> Bucket:
    from kfops.adapters.s3.bucket import Bucket

    try:
        return Bucket(settings.s3_address, endpoint=settings.s3_endpoint)
    except Refused as error:
        raise SettingsProblem(f"KFOPS_S3_ADDRESS: {error}") from error


def credentials(settings: Settings) -> AppCredentials | TokenCredentials:
    from kfops.adapters.github.auth import AppCredentials, TokenCredentials

    if settings.app_id and settings.app_key_file:
        return AppCredentials(settings.app_id, settings.app_key_file.read_text())
    if settings.forge_token:
        return TokenCredentials(settings.forge_token.get_secret_value())
    raise SettingsProblem(
        "the bot has no credentials: set KFOPS_APP_ID and KFOPS_APP_KEY_FILE, or KFOPS_FORGE_TOKEN"
    )


def policy(settings: Settings) -> Policy:
    if settings.policy_file is None:
        return OPEN_POLICY
    return load_policy(settings.policy_file.read_bytes(), filename=str(settings.policy_file))


def data_files(settings: Settings) -> DataFiles | None:
    if settings.storage == "local":
        return None
    from kfops.adapters.s3.data import S3DataFiles

    return S3DataFiles(settings.s3_endpoint)


def images(settings: Settings) -> Images | None:
    if settings.images == "none":
        return None
    from kfops.adapters.buildah.images import BuildahImages

    secret = settings.registry_password.get_secret_value()
    return BuildahImages(
        settings.data_dir / "images",
        is_plain=settings.registry_plain,
        credentials=(settings.registry_user, secret) if settings.registry_user else None,
    )


def forge(settings: Settings) -> GitHubForge:
    from kfops.adapters.github.forge import GitHubForge

    return GitHubForge(
        credentials(settings),
        now=SystemClock().now,
        base_url=settings.forge_url,
        cache_dir=settings.data_dir / "git",
    )


@dataclass(frozen=True)
class Bot:
    """The whole bot, joined and not yet started."""

    app: FastAPI
    workers: Workers


def build(settings: Settings) -> Bot:
    from kfops.adapters.local.scoring.adapter import LocalScoring
    from kfops.adapters.mlflow.models import MlflowModels
    from kfops.webhook.app import create_app

    if not settings.webhook_secrets:
        raise SettingsProblem("no webhook secret: set KFOPS_WEBHOOK_SECRETS, such as '[\"a long secret\"]'")
    book, clock, server = ledger(settings), SystemClock(), forge(settings)
    for repository_id, name, installation in book.repositories():
        server.remember(repository_id, name, installation)
    serves, counts = serving_and_traffic(settings)
    installs = environments(settings)
    ports = Ports(
        forge=server,
        ledger=book,
        environments=installs,
        pipelines=pipelines(settings),
        models=MlflowModels(mlflow_server(settings).ensure_running()),
        scoring=LocalScoring(sandbox(settings), packages_of=installs.packages_of),
        serving=serves,
        traffic=counts,
        store=store(settings),
        clock=clock,
        images=images(settings),
        data_files=data_files(settings),
    )
    rules = policy(settings)
    secrets = tuple(one.get_secret_value() for one in settings.webhook_secrets)
    options = Options(
        data_dir=settings.data_dir.absolute(),
        policy=rules,
        max_runs=settings.max_runs,
        secrets=settings.secrets,
    )
    owner, inbox = f"{socket.gethostname()}:{os.getpid()}", _Remembering(book, server)
    recovery = Recovery(server, book, inbox.accept, clock, lambda name: is_served(rules, name), owner)
    repairs = (
        Repair("recovery", EVERY.total_seconds(), recovery.look),
        Repair("settling", SETTLING_S, lambda: settle(ports, options, owner)),
    )
    workers = Workers(ports, options, owner, settings.workers, repairs)
    app = create_app(
        inbox,
        secrets=secrets,
        clock=clock,
        is_allowed=lambda name: is_served(rules, name),
        readiness=lambda: _problems(book, clock),
        poke=workers.poke,
        forge_calls=lambda: server.calls,
    )
    _dashboard(settings, app, book, server, clock)
    return Bot(app, workers)


def _dashboard(
    settings: Settings,
    app: FastAPI,
    book: SqlLedger,
    server: GitHubForge,
    clock: SystemClock,
) -> None:
    """The pages, where people can sign in; without an address and the app's OAuth client there are none."""
    if not (settings.public_url and settings.oauth_client_id and settings.oauth_client_secret):
        return
    from kfops.adapters.github.signing_in import GitHubVisitors, page_of
    from kfops.dashboard.app import mount
    from kfops.dashboard.door import Dashboard
    from kfops.dashboard.session import Cookies

    secret, url = settings.oauth_client_secret.get_secret_value(), settings.public_url.rstrip("/")
    page = page_of(settings.forge_url)
    # The cookies' key follows from the client's secret: the same on every replica, changed when that one is.
    key = hmac.new(secret.encode(), b"kfops dashboard cookies", hashlib.sha256).hexdigest()
    dashboard = Dashboard(
        book=book,
        access=server,
        visitors=GitHubVisitors(settings.oauth_client_id, secret, page_url=page, api_url=settings.forge_url),
        cookies=Cookies(key, clock, is_https=url.startswith("https://")),
        clock=clock,
        url=url,
        page_url=page,
        secrets=settings.secrets,
    )
    mount(app, dashboard)


def serve(settings: Settings) -> None:
    """Run the bot until it is told to stop."""
    import uvicorn

    from kfops.webhook.pace import steady

    with _alone(settings):
        bot = build(settings)
        if settings.ledger_url.startswith("sqlite"):
            # There is no other bot: users on a canary need not wait for the lease of one that was killed.
            bot.workers.ports.ledger.end_leases()
        bot.workers.start()
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((settings.host, settings.port))
        steady()
        try:
            uvicorn.Server(uvicorn.Config(bot.app, log_level="warning")).run(sockets=[listener])
        finally:
            bot.workers.stop()


def shutdown(settings: Settings) -> None:
    """End what outlives the bot on one machine: the serving stack and the tracking server. A cluster's goes on."""
    if settings.serving == "local":
        _local_serving(settings).shutdown()
    mlflow_server(settings).shutdown()


def _problems(book: SqlLedger, clock: SystemClock) -> list[str]:
    try:
        book.next_due()
        ahead = book.clock_offset(clock.now())
    except Unavailable as error:
        return [str(error)]
    if abs(ahead) > CLOCKS_AGREE:
        return [
            f"this machine's clock is {ahead.total_seconds():.0f} s ahead of the database's; set it right"
        ]
    return []


@contextmanager
def _alone(settings: Settings) -> Iterator[IO[str] | None]:
    """SQLite has one bot process; a second one is told so instead of working against the first."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    path = Path(settings.data_dir) / "bot.lock"
    with path.open("w") as lock:
        if settings.ledger_url.startswith("sqlite"):
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise SettingsProblem(f"another bot works on {settings.data_dir}; end it first") from error
        yield lock


@dataclass(frozen=True)
class _Remembering:
    """The inbox, which also tells the forge's adapter the names that webhooks bring."""

    book: SqlLedger
    server: GitHubForge

    def accept(self, arrivals: Sequence[Arrival]) -> None:
        self.book.accept(arrivals)
        for one in arrivals:
            if one.repository_id is not None and one.repository_name:
                self.server.remember(one.repository_id, one.repository_name, one.installation_id)
