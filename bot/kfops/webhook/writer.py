"""Group commit: deliveries that wait together share one transaction, and are answered after it."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Protocol

from kfops.ports.ledger import Arrival

AT_ONCE = 200


class Accepts(Protocol):
    def accept(self, arrivals: Sequence[Arrival]) -> None: ...


class Writer:
    """One thread that writes. `store` returns when the arrival is committed, or raises what the ledger raised."""

    def __init__(self, inbox: Accepts) -> None:
        self._inbox = inbox
        self._waiting: queue.SimpleQueue[tuple[Arrival, Future[None]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write, name="inbox-writer", daemon=True)
        self._thread.start()

    async def store(self, arrival: Arrival) -> None:
        future: Future[None] = Future()
        self._waiting.put((arrival, future))
        await asyncio.wrap_future(future)

    def close(self) -> None:
        self._waiting.put(None)
        self._thread.join(timeout=10)

    def _write(self) -> None:
        while (first := self._waiting.get()) is not None:
            batch = [first]
            while len(batch) < AT_ONCE and not self._waiting.empty():
                following = self._waiting.get()
                if following is None:
                    self._waiting.put(None)
                    break
                batch.append(following)
            try:
                self._inbox.accept([arrival for arrival, _ in batch])
            except Exception as error:  # noqa: BLE001 - whoever waits is told, whatever it is
                for _, future in batch:
                    future.set_exception(error)
            else:
                for _, future in batch:
                    future.set_result(None)
