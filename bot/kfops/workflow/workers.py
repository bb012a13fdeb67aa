"""Threads that reconcile, and one that keeps their leases. Nothing here knows what an operation is about."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from kfops.ports.errors import Unavailable
from kfops.workflow.context import Options, Ports
from kfops.workflow.reconcile import reconcile_one

IDLE_S = 0.2
log = structlog.get_logger("kfops.workers")


@dataclass
class Workers:
    """`start` them, `poke` when something arrived, `stop` when the process ends.

    `every`: at once and then every so many seconds, in a thread of its own.
    """

    ports: Ports
    options: Options
    owner: str
    count: int = 4
    _stopping: threading.Event = field(default_factory=threading.Event)
    _poked: threading.Condition = field(default_factory=threading.Condition)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        for number in range(self.count):
            thread = threading.Thread(target=self._work, name=f"worker-{number}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def every(self, seconds: float, do: Callable[[], None], name: str) -> None:
        def loop() -> None:
            while not self._stopping.is_set():
                try:
                    do()
                except Unavailable as error:
                    log.info("repair put off", what=name, error=str(error))
                except Exception:
                    log.exception("repair failed", what=name)
                self._stopping.wait(seconds)

        thread = threading.Thread(target=loop, name=name, daemon=True)
        thread.start()
        self._threads.append(thread)

    def poke(self) -> None:
        with self._poked:
            self._poked.notify_all()

    def stop(self) -> None:
        self._stopping.set()
        self.poke()
        for thread in self._threads:
            thread.join(timeout=10)

    def _work(self) -> None:
        while not self._stopping.is_set():
            try:
                worked = reconcile_one(self.ports, self.options, self.owner)
            except Unavailable as error:
                log.warning("ledger away", error=str(error))
                worked = False
            except Exception:
                log.exception("reconcile failed")
                worked = False
            if not worked and not self._stopping.is_set():
                with self._poked:
                    self._poked.wait(IDLE_S)
