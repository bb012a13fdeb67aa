"""Several replicas on one PostgreSQL: they share the work, agree on the schema, and wait out a restart of it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import httpx
import pytest
import sqlalchemy as sa
from tests.support.servers.postgres import PostgresServer

from kfops.adapters.sql.ledger import SqlLedger
from kfops.adapters.system_clock import SystemClock
from kfops.domain.operation import Kind, Operation, Outcome, Subject
from kfops.domain.pull_request import Actor
from kfops.ports.errors import Unavailable
from kfops.ports.ledger import Arrival, NewOperation, Saved
from kfops.webhook.app import create_app
from kfops.webhook.signature import sign

pytestmark = pytest.mark.xdist_group("postgres")
NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
LEASE = timedelta(seconds=30)


@pytest.fixture
def replicas(postgres: PostgresServer) -> Iterator[list[SqlLedger]]:
    url = postgres.fresh()
    made = [SqlLedger(url) for _ in range(3)]
    yield made
    for ledger in made:
        ledger.close()


def arrival(comment: int, key: str) -> Arrival:
    subject = Subject(7, 1, comment, 0, {"name": "build_run"}, Actor(1, "ann"), "hash", NOW)
    new = NewOperation(subject, Kind.BUILD_RUN, key)
    return Arrival(f"d{comment}", "issue_comment", "d", NOW, 7, "ann/churn", "main", operations=(new,))


def end(ledger: SqlLedger, operation: Operation) -> None:
    ledger.save(
        operation,
        Saved("ended", {}, NOW, outcome=Outcome.SUCCEEDED, reason_code="done", ended_at=NOW),
    )


def test_replicas_share_the_work_and_keep_each_line_in_order(replicas):
    replicas[0].accept([arrival(number, f"run:7:{number % 5}") for number in range(60)])
    worked: list[tuple[str, int]] = []
    at_work, most = set[str](), 0
    guard = threading.Lock()

    def work(ledger: SqlLedger, owner: str) -> None:
        nonlocal most
        idle = 0
        while idle < 20:
            operation = ledger.claim(owner, NOW, LEASE)
            if operation is None:
                idle += 1
                time.sleep(0.005)
                continue
            idle = 0
            with guard:
                assert operation.serial_key not in at_work
                at_work.add(operation.serial_key)
                most = max(most, len(at_work))
                worked.append((operation.serial_key, operation.id))
            time.sleep(0.005)
            with guard:
                at_work.remove(operation.serial_key)
            end(ledger, operation)

    with ThreadPoolExecutor(6) as pool:
        done = [pool.submit(work, ledger, f"{index}") for index, ledger in enumerate(replicas * 2)]
    for one in done:
        one.result()

    assert len(worked) == len(set(worked)) == 60
    assert most > 1
    for key in {key for key, _ in worked}:
        line = [number for of, number in worked if of == key]
        assert line == sorted(line)


def test_what_several_doors_take_in_at_once_is_in_one_order(replicas):
    """Numbers are given before a transaction ends: without turns, a later one could be seen, and worked on, first."""

    def deliver(ledger: SqlLedger, numbers: range) -> None:
        for number in numbers:
            ledger.accept([arrival(number, "run:7:1")])

    with ThreadPoolExecutor(3) as pool:
        for index, ledger in enumerate(replicas):
            pool.submit(deliver, ledger, range(index * 100, index * 100 + 30))
    seen = []
    while (operation := replicas[0].claim("one", NOW, LEASE)) is not None:
        assert replicas[1].claim("other", NOW, LEASE) is None
        seen.append(operation.id)
        end(replicas[0], operation)

    assert len(seen) == 90
    assert seen == sorted(seen)


def test_the_same_deliveries_at_all_doors_are_one(replicas):
    with ThreadPoolExecutor(3) as pool:
        for ledger in replicas:
            pool.submit(ledger.accept, [arrival(number, f"run:7:{number}") for number in range(50)])

    assert [one.subject.comment_id for one in replicas[0].open_operations(7)] == list(range(50))


def test_replicas_that_start_together_migrate_once(postgres):
    url = postgres.bare()
    code = "import sys; from kfops.adapters.sql.ledger import SqlLedger; SqlLedger(sys.argv[1]).migrate()"
    starting = [subprocess.Popen([sys.executable, "-c", code, url], env=environment()) for _ in range(3)]
    assert [one.wait(60) for one in starting] == [0, 0, 0]

    ledger = SqlLedger(url)
    ledger.accept([arrival(1, "run:7:1")])
    assert ledger.claim("one", NOW, LEASE) is not None
    assert abs(ledger.clock_offset(SystemClock().now())) < timedelta(seconds=1)
    ledger.close()


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT])
def test_a_restart_of_the_database_is_waited_out(postgres, replicas, how):
    ledger = replicas[0]
    ledger.accept([arrival(number, f"run:7:{number}") for number in range(4)])
    operation = ledger.claim("one", NOW, LEASE)
    assert operation is not None
    ledger.effect_about(operation, "run", NOW)

    with ThreadPoolExecutor(3) as pool:
        postgres.stop(how)
        waiting = [
            pool.submit(ledger.effect_done, operation, "run", "run-1", NOW),
            pool.submit(ledger.accept, [arrival(9, "run:7:9")]),
            pool.submit(ledger.operation, operation.id),
        ]
        time.sleep(0.3)
        postgres.start()
        for one in waiting:
            one.result(20)

    found = ledger.operation(operation.id)
    assert found is not None
    assert (found.fence, found.identity("run")) == (operation.fence, "run-1")
    assert len(replicas[1].open_operations(7)) == 5
    end(ledger, operation)


def test_r2_a_database_that_stays_away_is_said_in_time_for_the_forge(postgres):
    from kfops.adapters.sql.database import PATIENCE_S, Database

    database = Database(postgres.fresh(), patience_s=0.3)
    with database.read() as connection:
        connection.execute(sa.text("SELECT 1"))
    postgres.stop()
    try:
        began = time.monotonic()
        with pytest.raises(Unavailable, match="the ledger cannot be written now"), database.write():
            raise AssertionError("there is no database to write to")
        assert time.monotonic() - began < 3
    finally:
        postgres.start()
    database.close()
    assert PATIENCE_S < 10


def test_r2_the_door_says_so_before_the_forge_gives_up_and_takes_the_delivery_when_it_comes_again(
    postgres, replicas
):
    class Clock:
        def now(self) -> datetime:
            return NOW

    app = create_app(
        replicas[0],
        secrets=["secret"],
        clock=Clock(),
        is_allowed=lambda _: True,
        readiness=list,
        poke=lambda: None,
    )
    body = b'{"zen": "Keep it logically awesome."}'
    headers = {
        "X-GitHub-Event": "ping",
        "X-GitHub-Delivery": "1",
        "X-Hub-Signature-256": sign(body, "secret"),
    }

    async def deliver() -> int:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://bot") as client:
            return (await client.post("/webhooks/github", content=body, headers=headers)).status_code

    postgres.stop()
    began = time.monotonic()
    try:
        assert asyncio.run(deliver()) == 503
    finally:
        postgres.start()
    assert time.monotonic() - began < 10
    assert asyncio.run(deliver()) == 202


def test_r2_a_server_that_only_reads_since_a_failover_is_away_until_it_writes_again(postgres, replicas):
    ledger = replicas[0]
    ledger.accept([arrival(1, "run:7:1")])
    before = _backend(ledger)
    _set(postgres, "SET default_transaction_read_only = on")
    try:
        # What is stored already changes nothing as long as the server has not read its settings again.
        assert _within(20, lambda: _is_unavailable(lambda: ledger.accept([arrival(1, "run:7:1")])))
        assert _is_unavailable(lambda: ledger.accept([arrival(2, "run:7:2")]))
        assert _is_unavailable(lambda: ledger.claim("one", NOW, LEASE))
        assert _backend(ledger) != before  # a new connection may reach another server
        assert len(ledger.open_operations(7)) == 1
    finally:
        _set(postgres, "RESET default_transaction_read_only")
    assert _within(20, lambda: not _is_unavailable(lambda: ledger.accept([arrival(2, "run:7:2")])))
    assert len(ledger.open_operations(7)) == 2


def _backend(ledger: SqlLedger) -> int:
    with ledger.database.read() as connection:
        return int(connection.execute(sa.text("SELECT pg_backend_pid()")).scalar_one())


def _set(postgres: PostgresServer, what: str) -> None:
    postgres.run(f"ALTER SYSTEM {what}")
    postgres.run("SELECT pg_reload_conf()")


def _is_unavailable(do: Callable[[], object]) -> bool:
    try:
        do()
    except Unavailable:
        return True
    return False


def _within(seconds: float, is_so: Callable[[], bool]) -> bool:
    ends = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > ends:
            return False
        time.sleep(0.05)
    return True


def test_a_transaction_that_is_cut_off_is_unavailable_and_changed_nothing(postgres, replicas):
    ledger = replicas[0]

    def cut_off() -> None:
        with ledger.database.write() as connection:
            connection.execute(sa.text("INSERT INTO cursors (name, value) VALUES ('a', 'b')"))
            postgres.run(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname LIKE 'ledger%'"
            )
            connection.execute(sa.text("SELECT 1"))

    with pytest.raises(Unavailable):
        cut_off()

    assert ledger.cursor("a") is None


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (
            "mysql://somewhere/ledger",
            "expected postgresql://USER@HOST/NAME or sqlite:///FILE; found mysql://",
        ),
        ("ledger", "expected postgresql://USER@HOST/NAME or sqlite:///FILE"),
    ],
)
def test_an_address_that_is_none_is_said(url, said):
    with pytest.raises(ValueError, match=said.replace("?", ".")):
        SqlLedger(url)
