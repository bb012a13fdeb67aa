"""Users' requests by arm, from the counters that Prometheus scrapes on a cluster.

As exact as scrapes allow: raw samples are added up, and counters that begin anew are noticed. No data is Unknown.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Lock

from kfops.adapters.prometheus.api import Prometheus
from kfops.adapters.prometheus.counters import Counters, above, buckets, history, quantile_bound
from kfops.adapters.prometheus.dialects import Dialect
from kfops.domain.canary_facts import ArmCounts, Counts, Standstill, Unknown
from kfops.domain.environment import EnvironmentKey
from kfops.domain.rollout import Counting
from kfops.ports.clock import Clock
from kfops.ports.errors import Refused, Unavailable

_KEPT = 64
_BEFORE = timedelta(minutes=3)  # where a series' former sample is looked for: over two slow scrapes
_HISTORY = timedelta(minutes=30)
_CALLERS_STATUS, _BAD_STATUS = 400, 500
_ANSWERED = '!~"0|[45].*"'


@dataclass(frozen=True)
class Arms:
    """The names under which each arm is counted now. `newest`: the newest candidate's, also when it is gone."""

    dialect: Dialect
    namespace: str
    stable: tuple[str, ...]
    candidate: tuple[str, ...]
    newest: str = ""


@dataclass(frozen=True)
class Own:
    """A request of the bot itself: when it was made, and the status of its answer."""

    at: datetime
    status: int | None


ArmsOf = Callable[[EnvironmentKey], Arms]
OwnOf = Callable[[Iterable[str]], list[Own]]


@dataclass
class _Running:
    """One selector since one moment, fed with what was scraped since the last look."""

    counters: Counters
    read_until: datetime


class PrometheusTraffic:
    """`arms` tells under which names an environment is counted, `own` what the bot itself asked of some of them."""

    def __init__(self, prometheus: Prometheus, arms: ArmsOf, own: OwnOf, clock: Clock) -> None:
        self._prometheus = prometheus
        self._arms = arms
        self._own = own
        self._clock = clock
        self._running: OrderedDict[tuple[str, datetime], _Running] = OrderedDict()
        self._lock = Lock()

    def counts(self, environment: EnvironmentKey, counting: Counting) -> Counts | Unknown:
        try:
            with self._lock:
                arms = self._arms(environment)
                if not self._has_scraped(counting.since):
                    return Unknown(f"Prometheus has no samples from {counting.since:%H:%M:%S}")
                now = self._clock.now()
                champion = self._arm(arms, arms.stable, counting, counting.champion_slow_ms, now)
                candidate = self._arm(arms, arms.candidate, counting, counting.candidate_slow_ms, now)
        except (Unavailable, Refused) as error:
            return Unknown(str(error))
        if champion is None and candidate is None:
            return Unknown("Prometheus has no requests of either arm")
        epoch = "/".join((",".join(arms.stable), ",".join(arms.candidate)))
        return Counts(candidate or ArmCounts(), champion or ArmCounts(), epoch)

    def standstill(self, environment: EnvironmentKey) -> Standstill | Unknown:
        try:
            with self._lock:
                arms = self._arms(environment)
                return self._standstill(arms) if arms.newest else Unknown("there was no candidate here")
        except (Unavailable, Refused) as error:
            return Unknown(str(error))

    def _arm(
        self,
        arms: Arms,
        names: tuple[str, ...],
        counting: Counting,
        slow_ms: float | None,
        now: datetime,
    ) -> ArmCounts | None:
        """None: nobody counts this arm."""
        if not names:
            return None
        dialect = arms.dialect
        counted = self._count(dialect.selector(dialect.requests, arms.namespace, names), counting.since, now)
        if not counted.series:
            return None
        by_code = _by_code(counted, dialect.code)
        if dialect.has_own:
            _take_off(by_code, counted, dialect.code, self._own(names))
        errors = _sum(by_code, _is_error)
        answered = dialect.selector(dialect.times, arms.namespace, names, f"{dialect.code}{_ANSWERED}")
        times = buckets(self._count(answered, counting.since, now))
        bound = quantile_bound(times, 0.95)
        timed, slow = self._slow(answered, dialect, counting.slow_since, slow_ms, now)
        return ArmCounts(
            requests=sum(by_code.values()),
            errors=errors,
            client_errors=_sum(by_code, lambda code: _CALLERS_STATUS <= code < _BAD_STATUS),
            timed=timed,
            slow=slow,
            p95_ms=None if bound is None else bound * dialect.unit_ms,
            first_bad_at=_first_error_at(counted, dialect.code) if errors else None,
        )

    def _slow(
        self, selector: str, dialect: Dialect, since: datetime | None, slow_ms: float | None, now: datetime
    ) -> tuple[int, int]:
        if since is None or slow_ms is None:
            return 0, 0
        times = buckets(self._count(selector, since, now))
        return times.get(float("inf"), 0), above(times, slow_ms / dialect.unit_ms)

    def _standstill(self, arms: Arms) -> Standstill | Unknown:
        """Read at the moment of a scrape, not of the question: what has come since is not known yet."""
        now = self._clock.now()
        dialect = arms.dialect
        scraped = self._prometheus.value("max(timestamp(up))", now)
        if scraped is None:
            return Unknown("Prometheus scrapes nothing now")
        selector = dialect.selector(dialect.requests, arms.namespace, [arms.newest])
        live = self._prometheus.value(f"min(timestamp({selector}))", now)
        samples = self._prometheus.samples(selector, now - _HISTORY, now)
        if not samples and not self._is_counted(arms):
            return Unknown("nobody counts requests here")
        total, rose = history(samples, (now - _HISTORY + _BEFORE).timestamp())
        return Standstill(
            total=total,
            read_at=_moment(live or scraped),
            last_request_at=None if rose is None else _moment(rose),
        )

    def _is_counted(self, arms: Arms) -> bool:
        """Whether the other arm's requests are: then none of this one's means that it got none."""
        selector = arms.dialect.selector(arms.dialect.requests, arms.namespace, arms.stable)
        return (
            bool(arms.stable) and self._prometheus.value(f"count({selector})", self._clock.now()) is not None
        )

    def _has_scraped(self, since: datetime) -> bool:
        """A series that is not there at that moment only began later if Prometheus was there to see it."""
        return self._prometheus.value("count(up)", since) is not None

    def _count(self, selector: str, since: datetime, now: datetime) -> Counters:
        """As of `now`. Asked twice for one moment, Prometheus may know more the second time: a scrape bears the time
        at which it began.
        """
        running = self._running.get((selector, since))
        if running is None:
            running = _Running(Counters(since.timestamp()), since)
            self._running[selector, since] = running
            while len(self._running) > _KEPT:
                self._running.popitem(last=False)
        elif running.read_until == now:
            return running.counters
        running.counters.feed(self._prometheus.samples(selector, running.read_until - _BEFORE, now))
        running.read_until = now
        return running.counters


def _by_code(counters: Counters, label: str) -> dict[int, int]:
    found: dict[int, int] = {}
    for labels, counter in counters.series.items():
        code = _code(dict(labels).get(label, ""))
        found[code] = found.get(code, 0) + round(counter.total)
    return found


def _take_off(by_code: dict[int, int], counters: Counters, label: str, own: list[Own]) -> None:
    """The bot's own requests, where they came after the value that counting began with."""
    for one in own:
        began = [
            counter.baseline_at or 0.0
            for labels, counter in counters.series.items()
            if _code(dict(labels).get(label, "")) == one.status
        ]
        if one.status in by_code and began and one.at.timestamp() > min(began):
            by_code[one.status] = max(0, by_code[one.status] - 1)


def _first_error_at(counters: Counters, label: str) -> datetime | None:
    rises = [
        counter.first_rise_at
        for labels, counter in counters.series.items()
        if counter.first_rise_at is not None and _is_error(_code(dict(labels).get(label, "")))
    ]
    return _moment(min(rises)) if rises else None


def _is_error(code: int) -> bool:
    """0 is a caller who was never answered."""
    return code >= _BAD_STATUS or code == 0


def _sum(by_code: dict[int, int], counts: Callable[[int], bool]) -> int:
    return sum(number for code, number in by_code.items() if counts(code))


def _code(text: str) -> int:
    return int(text) if text.isdigit() else 0


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
