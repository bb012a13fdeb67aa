"""Counting with counters that are only seen now and then, and that begin anew when their process does. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from kfops.adapters.prometheus.api import Samples

Labels = tuple[tuple[str, str], ...]


@dataclass
class Counter:
    """One series since `since`. `baseline_at`: when the value was read that counting began with; None: the series was
    born later, and began with 0.

    What came between `since` and the first scrape after it belongs to nobody: it may still be of the share before.
    """

    since: float
    baseline_at: float | None = None
    total: float = 0.0
    first_rise_at: float | None = None
    last_rise_at: float | None = None
    _last: tuple[float, float] | None = None
    _was_there: bool = False

    def feed(self, values: Iterable[tuple[float, float]]) -> None:
        """Samples that it has seen already change nothing."""
        for at, value in values:
            if self._last is not None and at <= self._last[0]:
                continue
            if at <= self.since:
                self._was_there = True
            elif self._was_there and self.baseline_at is None and self._last_was_before():
                self.baseline_at = at
            else:
                before = self._last[1] if self._last else 0.0
                self._rise(at, value - before if value >= before else value)
            self._last = (at, value)

    def _last_was_before(self) -> bool:
        return self._last is not None and self._last[0] <= self.since

    def _rise(self, at: float, by: float) -> None:
        if by <= 0:
            return
        self.total += by
        self.last_rise_at = at
        if self.first_rise_at is None:
            self.first_rise_at = at


@dataclass
class Counters:
    """All series of one selector, each by itself."""

    since: float
    series: dict[Labels, Counter] = field(default_factory=dict)

    def feed(self, samples: Iterable[Samples]) -> None:
        for one in samples:
            labels = tuple(sorted(one.labels.items()))
            self.series.setdefault(labels, Counter(self.since)).feed(one.values)

    def total(self, label: str | None = None, values: frozenset[str] | None = None) -> int:
        """Of the series whose `label` has one of these values; of all without one."""
        return round(
            sum(
                counter.total
                for labels, counter in self.series.items()
                if label is None or values is None or dict(labels).get(label) in values
            )
        )


def buckets(counters: Counters) -> dict[float, int]:
    """Cumulative counts of a histogram by upper bound, all its series together."""
    found: dict[float, float] = {}
    for labels, counter in counters.series.items():
        bound = float(dict(labels).get("le", "nan"))
        if not math.isnan(bound):
            found[bound] = found.get(bound, 0.0) + counter.total
    return {bound: round(found[bound]) for bound in sorted(found)}


def quantile_bound(cumulative: dict[float, int], q: float) -> float | None:
    """The upper bound of the bucket that holds the quantile: a bound, so that what lies above it can be counted
    exactly. None without requests, or where it lies above the last bound.
    """
    whole = cumulative.get(math.inf, 0)
    found = next((bound for bound, count in cumulative.items() if whole and count >= q * whole), math.inf)
    return None if math.isinf(found) else found


def above(cumulative: dict[float, int], bound: float) -> int:
    """How many lie surely above: counted from the next bound on, for a histogram knows no more."""
    whole = cumulative.get(math.inf, 0)
    return whole - next((count for upper, count in cumulative.items() if upper >= bound), whole)


def history(samples: Iterable[Samples], born_after: float) -> tuple[int, float | None]:
    """All that was ever counted as far as the samples go back, and when it last rose. A series whose first sample is
    later than `born_after` rose with that one.
    """
    total, rises = 0.0, []
    for one in samples:
        before = 0.0
        for number, (at, value) in enumerate(one.values):
            total += value - before if value >= before else value
            if value != before and (number or at > born_after):
                rises.append(at)
            before = value
    return round(total), max(rises, default=None)
