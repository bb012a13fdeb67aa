"""Users, for the demo: steady requests over kept-alive connections, every answer and every loss counted."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Event, Lock, Thread
from typing import Self

import httpx

_WORKERS = 4
_SERVER_ERROR = 500


@dataclass(frozen=True)
class Loss:
    """A request that got no good answer: a 5xx, a reset, a refused connection, a time-out. `at` in seconds of the
    epoch, when it was noticed. `version`: which revision gave the bad answer, empty where none did.
    """

    at: float
    what: str
    version: str = ""


@dataclass(frozen=True)
class LoadReport:
    """`by_status` and `by_version` count answers, the latter by the revision's label in `x-kfops-version`."""

    sent: int
    by_status: Counter[int]
    by_version: Counter[str]
    losses: tuple[Loss, ...]

    @property
    def lost(self) -> int:
        return len(self.losses)


@dataclass
class _Ledger:
    sent: int = 0
    by_status: Counter[int] = field(default_factory=Counter)
    by_version: Counter[str] = field(default_factory=Counter)
    losses: list[Loss] = field(default_factory=list)


class Load:
    """Sends `bodies` in turn to `url` at `rate_per_s` from construction (or `with`) on until `stop`.

    `url` is the whole address, path included. A slow answer makes its worker late, not the others.
    """

    def __init__(
        self, url: str, bodies: Sequence[bytes], rate_per_s: float, *, timeout_s: float = 10.0
    ) -> None:
        self._url = url
        self._bodies = itertools.cycle(bodies)
        self._pause_s = _WORKERS / rate_per_s
        self._timeout_s = timeout_s
        self._over = Event()
        self._lock = Lock()
        self._ledger = _Ledger()
        self._workers = [
            Thread(
                target=self._work, args=(index * self._pause_s / _WORKERS,), name=f"load-{index}", daemon=True
            )
            for index in range(_WORKERS)
        ]
        for worker in self._workers:
            worker.start()

    def report(self) -> LoadReport:
        """What has come back so far."""
        with self._lock:
            kept = self._ledger
            return LoadReport(
                kept.sent, Counter(kept.by_status), Counter(kept.by_version), tuple(kept.losses)
            )

    def stop(self) -> LoadReport:
        """No new request, and the answers of those under way waited for."""
        self._over.set()
        for worker in self._workers:
            worker.join()
        return self.report()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _work(self, first_after_s: float) -> None:
        due = time.monotonic() + first_after_s
        with httpx.Client(timeout=self._timeout_s, trust_env=False) as client:
            while not self._over.wait(max(0.0, due - time.monotonic())):
                with self._lock:
                    body = next(self._bodies)
                self._send(client, body)
                # Never a burst to make up for a slow answer: users do not do that either.
                due = max(due + self._pause_s, time.monotonic())

    def _send(self, client: httpx.Client, body: bytes) -> None:
        try:
            answer = client.post(self._url, content=body, headers={"content-type": "application/json"})
        except httpx.HTTPError as error:
            self._count(None, "", f"{type(error).__name__}: {error}")
            return
        version = answer.headers.get("x-kfops-version", "")
        complaint = (
            f"HTTP {answer.status_code}: {answer.text[:200]}" if answer.status_code >= _SERVER_ERROR else ""
        )
        self._count(answer.status_code, version, complaint)

    def _count(self, status: int | None, version: str, complaint: str) -> None:
        with self._lock:
            self._ledger.sent += 1
            if status is not None:
                self._ledger.by_status[status] += 1
            if version:
                self._ledger.by_version[version] += 1
            if complaint:
                self._ledger.losses.append(Loss(time.time(), complaint, version))
