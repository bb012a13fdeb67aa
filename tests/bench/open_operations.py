"""Ten thousand open operations: how late the due ones are looked at, and what looking costs."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from kfops.adapters.sql import tables as t
from kfops.adapters.sql.ledger import SqlLedger
from kfops.adapters.system_clock import SystemClock
from kfops.domain.facts import RunFacts, dump
from kfops.domain.operation import Kind, Operation
from tests.bench.cheap_world import workers
from tests.bench.figures import Figure, median, note, percentile, show, title

CLOCK = SystemClock()


@dataclass
class Watched(SqlLedger):
    """The real ledger; each claim notes how long its operation was due."""

    url: str
    late: list[float] = field(default_factory=list)
    cost: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(self.url)

    def claim(self, owner: str, now: datetime, lease: timedelta) -> Operation | None:
        began = time.perf_counter()
        operation = super().claim(owner, now, lease)
        self.cost.append(time.perf_counter() - began)
        if operation is not None:
            self.late.append((CLOCK.now() - operation.due_at).total_seconds())
        return operation


def run(seconds: float = 20, opened: int = 10_000, followed: int = 50, warm_up_s: float = 3) -> list[Figure]:
    title(f"{opened:,} open operations for {seconds:g} s: {followed} runs looked at every second,")
    note("half of the others behind another of their pull request, half held for an hour")
    with tempfile.TemporaryDirectory(prefix="kfops-bench-") as name:
        folder = Path(name)
        ledger = Watched(f"sqlite:///{folder / 'ledger.db'}")
        ledger.migrate()
        _fill(ledger, opened, followed)
        team = workers(ledger, folder)
        team.start()
        try:
            time.sleep(warm_up_s)
            ledger.late.clear()
            ledger.cost.clear()
            used, began = time.process_time(), time.monotonic()
            time.sleep(seconds)
            took = time.monotonic() - began
            used = time.process_time() - used
            late, cost = list(ledger.late), list(ledger.cost)
        finally:
            team.stop()
            ledger.close()
    figures = [
        Figure("steps", len(late) / took, "1/s", followed * 0.8, at_least=True),
        Figure("lag, median", median(late), "s"),
        Figure("lag, p99", percentile(late, 0.99), "s", 1, detail=f"worst {max(late):.2f}"),
        Figure("looking for what is due, median", 1000 * median(cost), "ms", detail=f"{len(cost)} times"),
        Figure(
            "CPU of the process", 100 * used / took, "%", detail=f"{1000 * used / len(late):.1f} ms a step"
        ),
    ]
    show(figures)
    return figures


def _fill(ledger: SqlLedger, opened: int, followed: int) -> None:
    now = CLOCK.now()
    rows = [_operation(number, followed, opened, now) for number in range(1, opened + 1)]
    with ledger.database.write() as connection:
        connection.execute(sa.insert(t.commands), [_command(row, now) for row in rows])
        connection.execute(sa.insert(t.operations), rows)


def _operation(number: int, followed: int, opened: int, now: datetime) -> dict[str, Any]:
    """The first ones are at work; the middle waits in line behind them; the rest is held for an hour."""
    middle = (opened - followed) // 2 + followed
    line = number if number <= followed or number > middle else number % followed + 1
    at_work = number <= followed
    return {
        "id": number,
        "command_id": number,
        "kind": Kind.BUILD_RUN.value,
        "repository_id": line % 200 + 1,
        "pull_request": line,
        "serial_key": f"run:{line % 200 + 1}:{line}",
        "phase": "follow" if at_work or number > middle else "accepted",
        "facts": dump(RunFacts(model="churn", run_id=f"run-{number}", steps=("validate", "train"))),
        "created_at": now,
        "due_at": now + timedelta(hours=1) if number > middle else now,
        "fence": 0,
        "waiting": not at_work and number <= middle,
    }


def _command(row: dict[str, Any], now: datetime) -> dict[str, Any]:
    return {
        "id": row["command_id"],
        "repository_id": row["repository_id"],
        "comment_id": row["id"],
        "idx": 0,
        "pull_request": row["pull_request"],
        "command": {"kind": "build_run"},
        "author_id": 1,
        "author_login": "ada",
        "author_is_human": True,
        "body_hash": "0" * 64,
        "received_at": now,
        "head_sha": "0" * 40,
        "base_sha": "0" * 40,
        "base_ref": "main",
        "is_late": False,
        "is_recovered": False,
    }
