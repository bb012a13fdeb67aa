"""Three replicas on one PostgreSQL, two of them killed at work: everything ends, nothing is done twice."""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest
import sqlalchemy as sa
from tests.support import door
from tests.support.in_memory.models import InMemoryModels
from tests.support.in_memory.pipelines import InMemoryPipelines
from tests.support.model_repository import CANARY, CONFIG, files, model
from tests.support.people import REPOSITORY, People
from tests.support.servers.forge_here import Postbox, app_key, served
from tests.support.servers.replica import Orders, kill, start
from tests.support.shared import Shared, share

from kfops.adapters.sql import tables
from kfops.adapters.sql.ledger import SqlLedger
from kfops.adapters.system_clock import SystemClock
from kfops.domain.operation import Outcome
from kfops.playground.playground import Playground
from kfops.playground.state import Delivery, Role
from kfops.webhook.app import create_app

pytestmark = pytest.mark.xdist_group("live")
LEASE_S, MODELS, SECRET = 6.0, 5, "a secret of the webhook's"
o = tables.operations.c


@dataclass(repr=False)
class Office(People):
    """People at the forge, and the ledger as anybody sees it who looks."""

    mail: list[Delivery]
    ledger: SqlLedger
    orders: Callable[[str], Orders]
    pipelines: Shared
    models: Shared
    replicas: dict[str, Popen[bytes]] = field(default_factory=dict)
    app: Any = None

    def deliver(self) -> None:
        while self.mail:
            assert asyncio.run(door.post(self.app, self.mail.pop(0))) == 202

    def begin(self, name: str) -> None:
        self.replicas[name] = start(self.orders(name))

    def held(self) -> dict[int, tuple[str, int]]:
        """(owner, fence) by operation."""
        with self.ledger.database.read() as connection:
            rows = connection.execute(sa.select(o.id, o.owner, o.fence).where(o.owner.is_not(None)))
            return {row.id: (row.owner, row.fence) for row in rows}

    def until(self, look: Callable[[], Any], what: str, within_s: float = 25) -> Any:
        ends = time.monotonic() + within_s
        while not (found := look()):
            assert time.monotonic() < ends, f"waited {within_s} s for {what}\n{self.describe()}"
            time.sleep(0.02)
        return found

    def describe(self) -> str:
        opened = self.ledger.open_operations(self.repository.id)
        logs = "\n".join(path.read_text()[-1500:] for path in Path(self.orders("").folder).glob("*.log"))
        return "\n".join(f"{one.id} {one.phase} {one.facts}" for one in opened) + logs

    def kill_at_work(self, name: str) -> dict[int, int]:
        """kill -9 while it holds operations; their fences."""
        process = self.replicas.pop(name)

        def stopped_at_work() -> dict[int, int]:
            process.send_signal(signal.SIGSTOP)
            held = {one: fence for one, (owner, fence) in self.held().items() if owner == name}
            if not held:
                process.send_signal(signal.SIGCONT)
            return held

        found: dict[int, int] = self.until(stopped_at_work, f"{name} to be at work")
        kill(process)
        return found


@pytest.fixture
def office(tmp_path: Path, postgres: Any) -> Iterator[Office]:
    clock = SystemClock()
    playground = Playground(tmp_path / "forge", clock=clock.now)
    for login in ("olga", "ana"):
        playground.add_user(login)
    repository = playground.create_repository(*REPOSITORY.split("/"))
    playground.set_role(REPOSITORY, "ana", Role.MAINTAIN)
    box = playground.outbox = Postbox(playground.state, playground.now)
    url = "http://bot.invalid/webhooks/github"
    app, _ = playground.register_app("kfops", app_key(), owner="olga", webhook_url=url, webhook_secret=SECRET)
    database = postgres.fresh()
    ledger = SqlLedger(database)
    with served(playground):

        def orders(name: str) -> Orders:
            return Orders(name, database, playground.api, app.id, app_key(), str(tmp_path), LEASE_S, 2)

        made = Office(
            playground,
            repository,
            box.waiting,
            ledger,
            orders,
            share(InMemoryPipelines(tmp_path / "runs", clock), tmp_path / "pipelines.state"),
            share(InMemoryModels(), tmp_path / "models.state"),
        )
        made.app = create_app(
            ledger,
            secrets=[SECRET],
            clock=clock,
            is_allowed=lambda _: True,
            readiness=list,
            poke=lambda: None,
        )
        made.commit_to_main(files((), CANARY, CONFIG))
        try:
            yield made
        finally:
            for process in made.replicas.values():
                kill(process)
            ledger.close()


def test_two_of_three_replicas_are_killed_at_work_and_nothing_is_lost_or_doubled(office, capsys):
    names = ("one", "two", "three")
    for name in names:
        office.begin(name)
    pulls = [
        office.pull_request("ana", model(roc_auc=0.7 + number / 100, steps={"train": 3.0}))
        for number in range(MODELS)
    ]
    asked = [office.comment(number, "/build_run") for number in pulls]
    office.until(lambda: office.pipelines.state.runs, "a run to begin")

    left: dict[int, tuple[int, float]] = {}
    for name in names[:2]:
        killed = office.kill_at_work(name)
        left |= {one: (fence, time.monotonic()) for one, fence in killed.items()}
    taken: dict[int, float] = {}

    def all_taken_over() -> bool:
        for one, (fence, since) in left.items():
            operation = office.ledger.operation(one)
            if one not in taken and operation and operation.fence > fence:
                taken[one] = time.monotonic() - since
        return len(taken) == len(left)

    office.until(all_taken_over, "the third to take over")
    office.until(lambda: not office.ledger.open_operations(office.repository.id), "everything to end")

    found = [office.ledger.operation(number + 1) for number in range(MODELS)]
    assert [one.outcome for one in found] == [Outcome.SUCCEEDED] * MODELS, office.describe()
    assert {one.subject.comment_id for one in found} == set(asked)
    assert sum(one.takeovers for one in found) >= len(left) > 0
    for number in pulls:
        comments = [office.repository.comments[one] for one in office.pull(number).comment_ids]
        assert len([one for one in comments if one.app_id is not None]) == 1
    checks = Counter(one.external_id for one in office.repository.check_runs.values())
    assert checks == {f"kfops-{one.id}": 1 for one in found}
    assert {one.status for one in office.repository.check_runs.values()} == {"completed"}
    assert set(office.pipelines.state.runs) == {f"op-{one.id}-1" for one in found}
    assert office.models.state.registered == MODELS
    trail = office.ledger.trail(office.repository.id)
    assert sorted(one.detail["operation"] for one in trail) == sorted(one.id for one in found)
    assert office.ledger.verify(office.repository.id) is None
    assert max(taken.values()) <= LEASE_S + 2
    with capsys.disabled():
        seconds = ", ".join(f"{one:.1f}" for one in sorted(taken.values()))
        print(
            f"\n{len(left)} operations of 2 killed replicas taken over after {seconds} s (lease {LEASE_S:g} s)"
        )
