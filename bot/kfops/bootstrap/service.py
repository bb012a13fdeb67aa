"""The whole bot: joined, started, ended."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from kfops.adapters.sql.ledger import SqlLedger
from kfops.adapters.system_clock import SystemClock
from kfops.bootstrap import engines, keeping, machine, outside, replicas
from kfops.bootstrap.alone import alone
from kfops.bootstrap.clocks import Clocks
from kfops.bootstrap.problem import SettingsProblem
from kfops.bootstrap.replicas import Replicas
from kfops.config.policy import OPEN_POLICY, Policy, is_served, load_policy
from kfops.ports.errors import Unavailable
from kfops.workflow.context import Options, Ports
from kfops.workflow.pruning import EVERY as PRUNED_EVERY
from kfops.workflow.recovery import EVERY, Recovery
from kfops.workflow.scheduling import EVERY as SCHEDULED_EVERY
from kfops.workflow.scheduling import Scheduling
from kfops.workflow.settling import settle
from kfops.workflow.workers import Repair, Workers

if TYPE_CHECKING:
    from fastapi import FastAPI

    from kfops.adapters.github.forge import GitHubForge
    from kfops.ports.ledger import Arrival
    from kfops.settings import Settings

SETTLING_S = 60
log = structlog.get_logger("kfops")


def policy(settings: Settings) -> Policy:
    if settings.policy_file is None:
        return OPEN_POLICY
    return load_policy(settings.policy_file.read_bytes(), filename=str(settings.policy_file))


@dataclass(frozen=True)
class Bot:
    """The whole bot, joined and not yet started."""

    app: FastAPI
    workers: Workers
    here: Replicas


def build(settings: Settings) -> Bot:
    from kfops.adapters.local.scoring.adapter import LocalScoring
    from kfops.webhook.app import create_app

    if not settings.webhook_secrets:
        raise SettingsProblem("no webhook secret: set KFOPS_WEBHOOK_SECRETS, such as '[\"a long secret\"]'")
    book, clock, owner = keeping.ledger(settings), SystemClock(), replicas.me()
    here = replicas.Replicas(book, clock, owner, replicas.own(settings))
    clocks = Clocks(book, clock)
    if not book.database.is_sqlite:
        here.enter()  # before anything is started that the other one has too
    server = outside.forge(settings)
    for repository_id, name, installation in book.repositories():
        server.remember(repository_id, name, installation)
    serves, counts = engines.serving_and_traffic(settings)
    installs = machine.environments(settings)
    ports = Ports(
        forge=server,
        ledger=book,
        environments=installs,
        pipelines=engines.pipelines(settings),
        models=engines.models(settings),
        scoring=LocalScoring(machine.workroom(settings), packages_of=installs.packages_of),
        serving=serves,
        traffic=counts,
        store=keeping.store(settings),
        clock=clock,
        images=machine.images(settings),
        data_files=keeping.data_files(settings),
    )
    rules = policy(settings)
    secrets = tuple(one.get_secret_value() for one in settings.webhook_secrets)
    options = Options(
        data_dir=settings.data_dir.absolute(),
        policy=rules,
        max_runs=settings.max_runs,
        secrets=settings.secrets,
    )
    inbox = _Remembering(book, server)
    recovery = Recovery(server, book, inbox.accept, clock, lambda name: is_served(rules, name), owner)
    scheduling = Scheduling(server, book, clock, rules, owner)
    repairs: tuple[Repair, ...] = (
        Repair("recovery", EVERY.total_seconds(), recovery.look),
        Repair("scheduling", SCHEDULED_EVERY.total_seconds(), scheduling.look),
        Repair("settling", SETTLING_S, lambda: clocks.agree() and settle(ports, options, owner)),
        Repair("pruning", PRUNED_EVERY.total_seconds(), machine.pruning(settings, book, installs).prune),
    )
    if not book.database.is_sqlite:
        repairs = (*repairs, Repair("presence", replicas.EVERY_S, here.renew))
    workers = Workers(ports, options, owner, settings.workers, repairs, clocks.agree)
    app = create_app(
        inbox,
        secrets=secrets,
        clock=clock,
        is_allowed=lambda name: is_served(rules, name),
        readiness=lambda: _problems(book, clocks),
        poke=workers.poke,
        forge_calls=lambda: server.calls,
    )
    outside.dashboard(settings, app, book, server, clock)
    return Bot(app, workers, here)


def serve(settings: Settings) -> None:
    """Run the bot until it is told to stop."""
    import uvicorn

    from kfops.logs import plain
    from kfops.webhook.pace import steady

    plain(settings.secrets)
    with alone(settings):
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
            bot.here.leave()


def _problems(book: SqlLedger, clocks: Clocks) -> list[str]:
    """Anybody who reaches the port may read these: what the database said, with its address, is for the log."""
    try:
        book.next_due()
        problem = clocks.problem()
    except Unavailable as error:
        log.warning("not ready", error=str(error))
        return ["the ledger does not answer; the bot's log says why"]
    return [problem] if problem else []


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
