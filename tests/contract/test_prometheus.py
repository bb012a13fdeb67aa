"""Counting users' requests with a real Prometheus."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest
from tests.support.servers import prometheus_server
from tests.support.servers.prometheus_server import SCRAPE_S, Exporter, Scraping
from tests.support.serving_contract import WallClock

from kfops.adapters.prometheus.adapter import Arms, Own, PrometheusTraffic
from kfops.adapters.prometheus.api import Prometheus
from kfops.adapters.prometheus.dialects import ISTIO, KNATIVE, Dialect, dialect_of
from kfops.domain.canary_facts import Counts, Standstill, Unknown
from kfops.domain.environment import EnvironmentKey
from kfops.domain.rollout import Counting
from kfops.ports.errors import Refused, Unavailable

pytestmark = pytest.mark.xdist_group("cluster")

KEY = EnvironmentKey(7, "churn", "production")


@pytest.fixture(scope="module")
def scraped(tmp_path_factory) -> Iterator[Scraping]:
    binary = prometheus_server.prometheus_binary()
    if binary is None:
        pytest.skip(prometheus_server.WHY)
    folder = tmp_path_factory.mktemp("prometheus")
    with prometheus_server.scraping(binary, folder, folder / "nobody-calls") as found:
        yield found


@dataclass
class Place:
    """A namespace of its own, with a champion `one` and a candidate `two`."""

    exporter: Exporter
    prometheus: Prometheus
    dialect: Dialect = KNATIVE
    own: list[Own] = field(default_factory=list)
    namespace: str = field(default_factory=lambda: f"n{secrets.token_hex(4)}")
    traffic: PrometheusTraffic = field(init=False)

    def __post_init__(self) -> None:
        self.traffic = PrometheusTraffic(
            self.prometheus,
            lambda _: Arms(self.dialect, self.namespace, ("one",), ("two",), "two"),
            lambda names: self.own if "two" in names else [],
            WallClock(),
        )

    def request(self, arm: str, code: int = 200, milliseconds: float = 7, times: int = 1) -> None:
        self.exporter.count(self.namespace, arm, code, milliseconds, times=times)

    def counts(self, since: datetime, is_so: Callable[[Counts], bool], **more: object) -> Counts:
        counting = Counting(since, more.get("slow_since"), more.get("champion_ms"), more.get("candidate_ms"))
        deadline = time.monotonic() + 30
        while True:
            found = self.traffic.counts(KEY, counting)
            if isinstance(found, Counts) and is_so(found):
                return found
            assert time.monotonic() < deadline, found
            time.sleep(SCRAPE_S / 4)

    def scrape(self) -> datetime:
        """Until whatever was counted by now has been scraped; a scrape that failed has seen nothing."""
        after = WallClock().now()
        deadline = time.monotonic() + 30
        while (
            self.prometheus.value("min(timestamp(up) and up == 1)", WallClock().now()) or 0
        ) <= after.timestamp() + 0.05:
            assert time.monotonic() < deadline
            time.sleep(SCRAPE_S / 4)
        return WallClock().now()


@pytest.fixture
def place(scraped) -> Iterator[Place]:
    prometheus = Prometheus(scraped.url)
    yield Place(scraped.exporter, prometheus)
    prometheus.close()


def test_requests_are_counted_by_arm_and_by_kind(place):
    place.request("one", times=3)
    since = place.scrape()
    place.scrape()
    place.request("one", times=20)
    place.request("two", 200, 7, times=9)
    place.request("two", 503, 900)
    place.request("two", 404)
    found = place.counts(since, lambda one: one.candidate.requests + one.champion.requests == 31)
    assert (found.champion.requests, found.champion.errors) == (20, 0)
    assert (found.candidate.requests, found.candidate.errors, found.candidate.client_errors) == (11, 1, 1)
    assert since < found.candidate.first_bad_at <= WallClock().now()
    assert found.champion.first_bad_at is None


def test_what_was_before_the_step_is_not_counted(place):
    place.request("one", times=50)
    place.request("two", 500, times=50)
    since = place.scrape()
    place.scrape()
    place.request("two", times=4)
    found = place.counts(since, lambda one: one.candidate.requests >= 4)
    assert (found.candidate.requests, found.candidate.errors, found.champion.requests) == (4, 0, 0)


def test_a_counter_that_restarts_loses_nothing_and_goes_on(place):
    place.request("one", times=30)
    since = place.scrape()
    place.scrape()
    place.request("one", times=10)
    place.counts(since, lambda one: one.champion.requests == 10)
    place.exporter.begin_anew(place.namespace)
    place.request("one", times=3)
    found = place.counts(since, lambda one: one.champion.requests != 10)
    assert found.champion.requests == 13


def test_counting_goes_on_the_same_after_a_restart_of_the_bot(place):
    since = place.scrape()
    place.request("one", times=5)
    before = place.counts(since, lambda one: one.champion.requests == 5)
    place.__post_init__()
    assert place.counts(since, lambda _: True) == before


def test_no_data_is_unknown_and_never_zero(place):
    found = place.traffic.counts(KEY, Counting(WallClock().now(), None, None, None))
    assert found == Unknown("Prometheus has no requests of either arm")
    assert place.traffic.standstill(KEY) == Unknown("nobody counts requests here")


def test_a_time_before_prometheus_was_there_is_unknown(place):
    place.request("one")
    place.scrape()
    since = WallClock().now() - timedelta(hours=2)
    found = place.traffic.counts(KEY, Counting(since, None, None, None))
    assert isinstance(found, Unknown)
    assert "no samples from" in found.reason


def test_nobody_there_is_unknown():
    prometheus = Prometheus("http://127.0.0.1:9", timeout_s=1)
    place = Place(None, prometheus)
    assert "did not answer" in place.traffic.counts(KEY, Counting(WallClock().now(), None, None, None)).reason
    assert "did not answer" in place.traffic.standstill(KEY).reason
    with pytest.raises(Unavailable):
        prometheus.value("up", WallClock().now())
    prometheus.close()


def test_slow_answers_are_those_above_a_bound_and_failures_are_not_timed(place):
    place.request("one", milliseconds=7, times=100)
    since = place.scrape()
    place.scrape()
    place.request("one", milliseconds=7, times=95)
    place.request("one", milliseconds=400, times=5)
    place.request("two", milliseconds=7, times=80)
    place.request("two", milliseconds=400, times=20)
    place.request("two", 500, milliseconds=1, times=40)
    found = place.counts(
        since,
        lambda one: one.champion.timed == one.candidate.timed == 100 and one.candidate.errors == 40,
        slow_since=since,
        champion_ms=10.0,
        candidate_ms=12.5,
    )
    assert (found.champion.p95_ms, found.champion.slow) == (10.0, 5)
    assert (found.candidate.p95_ms, found.candidate.slow, found.candidate.errors) == (500.0, 20, 40)


def test_the_bots_own_requests_are_taken_off_where_a_revision_counts_them(place):
    place.request("two", 200, times=2)
    place.request("one")
    since = place.scrape()
    place.own.append(Own(since - timedelta(seconds=30), 200))
    place.scrape()
    place.request("two", 200, times=6)
    place.own.append(Own(WallClock().now(), 200))
    assert place.counts(since, lambda one: one.candidate.requests >= 5).candidate.requests == 5


def test_a_gateways_counters_are_read_by_service(place):
    place.dialect = ISTIO
    since = place.scrape()
    place.request("one", times=4)
    place.request("two", 503, times=2)
    found = place.counts(since, lambda one: one.candidate.requests + one.champion.requests == 6)
    assert (found.champion.requests, found.candidate.errors) == (4, 2)


def test_a_counter_stands_still_at_the_moment_of_a_scrape(place):
    place.request("one")
    place.request("two", times=3)
    asked = place.scrape()
    found = place.traffic.standstill(KEY)
    assert isinstance(found, Standstill)
    assert found.total == 3
    assert found.read_at < asked
    assert found.last_request_at <= found.read_at
    place.request("two")
    place.scrape()
    assert place.traffic.standstill(KEY).total == 4


def test_a_candidate_that_nobody_ever_reached_stands_still_at_nothing(place):
    """Its series only begins with its first request; that others are counted shows that it would be."""
    place.request("one")
    place.scrape()
    found = place.traffic.standstill(KEY)
    assert (found.total, found.last_request_at) == (0, None)
    assert WallClock().now() - found.read_at < timedelta(seconds=5)


def test_unknown_metrics_are_refused_with_those_that_are_known():
    with pytest.raises(Refused, match="knative, knative-otel, istio"):
        dialect_of("nginx")
