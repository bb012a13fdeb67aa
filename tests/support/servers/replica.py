"""One of several replicas, as a process: the real ledger, forge and workers; the engines are shared in files.

`python -m tests.support.servers.replica FILE`, where FILE is JSON of `Orders`. It ends when its standard input does.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from subprocess import PIPE, Popen

from tests.support.in_memory.scoring import InMemoryScoring
from tests.support.in_memory.serving import InMemoryServing
from tests.support.shared import Shared

from kfops.adapters.github.auth import AppCredentials
from kfops.adapters.github.forge import GitHubForge
from kfops.adapters.local.environments.adapter import LocalEnvironments
from kfops.adapters.local.sandbox import NoSandbox
from kfops.adapters.local.store import Store
from kfops.adapters.sql.ledger import SqlLedger
from kfops.adapters.system_clock import SystemClock
from kfops.workflow.context import Options, Ports
from kfops.workflow.settling import settle
from kfops.workflow.workers import Repair, Workers

CALL_S = 4.0  # less than what is left of a lease that is renewed after a third of it


@dataclass(frozen=True)
class Orders:
    name: str
    database: str
    forge: str
    app_id: int
    app_key: str
    folder: str
    lease_s: float
    workers: int


def start(orders: Orders) -> Popen[bytes]:
    file = Path(orders.folder) / f"{orders.name}.json"
    file.write_text(json.dumps(asdict(orders)))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    log = file.with_suffix(".log").open("wb")
    with log:
        return Popen(
            [sys.executable, "-m", "tests.support.servers.replica", str(file)],
            stdin=PIPE,
            stdout=log,
            stderr=log,
            env=environment,
        )


def kill(process: Popen[bytes]) -> None:
    """kill -9: no handler runs, nothing is tidied up."""
    process.kill()
    process.wait(10)
    if process.stdin:
        process.stdin.close()


def main(orders: Orders) -> None:
    folder, clock = Path(orders.folder), SystemClock()
    ledger = SqlLedger(orders.database)
    forge = GitHubForge(
        AppCredentials(orders.app_id, orders.app_key),
        now=clock.now,
        base_url=orders.forge,
        cache_dir=folder / orders.name,
        timeout_s=CALL_S,
    )
    for repository_id, name, installation in ledger.repositories():
        forge.remember(repository_id, name, installation)
    serving = InMemoryServing(clock)
    ports = Ports(
        forge=forge,
        ledger=ledger,
        environments=LocalEnvironments(folder / "environments", NoSandbox(), is_allowed=False),
        pipelines=Shared(folder / "pipelines.state"),
        models=Shared(folder / "models.state"),
        scoring=InMemoryScoring(),
        serving=serving,
        traffic=serving,
        store=Store(folder / "store"),
        clock=clock,
    )
    options = Options(folder, max_runs=100, lease=timedelta(seconds=orders.lease_s))
    repair = Repair("settling", 1, lambda: settle(ports, options, orders.name))
    workers = Workers(ports, options, orders.name, orders.workers, (repair,))
    workers.start()
    print("ready", flush=True)
    sys.stdin.buffer.read()
    workers.stop()


if __name__ == "__main__":
    main(Orders(**json.loads(Path(sys.argv[1]).read_text())))
