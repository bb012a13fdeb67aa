"""Replicas on one PostgreSQL that all see a schedule's moment at the same time: one of them begins it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from tests.support.servers.postgres import PostgresServer

from kfops.adapters.sql.ledger import SqlLedger
from kfops.config.policy import OPEN_POLICY
from kfops.domain.operation import Kind
from kfops.domain.pull_request import Repository
from kfops.ports.ledger import Arrival
from kfops.workflow.scheduling import Scheduled, Scheduling, arrival_of_moment

pytestmark = pytest.mark.xdist_group("postgres")
SUNDAY = datetime(2026, 3, 8, 12, tzinfo=UTC)
RULES = b"version: 1\npipeline: {source: pipeline.py}\nmodel: churn\nschedule: {retrain: 0 3 * * 1}\n"


@dataclass
class Bot:
    """One replica: its own view of the forge and of the time, the common ledger."""

    ledger: SqlLedger
    owner: str
    at: datetime = SUNDAY

    def __post_init__(self) -> None:
        forge: Any = SimpleNamespace(
            repository=lambda number: Repository(number, "ann/churn", "main"), file=lambda *_: RULES
        )
        self.look = Scheduling(forge, self.ledger, self, OPEN_POLICY, self.owner).look

    def now(self) -> datetime:
        return self.at


@pytest.fixture
def bots(postgres: PostgresServer) -> Iterator[list[Bot]]:
    url = postgres.fresh()
    made = [Bot(SqlLedger(url), f"bot-{number}") for number in range(4)]
    made[0].ledger.accept([Arrival("d1", "push", "x", SUNDAY, 7, "ann/churn", "main")])
    made[0].look()
    yield made
    for one in made:
        one.ledger.close()


def together(bots: list[Bot], times: int) -> list[int]:
    """All of them look at the same time, so often."""
    gate = threading.Barrier(len(bots))

    def look(bot: Bot) -> int:
        gate.wait(10)
        return sum(bot.look() for _ in range(times))

    with ThreadPoolExecutor(len(bots)) as pool:
        return list(pool.map(look, bots))


def test_a_moment_is_begun_by_one_of_them_whose_turn_it_is(bots):
    for one in bots:
        one.at = SUNDAY + timedelta(hours=15, seconds=3)
    assert sum(together(bots, 3)) == 1
    (begun,) = bots[0].ledger.open_operations(7)
    assert (begun.kind, begun.subject.command["moment"]) == (Kind.RETRAIN, "2026-03-09T03:00:00+00:00")


def test_a_moment_is_there_once_even_where_all_of_them_think_it_is_their_turn(bots):
    """Turns are leases by clocks that may differ; the ledger's unique key does not care."""
    known = Scheduled("churn", "0 3 * * 1", "main", SUNDAY)
    moment = datetime(2026, 3, 9, 3, tzinfo=UTC)
    gate = threading.Barrier(len(bots))

    def begin(bot: Bot) -> None:
        gate.wait(10)
        bot.ledger.accept([arrival_of_moment(7, known, moment, moment)])

    with ThreadPoolExecutor(len(bots)) as pool:
        list(pool.map(begin, bots))
    assert len(bots[0].ledger.open_operations(7)) == 1
