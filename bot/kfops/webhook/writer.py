"""Group commit: deliveries that wait together share one transaction, and are answered after it."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from kfops.ports.errors import Unavailable
from kfops.ports.ledger import Arrival

AT_ONCE = 200


class Accepts(Protocol):
    def accept(self, arrivals: Sequence[Arrival]) -> None: ...


@dataclass(frozen=True)
class Waiting:
    """A delivery whose sender waits for the answer, in an event loop."""

    arrival: Arrival
    loop: asyncio.AbstractEventLoop
    stored: asyncio.Future[None]


class Writer:
    """One thread that writes. `store` returns when the arrival is committed, or raises what the ledger raised."""

    def __init__(self, inbox: Accepts) -> None:
        self._inbox = inbox
        self._waiting: queue.SimpleQueue[Waiting | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write, name="inbox-writer", daemon=True)
        self._thread.start()

    async def store(self, arrival: Arrival) -> None:
        loop = asyncio.get_running_loop()
        waiting = Waiting(arrival, loop, loop.create_future())
        self._waiting.put(waiting)
        await waiting.stored

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
            self._commit(batch)

    def _commit(self, batch: list[Waiting]) -> None:
        problem: Exception | None = None
        try:
            self._inbox.accept([one.arrival for one in batch])
        except Exception as error:  # noqa: BLE001 - whoever waits is told, whatever it is
            problem = error
        if problem is not None and not isinstance(problem, Unavailable) and len(batch) > 1:
            # One of them cannot be stored; the others must not suffer for it.
            for one in batch:
                self._commit([one])
            return
        # Waking a loop costs as much as storing a delivery: it is done once for all that wait in it.
        for loop in {one.loop for one in batch}:
            told = partial(_tell, [one.stored for one in batch if one.loop is loop], problem)
            with suppress(RuntimeError):  # a loop that was closed has nobody who waits
                loop.call_soon_threadsafe(told)


def _tell(stored: Sequence[asyncio.Future[None]], problem: Exception | None) -> None:
    for future in stored:
        if future.done():  # its caller is gone
            continue
        if problem is not None:
            future.set_exception(problem)
        else:
            future.set_result(None)
