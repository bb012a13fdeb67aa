"""The whole bot in one process, with the clock in the test's hand.

    with world(tmp_path) as here:
        n = here.pullrequest("ana", model(roc_auc=0.84))
        here.comment(n, "/build_run", by="ana")
        here.settle()
        assert "0.84" in here.reply(n)

Real: the playground's forge behind the real GitHub adapter, the webhook's door with its signatures, the inbox, the
ledger (SQLite in a file), every workflow and rule. In memory, with real state and under the same contracts as the
real ones: pipelines, models, scoring, serving and users' traffic. No thread works on its own: `turn` lets time pass
and takes the steps that are due, `settle` goes on until everything has ended, `walk` stops before each step, so that a
test can push, take a permission away or crash just there. Users call an environment `rps` times a second while a
rollout is under way there (at other times nobody would look at what they get; `ask` is a call of one's own).

People: ana and bo (maintain), cleo (write), dan (read), olga (the owner). The repository is `olga/churn`; its
production environment requires what `world(..., requires=("approval", …))` says, which is nothing by default.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.support import door
from tests.support.in_memory.models import InMemoryModels
from tests.support.in_memory.pipelines import InMemoryPipelines
from tests.support.in_memory.scoring import InMemoryScoring
from tests.support.in_memory.serving import InMemoryServing
from tests.support.model_repository import (
    CANARY,
    CONFIG,
    ENVIRONMENTS,
    behaviour_of,
    files,
    model,
    request,
)
from tests.support.people import REPOSITORY, People
from tests.support.quick_ledger import empty_ledger, open_ledger
from tests.support.servers.forge_here import Postbox, app_key, served, signing_key
from tests.support.weather import Weather

from kfops.adapters.github.auth import AppCredentials
from kfops.adapters.github.forge import GitHubForge
from kfops.adapters.local.environments.adapter import LocalEnvironments
from kfops.adapters.local.sandbox import NoSandbox
from kfops.adapters.local.store import Store
from kfops.adapters.sql.ledger import SqlLedger
from kfops.domain.canary_facts import Readiness
from kfops.domain.environment import EnvironmentKey
from kfops.domain.operation import Operation
from kfops.playground.playground import Playground
from kfops.playground.state import CheckRun, Delivery, Deployment, Role
from kfops.ports.ledger import Arrival
from kfops.ports.serving import Served
from kfops.webhook.app import create_app
from kfops.workflow.context import Options, Ports
from kfops.workflow.reconcile import reconcile_one
from kfops.workflow.settling import settle

__all__ = ["World", "model", "world"]

SECRET = "a secret of the webhook's"
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
PEOPLE = {"ana": Role.MAINTAIN, "bo": Role.MAINTAIN, "cleo": Role.WRITE, "dan": Role.READ}


@dataclass
class Hand:
    """The clock, which only the test moves."""

    at: datetime = NOON

    def now(self) -> datetime:
        return self.at


@dataclass(repr=False)
class World(People):
    """`mail` are the webhooks that have not arrived yet; with `is_mail_held` they wait until the test lets them go.

    `forge` and `ledger` are the bot's, new after each `restart`; `worker` counts its lives.
    """

    folder: Path
    clock: Hand
    mail: list[Delivery]
    weather: Weather
    app_id: int
    pipelines: InMemoryPipelines
    models: InMemoryModels
    serving_engine: InMemoryServing
    rps: float = 20.0
    asked: int = 0  # users' requests so far
    failed: int = 0  # those that a model did not answer with 200
    is_mail_held: bool = False
    worker: int = 0
    opened: tuple[Operation, ...] = ()  # those that were open when `walk` stopped last
    forge: GitHubForge = field(init=False)
    ledger: SqlLedger = field(init=False)
    ports: Ports = field(init=False)
    unwatched: Ports = field(init=False)  # the same, where somebody watches them
    options: Options = field(init=False)
    _door: Any = None
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)

    # What time does.

    def turn(self, passes: timedelta = timedelta(0)) -> int:
        """Time passes with users calling, webhooks arrive, and every step that is due is taken; how many."""
        self.wait(passes)
        taken = 0
        while self.step():
            taken += 1
            assert taken < 1000, self.describe()
        return taken

    def step(self) -> bool:
        """One step of one operation; False when none is due."""
        self.deliver()
        return reconcile_one(self.ports, self.options, f"worker-{self.worker}")

    def walk(self, limit: timedelta = timedelta(days=2)) -> Iterator[int]:
        """On until nothing is open any more, stopping before each step; its number, from 1."""
        ends, number = self.clock.at + limit, 0
        while True:
            self.deliver()
            self.opened = self.open_operations()
            if not self.opened:
                return
            number += 1
            yield number
            if self.step():
                continue
            assert self.clock.at < ends, f"not settled within {limit}:\n{self.describe()}"
            self.wait(self._until_due())

    def settle(self, limit: timedelta = timedelta(days=2)) -> int:
        """Until every operation has ended; how many steps it took. Fails when the limit is over before."""
        return sum(1 for _ in self.walk(limit))

    def sweep(self) -> int:
        """What ended operations left outside in no final state is looked at, where it is time for that; how many."""
        return settle(self.ports, self.options, "sweeper")

    def wait(self, passes: timedelta) -> None:
        """Time passes, and users call meanwhile (not more than 40 times)."""
        ends = self.clock.at + passes
        called = [name for name in ENVIRONMENTS if self.serving(name).candidate.readiness is Readiness.READY]
        calls = min(int(passes.total_seconds() * self.rps), 40) if called else 0
        for call in range(calls):
            self.clock.at += passes / calls
            for name in called:
                self.ask(call, name)
        self.clock.at = ends

    def ask(self, tenure: int, environment: str = "production") -> int:
        """A user's request; the status it got. 503 while nothing serves counts as no failure of a model."""
        status, version = self.serving_engine.send(self.place(environment), request([tenure % 9 + 1]))
        self.asked += version is not None
        self.failed += version is not None and status != 200
        return status

    def deliver(self) -> None:
        """Webhooks that wait arrive, in order."""
        if not self.is_mail_held:
            while self.mail:
                assert self.receive(self.mail.pop(0)) == 202

    def receive(self, delivery: Delivery) -> int:
        """One signed webhook through the real door; the status of the answer."""
        return self._loop.run_until_complete(door.post(self._door, delivery))

    def receive_together(self, deliveries: Sequence[Delivery]) -> list[int]:
        """Several at once, as a forge sends them; the statuses of the answers."""

        async def all_of_them() -> list[int]:
            return await asyncio.gather(*(door.post(self._door, one) for one in deliveries))

        return self._loop.run_until_complete(all_of_them())

    def restart(self) -> None:
        """The process is gone and another one comes up: only the ledger's file and the outside are still there."""
        if self._door is not None:
            self.forge.close()
            self.ledger.close()
        self.worker += 1
        self.ledger = open_ledger(self.folder / "bot" / "ledger.db")
        self.forge = GitHubForge(
            AppCredentials(self.app_id, signing_key()),
            now=self.clock.now,
            base_url=self.playground.api,
            cache_dir=self.folder / "bot" / "git",
            sleep=lambda _: None,
            timeout_s=60,  # a busy machine is no bad weather
        )
        for repository_id, name, installation in self.ledger.repositories():
            self.forge.remember(repository_id, name, installation)
        self.ports = Ports(
            forge=self.forge,
            ledger=self.ledger,
            environments=LocalEnvironments(
                self.folder / "bot" / "environments", NoSandbox(), is_allowed=False
            ),
            pipelines=self.pipelines,
            models=self.models,
            scoring=InMemoryScoring(),
            serving=self.serving_engine,
            traffic=self.serving_engine,
            store=Store(self.folder / "bot" / "models"),
            clock=self.clock,
        )
        self.options = Options(data_dir=self.folder / "bot", secrets=(SECRET,))
        if self._door is None:
            self._door = create_app(
                _Inbox(self),
                secrets=[SECRET],
                clock=self.clock,
                is_allowed=lambda _: True,
                readiness=list,
                poke=lambda: None,
            )

    # What is so.

    def replies(self, number: int) -> list[str]:
        """The bot's comments on the pull request, oldest first."""
        found = (self.repository.comments[one] for one in self.pull(number).comment_ids)
        return [one.body for one in found if one.app_id is not None]

    def reply(self, number: int) -> str:
        return self.replies(number)[-1]

    def reactions(self, comment: int) -> list[str]:
        return [mark.content for mark in self.repository.comments[comment].reactions.values()]

    def place(self, environment: str) -> EnvironmentKey:
        return EnvironmentKey(self.repository.id, "churn", environment)

    def serving(self, environment: str = "production") -> Served:
        return self.serving_engine.observe(self.place(environment))

    def deployments(self, environment: str = "production") -> list[Deployment]:
        return [one for one in self.repository.deployments.values() if one.environment == environment]

    def check_runs(self, number: int) -> list[CheckRun]:
        head = self.pull(number).head_sha
        return [one for one in self.repository.check_runs.values() if one.head_sha == head]

    def operations(self) -> list[Operation]:
        """All there ever were, oldest first."""
        found: list[Operation] = []
        while (one := self.ledger.operation(len(found) + 1)) is not None:
            found.append(one)
        return found

    def operation(self, comment: int) -> Operation:
        """The first of a comment's."""
        return next(one for one in self.operations() if one.subject.comment_id == comment)

    def open_operations(self) -> tuple[Operation, ...]:
        return self.ledger.open_operations(self.repository.id)

    def describe(self) -> str:
        return "\n".join(
            f"{one.id} /{one.kind} {one.phase} due {one.due_at:%H:%M:%S} {one.outcome or ''} {one.reason_code or ''}"
            for one in self.operations()
        )

    def shut(self) -> None:
        self.forge.close()
        self.ledger.close()
        self._loop.close()

    def _until_due(self) -> timedelta:
        """Until the next one is due; what is due already and cannot be claimed waits for a lease to run out."""
        pauses = [one.due_at - self.clock.at for one in self.opened if one.due_at > self.clock.at]
        return min([*pauses, *([timedelta(seconds=5)] if len(pauses) < len(self.opened) else [])])


@contextmanager
def world(
    folder: Path,
    *,
    requires: Sequence[str] = (),
    canary: str = CANARY,
    config: str = CONFIG,
    clock: Hand | None = None,
) -> Iterator[World]:
    """A repository with rules on its main branch, the bot as its app, and nothing deployed yet."""
    clock = clock or Hand()
    playground = Playground(folder / "forge", clock=clock.now)
    for login in ("olga", *PEOPLE):
        playground.add_user(login)
    repository = playground.create_repository(*REPOSITORY.split("/"))
    for login, role in PEOPLE.items():
        playground.set_role(REPOSITORY, login, role)
    box = playground.outbox = Postbox(playground.state, playground.now)
    app, _ = playground.register_app(
        "kfops",
        app_key(),
        owner="olga",
        webhook_url="http://bot.invalid/webhooks/github",
        webhook_secret=SECRET,
    )
    (folder / "bot").mkdir()
    empty_ledger(folder / "bot" / "ledger.db")
    serving = InMemoryServing(clock)
    with served(playground) as weather:
        made = World(
            playground,
            repository,
            folder,
            clock,
            box.waiting,
            weather,
            app.id,
            InMemoryPipelines(folder / "runs", clock),
            InMemoryModels(),
            serving,
        )
        serving.behave = behaviour_of
        made.restart()
        made.commit_to_main(files(requires, canary, config))
        try:
            yield made
        finally:
            made.shut()


@dataclass(frozen=True)
class _Inbox:
    """The present process's ledger, which also tells the forge's adapter the names that webhooks bring."""

    world: World

    def accept(self, arrivals: Sequence[Arrival]) -> None:
        self.world.ledger.accept(arrivals)
        for one in arrivals:
            if one.repository_id is not None and one.repository_name:
                self.world.forge.remember(one.repository_id, one.repository_name, one.installation_id)
