"""Operations a second through the ledger: taken in, claimed, stepped four times, ended. Every commit is on the disk."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from kfops.adapters.sql.ledger import SqlLedger
from kfops.adapters.system_clock import SystemClock
from kfops.domain.operation import Kind, Outcome, Subject
from kfops.domain.pull_request import Actor
from kfops.ports.ledger import Arrival, NewOperation, Saved
from tests.bench.figures import Figure, disk_ms, median, note, show, spread, title
from tests.support.servers import postgres

STEPS = 4
LEASE = timedelta(seconds=30)
CLOCK = SystemClock()
DURABLE = ("listen_addresses=", "max_connections=200", "shared_buffers=128MB")


def arrival(number: int, repositories: int = 50, *, command: str = "build_run", key: str = "") -> Arrival:
    """A comment with one command, on a pull request of its own in one of so many repositories."""
    repository = number % repositories + 1
    subject = Subject(
        repository_id=repository,
        pull_request=number,
        comment_id=number,
        index=0,
        command={"kind": command},
        author=Actor(1, "ada", is_human=True),
        body_hash="0" * 64,
        received_at=CLOCK.now(),
        head_sha="0" * 40,
        base_sha="0" * 40,
        base_ref="main",
    )
    line = key or f"run:{repository}:{number}"
    return Arrival(
        delivery_id=f"delivery-{number}",
        event="issue_comment",
        body_digest="0" * 64,
        received_at=CLOCK.now(),
        repository_id=repository,
        repository_name=f"ada/churn-{repository}",
        default_branch="main",
        pull_request=number,
        operations=(NewOperation(subject, Kind(command), line),),
    )


def run(rounds: int = 3, operations: int = 200) -> list[Figure]:
    title(f"The ledger: {operations} operations of {STEPS} steps, {rounds} rounds")
    figures = on_sqlite(rounds, operations)
    found = postgres.binaries()
    if found is None:
        note(f"PostgreSQL is left out: {postgres.WHY}.")
        return figures
    with postgres.running(found, settings=DURABLE) as server:
        figures += _rounds("PostgreSQL, one worker", server.fresh, rounds, operations, 1)
        figures += _rounds("PostgreSQL, four workers", server.fresh, rounds, operations, 4)
    return figures


def on_sqlite(rounds: int, operations: int) -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="kfops-bench-") as name:
        folder = Path(name)
        note(f"fdatasync of 8 kB on this disk: {disk_ms(folder):.2f} ms (median)")
        figures = _rounds("SQLite, one worker", lambda: _sqlite(folder), rounds, operations, 1)
        return figures + _rounds("SQLite, four workers", lambda: _sqlite(folder), rounds, operations, 4)


def _sqlite(folder: Path) -> str:
    return f"sqlite:///{tempfile.mkdtemp(dir=folder)}/ledger.db"


def _rounds(name: str, url: Callable[[], str], rounds: int, operations: int, workers: int) -> list[Figure]:
    rates, steps, cpu = [], [], []
    for _ in range(rounds):
        ledger = SqlLedger(url())
        ledger.migrate()
        used, began = time.process_time(), time.perf_counter()
        ledger.accept([arrival(number) for number in range(1, operations + 1)])
        threads = [threading.Thread(target=_work, args=(ledger, f"worker-{n}")) for n in range(workers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took = time.perf_counter() - began
        rates.append(operations / took)
        steps.append(operations * STEPS / took)
        cpu.append(1000 * (time.process_time() - used) / (operations * STEPS))
        ledger.close()
    figures = [
        Figure(f"{name}: operations", median(rates), "1/s", detail=spread(rates, 0)),
        Figure(f"{name}: steps", median(steps), "1/s", detail=f"{median(cpu):.2f} ms of CPU each"),
    ]
    show(figures)
    return figures


def _work(ledger: SqlLedger, owner: str) -> None:
    """As `kfops.workflow.reconcile` does, without anything between claiming and saving but one named effect."""
    while (operation := ledger.claim(owner, CLOCK.now(), LEASE)) is not None:
        step = int(operation.phase) if operation.phase.isdecimal() else 0
        ended = step + 1 == STEPS
        if step == 0:
            ledger.effect_about(operation, "comment", CLOCK.now())
            ledger.effect_done(operation, "comment", "1", CLOCK.now())
        saved = Saved(str(step + 1), {"step": step}, CLOCK.now())
        if ended:
            saved = replace(saved, phase="ended", outcome=Outcome.SUCCEEDED, ended_at=CLOCK.now())
        ledger.save(operation, saved)
