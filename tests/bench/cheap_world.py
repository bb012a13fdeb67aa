"""An outside that answers at once, so that what is measured is the ledger and the workers."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

from kfops.adapters.sql.ledger import SqlLedger
from kfops.adapters.system_clock import SystemClock
from kfops.domain.pull_request import Repository
from kfops.domain.run import RunState, RunStatus
from kfops.workflow.context import Options, Ports
from kfops.workflow.workers import Workers


class QuickForge:
    """Takes comments, reactions and check runs, and shows nothing."""

    def repository(self, repository_id: int) -> Repository:
        return Repository(
            repository_id, f"ada/churn-{repository_id}", "main", False, "http://forge.invalid/ada"
        )

    def create_comment(self, *_: Any) -> int:
        return 1

    def edit_comment(self, *_: Any) -> None: ...

    def find_comment(self, *_: Any) -> None: ...

    def react(self, *_: Any) -> None: ...

    def report_check(self, *_: Any) -> int:
        return 1


class RunningForEver:
    """Every run is under way."""

    def status(self, _run_id: str) -> RunStatus:
        return RunStatus(RunState.RUNNING)


def workers(ledger: SqlLedger, folder: Path, count: int = 4) -> Workers:
    absent: dict[str, Any] = {one.name: None for one in fields(Ports)}
    there = {"forge": QuickForge(), "ledger": ledger, "pipelines": RunningForEver(), "clock": SystemClock()}
    return Workers(Ports(**absent | there), Options(data_dir=folder), "bench", count)
