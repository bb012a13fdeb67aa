"""Whether this machine's clock agrees with the database's: a lease is written by one replica's and read by another's."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from kfops.adapters.sql.ledger import SqlLedger
    from kfops.ports.clock import Clock

AGREE = timedelta(seconds=5)
EVERY_S = 10.0
log = structlog.get_logger("kfops")


@dataclass
class Clocks:
    """Who is too far off claims nothing: to it, leases of replicas that live have run out. Thread-safe."""

    book: SqlLedger
    clock: Clock
    every_s: float = EVERY_S
    _agree: bool = True
    _looked_at: float = float("-inf")
    _looking: threading.Lock = field(default_factory=threading.Lock)

    def problem(self) -> str:
        """Empty where all is well."""
        ahead = self.book.clock_offset(self.clock.now())
        if abs(ahead) <= AGREE:
            return ""
        return f"this machine's clock is {ahead.total_seconds():.0f} s ahead of the database's; set it right"

    def agree(self) -> bool:
        """As of the last few seconds; each change is logged."""
        with self._looking:
            if time.monotonic() - self._looked_at >= self.every_s:
                problem = self.problem()
                self._looked_at = time.monotonic()
                if problem and self._agree:
                    log.error("nothing is claimed", problem=problem)
                elif not problem and not self._agree:
                    log.info("the clocks agree again")
                self._agree = not problem
            return self._agree
