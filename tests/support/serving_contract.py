"""What every implementation of `Serving` and `Traffic` keeps: in memory, the stack on one machine, KServe in each mode.

A test module derives its class from `ServingContract` and has a fixture `place`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Protocol

import pytest
from tests.support.served_models import BROKEN, GOOD, PICKY

from kfops.domain.canary_facts import Counts, Failure, FailureKind, Readiness, Standstill
from kfops.domain.environment import EnvironmentKey
from kfops.domain.rollout import Counting
from kfops.ports.errors import Refused, Unavailable
from kfops.ports.serving import ABSENT, ArmName, ModelSource, Served, Serving, Wish
from kfops.ports.traffic import Traffic


class Place(Protocol):
    """`counted_within_s`: how long a request takes at most until it is counted."""

    key: EnvironmentKey
    serving: Serving
    traffic: Traffic
    counted_within_s: float

    def source(self, name: str, version: str) -> ModelSource: ...

    def send(self, content: bytes) -> tuple[int, str | None]:
        """A user's request: the status, and the version that answered."""
        ...


class WallClock:
    def now(self) -> datetime:
        return datetime.fromtimestamp(time.time(), UTC)


def body(contract: str = "m") -> bytes:
    return json.dumps({"instances": [{"tenure": 1, "contract": contract}]}).encode()


def settled(place: Place, wish: Wish, is_so: Callable[[Served], Any], within_s: float = 25.0) -> Served:
    """As the reconciler does it: wish, look, wish again, until it is so."""
    deadline = time.monotonic() + within_s
    while True:
        try:
            place.serving.apply(place.key, wish)
            served = place.serving.observe(place.key)
            if is_so(served):
                return served
        except Unavailable as error:
            served = error
        assert time.monotonic() < deadline, served
        time.sleep(0.02)


def serve(place: Place, source: ModelSource) -> Served:
    return settled(
        place,
        Wish(stable=source),
        lambda served: (
            served.is_settled
            and served.stable.version == source.version
            and served.stable.readiness is Readiness.READY
            and served.candidate == served.incoming == ABSENT
        ),
    )


def with_candidate(place: Place, stable: ModelSource, candidate: ModelSource, weight: int) -> Served:
    return settled(
        place,
        Wish(stable, candidate, weight),
        lambda served: served.candidate.readiness is Readiness.READY and served.candidate_weight == weight,
    )


def counted(place: Place, since: datetime, requests: int) -> Counts:
    deadline = time.monotonic() + place.counted_within_s
    while True:
        found = place.traffic.counts(place.key, Counting(since, None, None, None))
        is_late = time.monotonic() > deadline
        if isinstance(found, Counts) and found.candidate.requests + found.champion.requests >= requests:
            return found
        assert not is_late, found
        time.sleep(0.02)


def stands_still(place: Place, after: datetime) -> Standstill:
    """The candidate's counter, read at some moment after `after`."""
    deadline = time.monotonic() + place.counted_within_s
    while True:
        found = place.traffic.standstill(place.key)
        if isinstance(found, Standstill) and found.read_at > after:
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.02)


class ServingContract:
    def test_nothing_serves_at_first(self, place):
        served = place.serving.observe(place.key)
        assert (served.stable, served.candidate, served.incoming) == (ABSENT, ABSENT, ABSENT)
        assert place.send(body()) == (503, None)
        assert place.serving.ask(place.key, ArmName.CANDIDATE, body(), 5).status is None

    def test_a_revision_reports_its_own_digest(self, place):
        source = place.source(GOOD, "1")
        served = serve(place, source)
        assert (served.stable.digest, served.stable.readiness) == (source.digest, Readiness.READY)
        assert place.send(body()) == (200, "1")

    def test_a_candidate_at_nothing_answers_the_bot_and_no_user(self, place):
        champion, candidate = place.source(GOOD, "1"), place.source(PICKY, "2")
        serve(place, champion)
        since = WallClock().now()
        with_candidate(place, champion, candidate, 0)
        assert place.serving.ask(place.key, ArmName.CANDIDATE, body("paper"), 5).status == 500
        assert {place.send(body()) for _ in range(10)} == {(200, "1")}
        found = counted(place, since, 10)
        assert (found.champion.requests, found.candidate.requests) == (10, 0)

    def test_shares_are_counted_by_arm_then_promoted_and_taken_back(self, place):
        champion, candidate = place.source(GOOD, "1"), place.source(PICKY, "2")
        serve(place, champion)
        since = WallClock().now()
        with_candidate(place, champion, candidate, 50)
        answers = [place.send(body("paper")) for _ in range(40)]
        found = counted(place, since, 40)
        assert found.candidate.errors == found.candidate.requests == answers.count((500, "2")) > 0
        assert (found.champion.requests, found.champion.errors) == (answers.count((200, "1")), 0)

        with_candidate(place, champion, candidate, 0)
        before = stands_still(place, WallClock().now())
        assert {place.send(body("paper")) for _ in range(10)} == {(200, "1")}
        after = stands_still(place, WallClock().now())
        assert before.total == after.total == found.candidate.requests

        serve(place, candidate)
        assert place.send(body()) == (200, "2")
        serve(place, champion)
        assert place.send(body()) == (200, "1")

    def test_a_broken_candidate_fails_and_harms_nobody(self, place):
        champion, broken = place.source(GOOD, "1"), place.source(BROKEN, "2")
        serve(place, champion)
        served = settled(
            place, Wish(champion, broken, 50), lambda served: isinstance(served.candidate.readiness, Failure)
        )
        assert served.candidate.readiness.kind is FailureKind.DOES_NOT_START
        assert "no_such_library" in served.candidate.readiness.message
        assert served.candidate_weight == 0
        assert {place.send(body()) for _ in range(10)} == {(200, "1")}
        serve(place, champion)

    def test_a_broken_stable_revision_does_not_replace_the_one_that_serves(self, place):
        serve(place, place.source(GOOD, "1"))
        served = settled(
            place,
            Wish(stable=place.source(BROKEN, "2")),
            lambda served: isinstance(served.incoming.readiness, Failure),
        )
        assert served.stable.version == "1"
        assert place.send(body()) == (200, "1")

    def test_a_first_deployment_has_no_champion_and_can_be_taken_away(self, place):
        first = place.source(GOOD, "1")
        served = settled(
            place,
            Wish(None, first, 100),
            lambda served: served.candidate_weight == 100 and served.candidate.digest,
        )
        assert (served.stable, served.candidate.digest) == (ABSENT, first.digest)
        assert place.send(body()) == (200, "1")
        settled(place, Wish(), lambda served: served.stable == served.candidate == ABSENT)
        deadline = time.monotonic() + 10
        while place.send(body()) != (503, None):
            assert time.monotonic() < deadline

    def test_a_first_deployment_becomes_the_champion(self, place):
        first = place.source(GOOD, "1")
        settled(place, Wish(None, first, 100), lambda served: served.candidate_weight == 100)
        served = serve(place, first)
        assert (served.stable.digest, served.candidate) == (first.digest, ABSENT)

    def test_a_champion_stands_by_and_gets_everything_back(self, place):
        champion, candidate = place.source(GOOD, "1"), place.source(PICKY, "2")
        serve(place, champion)
        served = with_candidate(place, champion, candidate, 100)
        assert served.stable.digest == champion.digest
        assert place.send(body()) == (200, "2")
        with_candidate(place, champion, candidate, 0)
        assert {place.send(body()) for _ in range(10)} == {(200, "1")}
        serve(place, champion)

    def test_applying_again_changes_nothing(self, place):
        source = place.source(GOOD, "1")
        before = serve(place, source)
        place.serving.apply(place.key, Wish(stable=source))
        # A cluster says at first that it has not looked yet, and its address comes late.
        deadline = time.monotonic() + 10
        while (seen := place.serving.observe(place.key)) != replace(before, url=seen.url):
            assert time.monotonic() < deadline, (before, seen)
            time.sleep(0.1)

    def test_a_weight_is_a_percentage(self, place):
        with pytest.raises(Refused, match="0 to 100"):
            place.serving.apply(place.key, Wish(candidate_weight=101))
