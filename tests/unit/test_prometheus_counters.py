"""Adding up counters that are only seen now and then."""

from __future__ import annotations

import math
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from kfops.adapters.prometheus.adapter import Arms, PrometheusTraffic
from kfops.adapters.prometheus.api import Samples
from kfops.adapters.prometheus.counters import Counter, Counters, above, buckets, history, quantile_bound
from kfops.adapters.prometheus.dialects import ISTIO, KNATIVE
from kfops.domain.environment import EnvironmentKey
from kfops.domain.rollout import Counting


def fed(since: float, *values: tuple[float, float]) -> Counter:
    counter = Counter(since)
    counter.feed(values)
    return counter


def test_what_came_before_the_first_scrape_after_the_moment_belongs_to_nobody():
    """It may still be of the share before."""
    counter = fed(10, (5, 100), (12, 107), (15, 110))
    assert (counter.total, counter.baseline_at) == (3, 12)


def test_a_series_that_is_born_later_began_with_nothing():
    counter = fed(10, (12, 7), (15, 9))
    assert (counter.total, counter.baseline_at, counter.first_rise_at) == (9, None, 12)


def test_a_counter_that_begins_anew_counts_on():
    assert fed(10, (5, 100), (11, 100), (12, 105), (13, 2), (14, 4)).total == 9


def test_a_sample_that_was_seen_is_not_counted_again():
    counter = fed(10, (11, 1), (12, 3))
    counter.feed([(11, 1), (12, 3), (13, 4)])
    assert counter.total == 4


@given(
    st.lists(st.integers(0, 9), max_size=30),
    st.sets(st.integers(1, 29)),
    st.lists(st.integers(0, 30), max_size=4),
)
def test_restarts_lose_no_request_and_looking_often_changes_nothing(rises, restarts, looks):
    """A restart between two scrapes is seen where the counter is lower after it."""
    value, samples, true = 0, [], 0
    for second, rise in enumerate(rises):
        if second in restarts and rise < value:
            value = 0
        value, true = value + rise, true + rise
        samples.append((second + 1.0, float(value)))
    counter = Counter(0.0)
    for look in sorted(looks):
        counter.feed(samples[:look])
    counter.feed(samples)
    assert counter.total == true


def test_a_histogram_gives_bounds_that_can_be_counted_exactly():
    counters = Counters(0)
    for bound, value in (("10", 90), ("50", 96), ("+Inf", 100)):
        counters.feed(
            [Samples({"le": bound, "pod": "a"}, ((1, value),)), Samples({"le": bound, "pod": "b"}, ((1, 0),))]
        )
    cumulative = buckets(counters)
    assert cumulative == {10.0: 90, 50.0: 96, math.inf: 100}
    assert quantile_bound(cumulative, 0.95) == 50.0
    assert (above(cumulative, 50.0), above(cumulative, 30.0), above(cumulative, 60.0)) == (4, 4, 0)


def test_no_requests_have_no_quantile_and_a_tail_over_the_last_bound_has_none_either():
    assert quantile_bound({}, 0.95) is None
    assert quantile_bound({10.0: 1, math.inf: 100}, 0.95) is None


def test_what_a_counter_ever_counted_and_when_it_last_rose():
    old = Samples({"pod": "a"}, ((1, 40), (2, 41), (3, 41)))
    restarted = Samples({"pod": "b"}, ((1, 5), (2, 1), (3, 1)))
    assert history([old, restarted], born_after=1.5) == (47, 2)
    assert history([Samples({}, ((2, 3), (3, 3)))], born_after=1.5) == (3, 2)
    assert history([Samples({}, ((1, 3), (2, 3)))], born_after=1.5) == (3, None)


def test_a_selector_names_both_revisions_and_nothing_else():
    found = KNATIVE.selector("m", "prod", ["churn-predictor-00002", "churn-predictor-00001"])
    assert found == (
        'm{namespace_name="prod",revision_name=~"churn\\\\-predictor\\\\-00001|churn\\\\-predictor\\\\-00002"}'
    )
    assert 'source_workload!~"kfops.*"' in ISTIO.selector("m", "prod", ["churn-predictor"])


class Late:
    """A Prometheus that stores the scrape of a moment only when it has been asked for that moment's times once."""

    def __init__(self) -> None:
        self.is_stored = False
        self.seconds = 12

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.seconds, UTC)

    def value(self, query: str, at: datetime) -> float:
        return 1.0

    def samples(self, selector: str, since: datetime, until: datetime) -> list[Samples]:
        if not selector.startswith(KNATIVE.times):
            return [Samples({"response_code": "200"}, ((11.0, 100.0),))]
        values = ((11.0, 100.0),) if self.is_stored else ()
        self.is_stored = True
        return [Samples({"le": bound}, values) for bound in ("10", "+Inf")]


def test_one_reading_is_of_one_moment_also_where_a_scrape_is_stored_meanwhile():
    """What is slow and the 95th percentile come from the same requests."""
    late = Late()
    traffic = PrometheusTraffic(late, lambda _: Arms(KNATIVE, "churn", ("one",), ()), lambda _: [], late)
    since = datetime.fromtimestamp(10, UTC)
    counting = Counting(since, since, 5.0, 5.0)

    def read() -> tuple[int, int, float | None]:
        found = traffic.counts(EnvironmentKey(7, "churn", "production"), counting).champion
        return found.requests, found.timed, found.p95_ms

    assert read() == (100, 0, None)
    late.seconds += 1
    assert read() == (100, 100, 10.0)
