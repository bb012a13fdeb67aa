"""Threads that reconcile, and one that keeps their leases. Nothing here knows what an operation is about."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import structlog

from kfops.domain.operation import Operation
from kfops.ports.errors import Unavailable
from kfops.workflow.context import Options, Ports
from kfops.workflow.reconcile import work_on

IDLE_S = 0.2
log = structlog.get_logger("kfops.workers")


@dataclass(frozen=True)
class Repair:
    """What is done at the start and then every so many seconds, in a thread of its own."""

    name: str
    seconds: float
    do: Callable[[], object]


def _always() -> bool:
    return True


@dataclass
class Workers:
    """`start` them and the repairs, `poke` when something arrived, `stop` when the process ends.

    Nothing is claimed while `may_claim` says no.
    """

    ports: Ports
    options: Options
    owner: str
    count: int = 4
    repairs: tuple[Repair, ...] = ()
    may_claim: Callable[[], bool] = _always
    _stopping: threading.Event = field(default_factory=threading.Event)
    _poked: threading.Event = field(default_factory=threading.Event)
    _looking: threading.Lock = field(default_factory=threading.Lock)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        works: dict[str, Callable[[], None]] = {
            f"worker-{number}": self._work for number in range(self.count)
        }
        works |= {one.name: partial(self._repair, one) for one in self.repairs}
        for name, target in works.items():
            thread = threading.Thread(target=target, name=name, daemon=True)
            thread.start()
            self._threads.append(thread)

    def poke(self) -> None:
        self._poked.set()

    def stop(self) -> None:
        self._stopping.set()
        self.poke()
        for thread in self._threads:
            thread.join(timeout=10)

    def _repair(self, repair: Repair) -> None:
        while not self._stopping.is_set():
            try:
                if repair.do():
                    self.poke()
            except Unavailable as error:
                log.info("repair put off", what=repair.name, error=str(error))
            except Exception:
                log.exception("repair failed", what=repair.name)
            self._stopping.wait(repair.seconds)

    def _work(self) -> None:
        while not self._stopping.is_set():
            # One looks for work while the others do it: several who look only wait for each other in the ledger.
            with self._looking:
                operation = self._next()
            if operation is not None:
                try:
                    work_on(operation, self.ports, self.options)
                except Unavailable as error:
                    log.warning("ledger away", error=str(error))
                except Exception:
                    log.exception("reconcile failed", operation=operation.id)
                self.poke()  # its next step may be due at once, and so may who waited for it

    def _next(self) -> Operation | None:
        """What is due next, as soon as there is something; None when the work ends."""
        while not self._stopping.is_set():
            self._poked.clear()  # before looking: what arrives meanwhile is looked for again
            operation = None
            try:
                if self.may_claim():
                    operation = self.ports.ledger.claim(
                        self.owner, self.ports.clock.now(), self.options.lease
                    )
            except Unavailable as error:
                log.warning("ledger away", error=str(error))
            except Exception:
                log.exception("nothing claimed")
            if operation is not None:
                return operation
            self._poked.wait(IDLE_S)
        return None
