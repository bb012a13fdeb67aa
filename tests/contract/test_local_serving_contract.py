"""What every implementation of `Serving` and `Traffic` on one machine keeps: the stack, and the one in memory."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import httpx
import pytest
from tests.support import served_models
from tests.support.in_memory_serving import OK, Behaviour, InMemoryServing
from tests.support.served_models import BROKEN, GOOD, PICKY

from kfops.adapters.local.digest import digest_of_directory
from kfops.adapters.local.sandbox import Confinement, NoSandbox, probe
from kfops.adapters.local.serving.adapter import LocalServing
from kfops.domain.canary_facts import Counts, Failure, FailureKind, Readiness, Standstill
from kfops.domain.environment import EnvironmentKey
from kfops.domain.rollout import Counting
from kfops.ports.errors import Refused
from kfops.ports.serving import ABSENT, ArmName, ModelSource, Served, Wish

HERE = EnvironmentKey(7, "churn", "production")


def body(contract: str = "m") -> bytes:
    return json.dumps({"instances": [{"tenure": 1, "contract": contract}]}).encode()


class WallClock:
    def now(self) -> datetime:
        return datetime.fromtimestamp(time.time(), UTC)


class Place(Protocol):
    serving: LocalServing | InMemoryServing

    def source(self, name: str, version: str) -> ModelSource: ...

    def send(self, content: bytes) -> tuple[int, str | None]: ...


class Memory:
    def __init__(self, models: Path) -> None:
        self._models = models
        picky = Behaviour(lambda content: (500, b"{}") if b"paper" in content else OK)
        broken = Behaviour(starts=Failure(FailureKind.DOES_NOT_START, "No module named 'no_such_library'"))
        behaviours = {self.source(PICKY, "").digest: picky, self.source(BROKEN, "").digest: broken}
        self.serving = InMemoryServing(WallClock(), behaviours)

    def source(self, name: str, version: str) -> ModelSource:
        return ModelSource(self._models / name, digest_of_directory(self._models / name), version, "churn")

    def send(self, content: bytes) -> tuple[int, str | None]:
        return self.serving.send(HERE, content)


class Stack(Memory):
    def __init__(self, models: Path, folder: Path, sandbox: object) -> None:
        self._models = models
        self.serving = LocalServing(folder, sandbox, WallClock())
        self._users = httpx.Client(trust_env=False)

    def send(self, content: bytes) -> tuple[int, str | None]:
        answer = self._users.post(f"{self.serving.url(HERE)}/predict", content=content)
        return answer.status_code, answer.headers.get("x-kfops-version")

    def close(self) -> None:
        self._users.close()
        self.serving.shutdown()


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Path:
    return served_models.make_models(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def sandbox() -> Confinement:
    """The real one where it starts."""
    found = probe()
    return NoSandbox() if isinstance(found, str) else found


@pytest.fixture(scope="module")
def stack(models, tmp_path_factory, sandbox) -> Iterator[Stack]:
    stack = Stack(models, tmp_path_factory.mktemp("stack"), sandbox)
    yield stack
    stack.close()


@pytest.fixture(params=["memory", "stack"])
def place(request, models) -> Iterator[Place]:
    if request.param == "memory":
        yield Memory(models)
        return
    stack = request.getfixturevalue("stack")
    yield stack
    stack.serving.apply(HERE, Wish())
    until(stack, lambda served: served.stable == served.candidate == ABSENT)


def until(place: Place, is_so: Callable[[Served], bool], within_s: float = 25.0) -> Served:
    deadline = time.monotonic() + within_s
    while not is_so(served := place.serving.observe(HERE)):
        assert time.monotonic() < deadline, served
        time.sleep(0.02)
    return served


def serve(place: Place, source: ModelSource) -> None:
    place.serving.apply(HERE, Wish(stable=source))
    until(place, lambda served: served.stable.version == source.version)


def with_candidate(place: Place, stable: ModelSource, candidate: ModelSource, weight: int) -> None:
    place.serving.apply(HERE, Wish(stable, candidate, weight))
    until(place, lambda served: served.candidate.readiness is Readiness.READY)


def counted(place: Place, since: datetime, requests: int) -> Counts:
    deadline = time.monotonic() + 5
    while True:
        found = place.serving.counts(HERE, Counting(since, None, None, None))
        assert isinstance(found, Counts), found
        if found.candidate.requests + found.champion.requests >= requests or time.monotonic() > deadline:
            return found
        time.sleep(0.02)


def test_nothing_serves_at_first(place):
    served = place.serving.observe(HERE)
    assert (served.stable, served.candidate, served.incoming) == (ABSENT, ABSENT, ABSENT)
    assert place.send(body()) == (503, None)
    assert place.serving.ask(HERE, ArmName.CANDIDATE, body(), 5).status is None


def test_a_revision_reports_its_own_digest(place):
    source = place.source(GOOD, "1")
    serve(place, source)
    served = place.serving.observe(HERE)
    assert (served.stable.digest, served.stable.readiness) == (source.digest, Readiness.READY)
    assert served.candidate == ABSENT
    assert place.send(body()) == (200, "1")


def test_a_candidate_at_nothing_answers_the_bot_and_no_user(place):
    champion, candidate = place.source(GOOD, "1"), place.source(PICKY, "2")
    serve(place, champion)
    since = WallClock().now()
    with_candidate(place, champion, candidate, 0)
    assert place.serving.ask(HERE, ArmName.CANDIDATE, body("paper"), 5).status == 500
    assert {place.send(body()) for _ in range(10)} == {(200, "1")}
    found = counted(place, since, 10)
    assert (found.champion.requests, found.candidate.requests) == (10, 0)


def test_shares_are_counted_by_arm_then_promoted_and_taken_back(place):
    champion, candidate = place.source(GOOD, "1"), place.source(PICKY, "2")
    serve(place, champion)
    since = WallClock().now()
    with_candidate(place, champion, candidate, 50)
    assert place.serving.observe(HERE).candidate_weight == 50
    answers = [place.send(body("paper")) for _ in range(40)]
    found = counted(place, since, 40)
    assert found.candidate.errors == found.candidate.requests == answers.count((500, "2")) > 0
    assert (found.champion.requests, found.champion.errors) == (answers.count((200, "1")), 0)

    place.serving.apply(HERE, Wish(champion, candidate, 0))
    before = place.serving.standstill(HERE)
    assert {place.send(body("paper")) for _ in range(10)} == {(200, "1")}
    after = place.serving.standstill(HERE)
    assert isinstance(before, Standstill)
    assert isinstance(after, Standstill)
    assert before.total == after.total == found.candidate.requests

    place.serving.apply(HERE, Wish(stable=candidate))
    assert place.serving.observe(HERE).stable.version == "2"
    assert place.send(body()) == (200, "2")
    place.serving.apply(HERE, Wish(stable=champion))
    until(place, lambda served: served.stable.version == "1")
    assert place.send(body()) == (200, "1")


def test_a_broken_candidate_fails_and_harms_nobody(place):
    champion = place.source(GOOD, "1")
    serve(place, champion)
    place.serving.apply(HERE, Wish(champion, place.source(BROKEN, "2"), 50))
    served = until(place, lambda served: isinstance(served.candidate.readiness, Failure))
    assert served.candidate.readiness.kind is FailureKind.DOES_NOT_START
    assert served.candidate_weight == 0
    assert {place.send(body()) for _ in range(10)} == {(200, "1")}


def test_a_broken_stable_revision_does_not_replace_the_one_that_serves(place):
    serve(place, place.source(GOOD, "1"))
    place.serving.apply(HERE, Wish(stable=place.source(BROKEN, "2")))
    served = until(place, lambda served: isinstance(served.incoming.readiness, Failure))
    assert served.stable.version == "1"
    assert place.send(body()) == (200, "1")


def test_applying_again_changes_nothing(place):
    wish = Wish(stable=place.source(GOOD, "1"))
    serve(place, place.source(GOOD, "1"))
    before = place.serving.observe(HERE)
    place.serving.apply(HERE, wish)
    assert place.serving.observe(HERE) == before


def test_a_weight_is_a_percentage(place):
    with pytest.raises(Refused, match="0 to 100"):
        place.serving.apply(HERE, Wish(candidate_weight=101))
