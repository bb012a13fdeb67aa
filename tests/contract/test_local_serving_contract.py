"""Serving on one machine, the real stack and the one in memory, by the contract of all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.support.in_memory.serving import OK, Behaviour, InMemoryServing
from tests.support.served_models import BROKEN, GOOD, PICKY
from tests.support.serving_contract import ServingContract, WallClock, body, serve, settled, with_candidate

from kfops.adapters.local.digest import digest_of_directory
from kfops.adapters.local.sandbox import Confinement, NoSandbox, probe
from kfops.adapters.local.serving.adapter import LocalServing
from kfops.domain.canary_facts import Failure, FailureKind
from kfops.domain.environment import EnvironmentKey
from kfops.ports.serving import ABSENT, ModelSource, Wish

pytestmark = pytest.mark.xdist_group("serving")  # its models are made once
HERE = EnvironmentKey(7, "churn", "production")


class Memory:
    key = HERE
    counted_within_s = 5.0

    def __init__(self, models: Path) -> None:
        self._models = models
        picky = Behaviour(lambda content: (500, b"{}") if b"paper" in content else OK)
        broken = Behaviour(starts=Failure(FailureKind.DOES_NOT_START, "No module named 'no_such_library'"))
        behaviours = {self.source(PICKY, "").digest: picky, self.source(BROKEN, "").digest: broken}
        self.serving = InMemoryServing(WallClock(), behaviours)
        self.traffic = self.serving

    def source(self, name: str, version: str) -> ModelSource:
        return ModelSource(self._models / name, digest_of_directory(self._models / name), version, "churn")

    def send(self, content: bytes) -> tuple[int, str | None]:
        return self.serving.send(HERE, content)


class Stack(Memory):
    def __init__(self, models: Path, folder: Path, sandbox: object) -> None:
        self._models = models
        self.serving = self.traffic = LocalServing(folder, sandbox, WallClock())
        self._users = httpx.Client(trust_env=False)

    def send(self, content: bytes) -> tuple[int, str | None]:
        answer = self._users.post(f"{self.serving.url(HERE)}/predict", content=content)
        return answer.status_code, answer.headers.get("x-kfops-version")

    def close(self) -> None:
        self._users.close()
        self.serving.shutdown()


@pytest.fixture(scope="module")
def sandbox() -> Confinement:
    """The real one where it starts."""
    found = probe()
    return NoSandbox() if isinstance(found, str) else found


@pytest.fixture(scope="module")
def stack(served_models, tmp_path_factory, sandbox) -> Iterator[Stack]:
    stack = Stack(served_models, tmp_path_factory.mktemp("stack"), sandbox)
    yield stack
    stack.close()


@pytest.fixture(params=["memory", "stack"])
def place(request, served_models) -> Iterator[Memory]:
    if request.param == "memory":
        yield Memory(served_models)
        return
    stack = request.getfixturevalue("stack")
    yield stack
    settled(stack, Wish(), lambda served: served.stable == served.candidate == ABSENT)


class TestLocalServing(ServingContract):
    pass


def test_a_weight_is_in_force_when_apply_returns(stack):
    champion, candidate = stack.source(GOOD, "1"), stack.source(PICKY, "2")
    serve(stack, champion)
    with_candidate(stack, champion, candidate, 50)
    stack.serving.apply(HERE, Wish(champion, candidate, 100))
    assert {stack.send(body()) for _ in range(10)} == {(200, "2")}
    stack.serving.apply(HERE, Wish(champion, candidate, 0))
    assert {stack.send(body()) for _ in range(10)} == {(200, "1")}
    stack.serving.apply(HERE, Wish(stable=candidate))
    assert {stack.send(body()) for _ in range(10)} == {(200, "2")}
    stack.serving.apply(HERE, Wish())
