"""Leases are compared by each replica's own clock: one whose clock is off must not think that the others are dead."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kfops.adapters.sql.ledger import SqlLedger
from kfops.adapters.system_clock import SystemClock
from kfops.bootstrap.clocks import Clocks
from kfops.domain.operation import Kind, Operation, Subject
from kfops.domain.pull_request import Actor
from kfops.ports.ledger import Arrival, NewOperation
from kfops.workflow.context import Options, Ports
from kfops.workflow.workers import Workers

pytestmark = pytest.mark.xdist_group("postgres")
LEASE = timedelta(seconds=30)


@dataclass
class Off:
    """A clock that is so much ahead."""

    ahead: timedelta

    def now(self) -> datetime:
        return SystemClock().now() + self.ahead


@dataclass
class Replica:
    """One replica's workers; `worked` is what they claimed."""

    clock: Off
    clocks: Clocks
    worked: list[Operation]

    def works_within(self, seconds: float, how_many: int) -> bool:
        return _within(seconds, lambda: len(self.worked) >= how_many)


def _within(seconds: float, is_so: Callable[[], bool]) -> bool:
    ends = time.monotonic() + seconds
    while not is_so() and time.monotonic() < ends:
        time.sleep(0.02)
    return is_so()


@pytest.fixture
def ledger(postgres: Any) -> Iterator[SqlLedger]:
    made = SqlLedger(postgres.fresh())
    yield made
    made.close()


@pytest.fixture
def replica(ledger: SqlLedger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Replica]:
    clock = Off(timedelta(0))
    made = Replica(clock, Clocks(ledger, clock, every_s=0.1), [])
    monkeypatch.setattr("kfops.workflow.workers.work_on", lambda operation, *_: made.worked.append(operation))
    ports: dict[str, Any] = {one.name: None for one in fields(Ports)}
    ports |= {"ledger": ledger, "clock": clock}
    workers = Workers(Ports(**ports), Options(data_dir=tmp_path), "b", 2, (), made.clocks.agree)
    workers.start()
    yield made
    workers.stop()


def asked(ledger: SqlLedger, comment: int) -> None:
    now = SystemClock().now()
    subject = Subject(7, 1, comment, 0, {"name": "help"}, Actor(1, "ann"), "hash", now)
    new = NewOperation(subject, Kind.HELP, f"signal:7:{comment}:0")
    ledger.accept(
        [Arrival(f"d{comment}", "issue_comment", "d", now, 7, "ann/churn", "main", operations=(new,))]
    )


@pytest.mark.parametrize("ahead", [timedelta(seconds=40), timedelta(seconds=-40)])
def test_r14_a_replica_whose_clock_is_off_claims_nothing_until_it_is_right(ledger, replica, capsys, ahead):
    replica.clock.ahead = ahead
    assert _within(20, lambda: not replica.clocks.agree())
    asked(ledger, 1)
    held = ledger.claim("a", SystemClock().now(), LEASE)
    assert held is not None
    asked(ledger, 2)
    assert not replica.works_within(1.0, 1)
    assert f"{ahead.total_seconds():.0f} s ahead of the database's" in replica.clocks.problem()

    replica.clock.ahead = timedelta(seconds=2)
    assert replica.works_within(20, 1)
    assert [one.subject.comment_id for one in replica.worked] == [2]
    found = ledger.operation(held.id)
    assert found is not None
    assert (found.fence, found.takeovers) == (held.fence, 0)
    said = capsys.readouterr().out
    assert said.count("nothing is claimed") == said.count("the clocks agree again") == 1


def test_a_ledger_of_one_machine_has_one_clock(tmp_path):
    ledger = SqlLedger(f"sqlite:///{tmp_path}/ledger.db")
    assert Clocks(ledger, Off(timedelta(days=1))).agree()
    ledger.close()
