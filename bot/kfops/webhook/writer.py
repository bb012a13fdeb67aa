"""Group commit: deliveries that wait together share one transaction, and are answered after it."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Protocol

from kfops.ports.errors import Unavailable
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
            # From here on they cannot be cancelled: a caller who is gone must not end the thread.
            for _, future in batch:
                future.set_running_or_notify_cancel()
            self._commit(batch)

    def _commit(self, batch: list[tuple[Arrival, Future[None]]]) -> None:
        problem: Exception | None = None
        try:
            self._inbox.accept([arrival for arrival, _ in batch])
        except Exception as error:  # noqa: BLE001 - whoever waits is told, whatever it is
            problem = error
        if problem is not None and not isinstance(problem, Unavailable) and len(batch) > 1:
            # One of them cannot be stored; the others must not suffer for it.
            for one in batch:
                self._commit([one])
            return
        for _, future in batch:
            if future.cancelled():
                continue
            if problem is not None:
                future.set_exception(problem)
            else:
                future.set_result(None)
