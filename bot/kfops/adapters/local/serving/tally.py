"""Counting the requests of an access log. Pure: lines in, counts out."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from kfops.adapters.local.serving.envoy_config import PREDICT_ROUTE
from kfops.domain.canary_facts import ArmCounts

_BAD_STATUS = 500
_CALLERS_STATUS = 400
_CALLER_LEFT = {0, 499}
_BUCKET = math.log(1.005)  # a quantile is right to a quarter of a per cent


@dataclass(frozen=True)
class Request:
    """One line of the access log. `began` in seconds of the epoch, `micros` and `lasted_ms` as in `envoy_config`."""

    began: float
    cluster: str
    status: int
    micros: int | None
    lasted_ms: int
    arrived: bool

    @property
    def is_error(self) -> bool:
        """A 5xx (Envoy's own among them: time-outs and resets), or a caller who had sent everything and gave up
        waiting: to that caller it was a time-out.
        """
        return self.status >= _BAD_STATUS or (
            self.status in _CALLER_LEFT and self.arrived and self.micros is None
        )

    @property
    def is_callers_error(self) -> bool:
        return not self.is_error and (self.status >= _CALLERS_STATUS or self.status == 0)


def parse(line: bytes) -> Request | None:
    """None for what is no prediction that reached an arm, or no whole line."""
    try:
        content: dict[str, Any] = json.loads(line)
        if content["route"] != PREDICT_ROUTE or not isinstance(content["cluster"], str):
            return None
        return Request(
            began=float(content["began"]),
            cluster=content["cluster"],
            status=int(content["status"]),
            micros=None if content["us"] is None else int(content["us"]),
            lasted_ms=int(content["ms"] or 0),
            arrived=content["sent"] is not None,
        )
    except (ValueError, KeyError, TypeError):
        return None


@dataclass(frozen=True)
class Bounds:
    """What of an arm is counted: its cluster, requests from `since` on, and slow ones, over `slow_ms`, from
    `slow_since` on (all in seconds of the epoch).
    """

    cluster: str
    since: float
    slow_since: float | None = None
    slow_ms: float | None = None


@dataclass
class Tally:
    """A running count of one arm. Only answers below 400 are timed: a fast error is no fast answer."""

    bounds: Bounds
    requests: int = 0
    errors: int = 0
    client_errors: int = 0
    timed: int = 0
    slow: int = 0
    first_bad: float | None = None
    _micros: Counter[int] = field(default_factory=Counter)

    def add(self, request: Request) -> None:
        if request.cluster != self.bounds.cluster or request.began < self.bounds.since:
            return
        self.requests += 1
        if request.is_error:
            self.errors += 1
            ended = request.began + request.lasted_ms / 1000
            self.first_bad = ended if self.first_bad is None else min(self.first_bad, ended)
        elif request.is_callers_error:
            self.client_errors += 1
        elif request.micros is not None:
            self._time(request.began, request.micros)

    def _time(self, began: float, micros: int) -> None:
        self._micros[round(math.log(max(micros, 1)) / _BUCKET)] += 1
        bounds = self.bounds
        if bounds.slow_ms is None or bounds.slow_since is None or began < bounds.slow_since:
            return
        self.timed += 1
        self.slow += micros > bounds.slow_ms * 1000

    def quantile_ms(self, q: float) -> float | None:
        """The smallest latency that a share of at least `q` does not exceed; None without any."""
        return quantile(self._micros, q)

    def counts(self) -> ArmCounts:
        return ArmCounts(
            requests=self.requests,
            errors=self.errors,
            client_errors=self.client_errors,
            timed=self.timed,
            slow=self.slow,
            p95_ms=self.quantile_ms(0.95),
            first_bad_at=None if self.first_bad is None else datetime.fromtimestamp(self.first_bad, UTC),
        )


def quantile(micros: Counter[int], q: float) -> float | None:
    wanted = math.ceil(q * micros.total())
    seen = 0
    for bucket in sorted(micros):
        seen += micros[bucket]
        if seen >= wanted:
            return math.exp(bucket * _BUCKET) / 1000
    return None


def last_began(lines: Iterable[bytes], cluster: str) -> float | None:
    """When the newest request of a cluster began; `lines` newest last."""
    mark = json.dumps(cluster).encode()
    found = [
        request.began
        for line in lines
        if mark in line and (request := parse(line)) and request.cluster == cluster
    ]
    return max(found, default=None)
