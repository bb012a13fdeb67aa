"""Counts per arm, as the judge asks for them, from the access log and from which slot is which arm."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Any

from kfops.adapters.local.serving.access_log import AccessLog, Position
from kfops.adapters.local.serving.envoy_config import cluster_name
from kfops.adapters.local.serving.tally import Bounds, Tally, last_began, parse
from kfops.domain.canary_facts import ArmCounts, Counts, Standstill, Unknown
from kfops.domain.rollout import Counting

_KEPT = 16


@dataclass
class _Running:
    position: Position
    candidate: Tally | None
    champion: Tally | None


class Counters:
    """Of one environment; `folder` is where its access log lies. What was read once is not read again."""

    def __init__(self, slug: str, folder: Path) -> None:
        self._slug = slug
        self._log = AccessLog(folder)
        self._running: OrderedDict[tuple[Any, ...], _Running] = OrderedDict()
        self._lock = Lock()

    def counts(self, traffic: Mapping[str, Any], counting: Counting) -> Counts | Unknown:
        """`traffic` is what the stack says of the arms."""
        with self._lock:
            return self._counts(traffic, counting)

    def _counts(self, traffic: Mapping[str, Any], counting: Counting) -> Counts | Unknown:
        since = counting.since.timestamp()
        if not self._log.reaches_back_to(since):
            return Unknown(f"the access log does not reach back to {counting.since:%H:%M:%S} any more")
        candidate, champion = traffic["candidate"], traffic["stable"]
        born = (self._log.lineage(), *(arm and arm["bound_at"] for arm in (candidate, champion)))
        running = self._running.get((counting, *born))
        if running is None:
            position = self._log.start(since)
            if position is None:
                return Unknown("there is no access log")
            running = _Running(
                position,
                self._tally(candidate, counting, counting.candidate_slow_ms),
                self._tally(champion, counting, counting.champion_slow_ms),
            )
            self._remember((counting, *born), running)
        for line in self._log.read(running.position):
            request = parse(line)
            for tally in (running.candidate, running.champion):
                if request is not None and tally is not None:
                    tally.add(request)
        if self._log.lineage() != born[0]:
            return Unknown("the access log was cut; counting begins anew")
        return Counts(
            candidate=running.candidate.counts() if running.candidate else ArmCounts(),
            champion=running.champion.counts() if running.champion else ArmCounts(),
            epoch="/".join(str(part) for part in born),
        )

    def standstill(self, traffic: Mapping[str, Any], now: datetime) -> Standstill | Unknown:
        newest = traffic["newest"]
        if newest is None:
            return Unknown("there was no candidate here")
        last = last_began(self._log.tail(), cluster_name(self._slug, newest["slot"]))
        return Standstill(
            total=newest["total"],
            read_at=now,
            last_request_at=None if last is None else datetime.fromtimestamp(last, UTC),
        )

    def _tally(
        self, arm: Mapping[str, Any] | None, counting: Counting, slow_ms: float | None
    ) -> Tally | None:
        if arm is None:
            return None
        # A slot's earlier revision answered before this one was bound to it.
        since = max(counting.since.timestamp(), arm["bound_at"])
        slow_since = None if counting.slow_since is None else counting.slow_since.timestamp()
        return Tally(Bounds(cluster_name(self._slug, arm["slot"]), since, slow_since, slow_ms))

    def _remember(self, key: tuple[Any, ...], running: _Running) -> None:
        self._running[key] = running
        while len(self._running) > _KEPT:
            self._running.popitem(last=False)
