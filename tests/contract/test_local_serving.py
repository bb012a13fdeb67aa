"""The real stack: Envoy, a model server per revision, in the sandbox where one starts."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from tests.support.served_models import (
    BROKEN,
    DIES_OF,
    GOOD,
    HUNGRY,
    LINKING,
    MORTAL,
    NAPS_ON,
    PICKY,
    PIPELINE,
    PYFUNC,
    SLEEPY,
)

from kfops.adapters.local.digest import digest_of_directory
from kfops.adapters.local.processes import alive
from kfops.adapters.local.sandbox import Confinement, NoSandbox, probe
from kfops.adapters.local.serving.adapter import LocalServing
from kfops.demo.traffic import Load
from kfops.domain.canary_facts import Counts, Failure, FailureKind, Readiness, Standstill
from kfops.domain.environment import EnvironmentKey
from kfops.domain.rollout import Counting
from kfops.ports.errors import Refused, Unavailable
from kfops.ports.serving import ArmName, ModelSource, Served, Wish

pytestmark = pytest.mark.xdist_group("serving")  # its models are made once
PRODUCTION = EnvironmentKey(7, "churn", "production")
STAGING = EnvironmentKey(7, "churn", "staging")


def body(contract: str = "m", tenure: float = 1) -> bytes:
    return json.dumps({"instances": [{"tenure": tenure, "contract": contract}]}).encode()


class WallClock:
    def now(self) -> datetime:
        return datetime.fromtimestamp(time.time(), UTC)


@pytest.fixture(scope="module")
def sandbox() -> Confinement:
    """The real one where it starts."""
    found = probe()
    return NoSandbox() if isinstance(found, str) else found


@pytest.fixture
def model(served_models) -> Callable[[str, str], ModelSource]:
    def source(name: str, version: str) -> ModelSource:
        place = served_models / name
        return ModelSource(place, digest_of_directory(place), version, "churn")

    return source


@pytest.fixture
def serving(tmp_path, sandbox) -> Iterator[LocalServing]:
    # Deep on purpose: the kernel allows 107 bytes for a socket's path.
    adapter = LocalServing(tmp_path / ("deep-" * 20) / "stack", sandbox, WallClock(), ready_within_s=30)
    yield adapter
    adapter.shutdown()


def until(
    serving: LocalServing, is_so: Callable[[Served], bool], environment=PRODUCTION, within_s=25.0
) -> Served:
    deadline = time.monotonic() + within_s
    while not is_so(served := serving.observe(environment)):
        assert time.monotonic() < deadline, served
        time.sleep(0.02)
    return served


def candidate_ready(served: Served) -> bool:
    assert not isinstance(served.candidate.readiness, Failure), served
    return served.candidate.readiness is Readiness.READY


def serve(serving: LocalServing, source: ModelSource, environment=PRODUCTION) -> str:
    """As the stable revision."""
    serving.apply(environment, Wish(stable=source))
    until(serving, lambda served: served.stable.version == source.version, environment)
    return serving.url(environment)


def with_candidate(serving: LocalServing, stable: ModelSource, candidate: ModelSource) -> None:
    serving.apply(PRODUCTION, Wish(stable, candidate, 0))
    until(serving, candidate_ready)


def counts(serving: LocalServing, since: datetime, environment=PRODUCTION) -> Counts:
    found = serving.counts(environment, Counting(since, None, None, None))
    assert isinstance(found, Counts), found
    return found


def settled_counts(serving: LocalServing, since: datetime, requests: int) -> Counts:
    """Once the log has caught up."""
    deadline = time.monotonic() + 5
    while True:
        found = counts(serving, since)
        if found.candidate.requests + found.champion.requests >= requests or time.monotonic() > deadline:
            return found
        time.sleep(0.02)


def failure(serving: LocalServing) -> Failure:
    served = until(serving, lambda served: isinstance(served.candidate.readiness, Failure))
    assert isinstance(served.candidate.readiness, Failure)
    return served.candidate.readiness


def test_a_first_deployment_from_nothing_to_all_users(serving, model):
    url, source = serving.url(PRODUCTION), model(GOOD, "1")
    nothing = httpx.post(f"{url}/predict", content=body())
    assert (nothing.status_code, nothing.json()) == (503, {"error": "no model is deployed here"})
    serving.apply(PRODUCTION, Wish(candidate=source))
    until(serving, candidate_ready)
    assert serving.ask(PRODUCTION, ArmName.CANDIDATE, body(), 5).status == 200
    assert serving.ask(PRODUCTION, ArmName.STABLE, body(), 5).status is None
    assert httpx.post(f"{url}/predict", content=body()).status_code == 503
    serving.apply(PRODUCTION, Wish(candidate=source, candidate_weight=100))
    assert httpx.post(f"{url}/predict", content=body()).status_code == 200
    serving.apply(PRODUCTION, Wish(stable=source))
    served = serving.observe(PRODUCTION)
    assert (served.stable.digest, served.stable.version) == (source.digest, "1")
    assert (served.candidate.readiness, served.url) == (Readiness.ABSENT, url)
    serving.apply(PRODUCTION, Wish())
    assert httpx.post(f"{url}/predict", content=body()).status_code == 503


def test_the_protocols(serving, model):
    url = serve(serving, model(PIPELINE, "3"))
    with httpx.Client(base_url=url, trust_env=False) as users:
        v1 = users.post("/v1/models/churn:predict", content=body())
        assert (v1.json(), v1.headers["x-kfops-version"]) == ({"predictions": ["yes"]}, "3")
        assert v1.headers["x-kfops-revision"] == model(PIPELINE, "3").digest
        assert users.get("/v1/models/churn").json() == {"name": "churn", "ready": True}
        klearn = users.post("/predict", content=body("y", 60)).json()
        assert klearn["predictions"] == ["no"]
        assert sum(klearn["probabilities"][0]) == pytest.approx(1)
        tensors = [
            {"name": "tenure", "shape": [2], "datatype": "FP64", "data": [1, 60]},
            {"name": "contract", "shape": [2, 1], "datatype": "BYTES", "data": [["m"], ["y"]]},
        ]
        v2 = users.post("/v2/models/churn/infer", json={"id": "x", "inputs": tensors}).json()
        assert (v2["id"], v2["outputs"][0]["data"], v2["outputs"][0]["shape"]) == ("x", ["yes", "no"], [2])
        assert users.get("/v2/models/churn/ready").status_code == 200
        assert users.get("/v2/health/ready").status_code == 200
        assert users.get("/v2/models/churn").json()["versions"] == ["3"]
        assert users.get("/v2/models/other/ready").status_code == 404


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{", "no JSON"),
        (b"\xff", "no JSON"),
        (b"[]", "instances"),
        (b'{"instances": []}', "at least one row"),
        (b'{"instances": [{"tenure": 1}]}', "'contract' (string) missing"),
        (b'{"instances": [{"tenure": "1", "contract": "m"}]}', "instances[0].tenure"),
        (b'{"instances": [[1]]}', "found 1 values; expected 2"),
        (b'{"instances": [{"tenure": NaN, "contract": "m"}]}', "NaN"),
        pytest.param(b"[" * 100_000, "no JSON", id="deep"),
    ],
)
def test_bad_input_is_the_callers_error_with_a_sentence(content, words, one_good_stack):
    answer = one_good_stack.ask(PRODUCTION, ArmName.STABLE, content, 5)
    assert answer.status == 400
    assert words in json.loads(answer.body)["error"]


@pytest.fixture(scope="module")
def one_good_stack(served_models, tmp_path_factory, sandbox) -> Iterator[LocalServing]:
    adapter = LocalServing(tmp_path_factory.mktemp("shared"), sandbox, WallClock())
    directory = served_models / PICKY
    serve(adapter, ModelSource(directory, digest_of_directory(directory), "1", "churn"))
    yield adapter
    adapter.shutdown()


def test_a_model_that_fails_is_a_500_without_its_traceback(one_good_stack):
    answer = one_good_stack.ask(PRODUCTION, ArmName.STABLE, body("paper"), 5)
    assert answer.status == 500
    assert "unknown categories" in json.loads(answer.body)["error"]
    assert b"Traceback" not in answer.body


def test_what_the_bot_asks_is_not_counted(one_good_stack):
    since = WallClock().now()
    one_good_stack.ask(PRODUCTION, ArmName.STABLE, body(), 5)
    httpx.get(f"{one_good_stack.url(PRODUCTION)}/v2/models/churn/ready")
    httpx.post(f"{one_good_stack.url(PRODUCTION)}/predict", content=body())
    assert settled_counts(one_good_stack, since, 1).champion.requests == 1


def test_a_caller_cannot_shorten_the_time_out(one_good_stack):
    headers = {"x-envoy-upstream-rq-timeout-ms": "1", "x-envoy-upstream-rq-per-try-timeout-ms": "1"}
    url = f"{one_good_stack.url(PRODUCTION)}/predict"
    large = json.dumps({"instances": [{"tenure": 1, "contract": "m"}] * 20_000}).encode()
    assert httpx.post(url, content=large, headers=headers, timeout=20).status_code == 200


def test_a_canary_is_counted_as_its_users_saw_it(serving, model):
    champion, candidate = model(GOOD, "1"), model(PICKY, "2")
    url = serve(serving, champion)
    since = WallClock().now()
    with Load(f"{url}/predict", [body(), body(), body("y"), b"{}"], 100) as load:
        with_candidate(serving, champion, candidate)
        assert set(load.report().by_version) == {"1"}
        serving.apply(PRODUCTION, Wish(champion, candidate, 25))
        assert serving.observe(PRODUCTION).candidate_weight == 25
        until(serving, lambda _: load.report().by_version["2"] >= 20)
        began = time.perf_counter()
        serving.apply(PRODUCTION, Wish(champion, candidate, 0))
        print(f"weight change: {1000 * (time.perf_counter() - began):.1f} ms")
        serving.apply(PRODUCTION, Wish(champion, candidate, 50))
        until(serving, lambda _: load.report().by_version["2"] >= 40)
        seen = load.stop()
    found = settled_counts(serving, since, seen.sent)
    assert found.candidate.requests == seen.by_version["2"]
    assert found.champion.requests == seen.by_version["1"]
    assert found.candidate.client_errors + found.champion.client_errors == seen.by_status[400]
    assert found.candidate.errors + found.champion.errors == seen.lost == 0
    assert found.candidate.p95_ms is not None


def test_a_promotion_and_a_roll_back_under_load_lose_nothing(serving, model):
    champion, candidate = model(GOOD, "1"), model(PICKY, "2")
    url = serve(serving, champion)
    with_candidate(serving, champion, candidate)
    with Load(f"{url}/predict", [body()], 100) as load:
        until(serving, lambda _: load.report().sent >= 20)
        serving.apply(PRODUCTION, Wish(stable=candidate))
        served = serving.observe(PRODUCTION)
        assert (served.stable.version, served.stable.restarts) == ("2", 0)
        promoted_at = load.report().sent
        until(serving, lambda _: load.report().sent >= promoted_at + 60)
        serving.apply(PRODUCTION, Wish(stable=champion))  # and back to a recorded revision
        until(serving, lambda served: served.stable.version == "1")
        back_at = load.report().sent
        until(serving, lambda _: load.report().sent >= back_at + 40)
        seen = load.stop()
    assert seen.losses == ()
    assert seen.by_version["2"] > 0
    assert seen.by_version["1"] > 0


def test_a_model_that_fails_on_a_category_is_counted_and_stands_still_after_the_roll_back(serving, model):
    champion, candidate = model(GOOD, "1"), model(PICKY, "2")
    url = serve(serving, champion)
    with_candidate(serving, champion, candidate)
    since = WallClock().now()
    serving.apply(PRODUCTION, Wish(champion, candidate, 50))
    with Load(f"{url}/predict", [body(), body("paper")], 100) as load:
        until(serving, lambda _: counts(serving, since).candidate.errors >= 5)
        serving.apply(PRODUCTION, Wish(champion, candidate, 0))
        wished_at = WallClock().now()
        still = serving.standstill(PRODUCTION)
        sent = load.report().sent
        until(serving, lambda _: load.report().sent >= sent + 40)
        later = serving.standstill(PRODUCTION)
        seen = load.stop()
    assert isinstance(still, Standstill)
    assert isinstance(later, Standstill)
    assert later.total - still.total <= 2
    assert later.last_request_at is not None
    late_ms = 1000 * (later.last_request_at - wished_at).total_seconds()
    print(f"last request on the canary {late_ms:.1f} ms after the verdict")
    assert late_ms <= 100
    found = settled_counts(serving, since, seen.sent)
    assert found.candidate.errors == seen.lost
    assert found.champion.errors == 0
    assert found.candidate.first_bad_at is not None
    serving.apply(PRODUCTION, Wish(stable=champion))
    until(serving, lambda served: served.candidate.readiness is Readiness.ABSENT)


def test_a_candidate_that_dies_gets_no_more_requests_and_says_how(serving, model):
    champion, candidate = model(GOOD, "1"), model(MORTAL, "2")
    url = serve(serving, champion)
    with_candidate(serving, champion, candidate)
    serving.apply(PRODUCTION, Wish(champion, candidate, 50))
    assert serving.ask(PRODUCTION, ArmName.CANDIDATE, body(DIES_OF), 5).status is None
    died = failure(serving)
    assert (died.kind, "exit code 7" in died.message) == (FailureKind.DIED, True)
    assert serving.observe(PRODUCTION).candidate_weight == 0
    assert {httpx.post(f"{url}/predict", content=body()).status_code for _ in range(20)} == {200}


def test_a_caller_who_gave_up_waiting_is_an_error_and_one_who_never_asked_is_not(serving, model):
    url = serve(serving, model(MORTAL, "1"))
    since = WallClock().now()
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{url}/predict", content=body(NAPS_ON), timeout=0.3)
    with socket.create_connection(("127.0.0.1", int(url.rsplit(":", 1)[1]))) as halfway:
        halfway.sendall(b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{")
        until(serving, lambda _: counts(serving, since).champion.requests == 1)
    found = settled_counts(serving, since, 2).champion
    assert (found.requests, found.errors, found.client_errors) == (2, 1, 1)


def test_a_stable_revision_that_dies_is_brought_back(serving, model):
    source = model(MORTAL, "1")
    url = serve(serving, source)
    assert httpx.post(f"{url}/predict", content=body(DIES_OF)).status_code == 503
    served = until(serving, lambda s: s.stable.restarts == 1 and s.stable.readiness is Readiness.READY)
    assert served.stable.version == "1"
    assert httpx.post(f"{url}/predict", content=body()).status_code == 200


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        (BROKEN, FailureKind.DOES_NOT_START, "No module named 'no_such_library'"),
        (HUNGRY, FailureKind.OUT_OF_MEMORY, "MemoryError"),
    ],
)
def test_failures_to_start_are_told_apart(serving, model, name, kind, words):
    serving.apply(PRODUCTION, Wish(candidate=model(name, "1"), candidate_weight=100))
    found = failure(serving)
    assert found.kind is kind
    assert words in found.message


@pytest.mark.parametrize("name", [SLEEPY, LINKING])
def test_a_server_that_never_answers_is_never_ready(tmp_path, sandbox, model, name):
    serving = LocalServing(tmp_path / "stack", sandbox, WallClock(), ready_within_s=3)
    try:
        serving.apply(PRODUCTION, Wish(candidate=model(name, "1"), candidate_weight=100))
        assert failure(serving).kind is FailureKind.NEVER_READY
        # A link in the socket's place leads nobody to another socket.
        assert not list((tmp_path / "stack" / "slots").glob("*/*/m.sock"))
    finally:
        serving.shutdown()


def test_another_bot_process_finds_the_stack_and_a_new_stack_finds_the_wish(serving, model, sandbox):
    source = model(GOOD, "1")
    url = serve(serving, source)
    again = LocalServing(serving.folder, sandbox, WallClock())
    assert again.observe(PRODUCTION) == serving.observe(PRODUCTION)
    os.kill(again.stack().pid, signal.SIGKILL)
    served = until(again, lambda served: served.stable.readiness is Readiness.READY)
    assert (served.url, served.stable.version) == (url, "1")
    assert httpx.post(f"{url}/predict", content=body()).status_code == 200


def test_envoy_is_brought_back_with_the_weights_in_force(serving, model):
    url = serve(serving, model(GOOD, "1"))
    children = Path(f"/proc/{serving.stack().pid}/task/{serving.stack().pid}/children").read_text().split()
    (envoy,) = [int(pid) for pid in children if "bootstrap.json" in Path(f"/proc/{pid}/cmdline").read_text()]
    os.kill(envoy, signal.SIGKILL)

    def answers(_: Served) -> bool:
        try:
            return httpx.post(f"{url}/predict", content=body()).status_code == 200
        except httpx.TransportError:
            return False

    until(serving, answers)


def test_a_model_that_is_not_scikit_learns(serving, model):
    url = serve(serving, model(PYFUNC, "1"))
    answer = httpx.post(f"{url}/predict", json={"instances": [{"x": 21}]})
    assert answer.json() == {"predictions": [{"x": 42}]}


def test_without_a_sandbox_it_serves_all_the_same(tmp_path, model):
    serving = LocalServing(tmp_path / "stack", NoSandbox(), WallClock())
    try:
        url = serve(serving, model(GOOD, "1"))
        assert httpx.post(f"{url}/predict", content=body()).status_code == 200
    finally:
        serving.shutdown()


def test_a_stack_that_cannot_start_says_why(tmp_path):
    (tmp_path / "environments").mkdir()
    (tmp_path / "environments" / "x.json").write_text("{")
    with pytest.raises(Unavailable, match=r"does not start: .*line 1 column 2"):
        LocalServing(tmp_path, NoSandbox(), WallClock()).observe(PRODUCTION)


def test_environments_stand_side_by_side(serving, model):
    production, staging = serve(serving, model(GOOD, "1")), serve(serving, model(PICKY, "2"), STAGING)
    assert production != staging
    versions = [
        httpx.post(f"{url}/predict", content=body()).headers["x-kfops-version"]
        for url in (production, staging)
    ]
    assert versions == ["1", "2"]


def test_a_model_that_is_not_what_was_recorded_is_refused(serving, served_models):
    with pytest.raises(Refused, match="has digest"):
        serving.apply(PRODUCTION, Wish(stable=ModelSource(served_models / GOOD, "0" * 64, "1", "churn")))


def test_the_stack_ends_with_its_folder(serving, model):
    serve(serving, model(GOOD, "1"))
    stack = serving.stack()
    serving.folder.rename(serving.folder.with_name("gone"))
    deadline = time.monotonic() + 10
    while alive(stack):
        assert time.monotonic() < deadline
        time.sleep(0.02)
