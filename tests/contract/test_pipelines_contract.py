"""What every implementation of `Pipelines` on one machine keeps: kfp.local in a sandbox, and the one in memory."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

import pytest
from tests.support.in_memory.pipelines import InMemoryPipelines, source

from kfops.adapters.local.digest import digest_of_directory
from kfops.adapters.local.pipelines.adapter import LocalPipelines
from kfops.adapters.local.processes import Handle, stop
from kfops.adapters.local.sandbox import NoSandbox, probe
from kfops.domain.package import CompileFailure, InputType, Package
from kfops.domain.run import ENDED, FailureKind, RunState, RunStatus
from kfops.ports.errors import Refused
from kfops.ports.pipelines import CompileOrder, Pipelines, RunOrder

REAL = """\
from kfp import dsl

def step():
    return dsl.component(base_image="python:3.11-slim", install_kfp_package=False)

@step()
def train(seed: int, model: dsl.Output[dsl.Model], heldout: dsl.Output[dsl.Dataset], metrics: dsl.Output[dsl.Metrics]):
    import json, os, time
    time.sleep({seconds})
    if {fails}:
        raise RuntimeError("train fails")
    os.mkdir(model.path)
    open(model.path + "/MLmodel", "w").write("flavors: {{}}")
    open(heldout.path, "w").write("tenure,churn\\n1,0\\n")
    json.dump({{"roc_auc": 0.8, "bad": float("nan")}}, open(metrics.path, "w"))

@dsl.pipeline(name="one-step")
def one_step(seed: int = 3):
    train(seed=seed)
"""


class Place(Protocol):
    pipelines: Pipelines
    folder: Path

    def source(self, seconds: float = 0.0, *, fails: bool = False) -> str: ...

    def broken(self) -> str: ...

    def pause(self) -> None: ...


class Memory:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.at = datetime(2026, 3, 1, tzinfo=UTC)
        self.pipelines: Pipelines = InMemoryPipelines(folder / "runs", self)

    def now(self) -> datetime:
        return self.at

    def source(self, seconds: float = 0.0, *, fails: bool = False) -> str:
        failing = "train" if fails else ""
        return source(
            steps={"train": seconds}, inputs={"seed": 3}, fails=failing, roc_auc=0.8, bad="not a number"
        )

    def broken(self) -> str:
        return "{'steps': {"

    def pause(self) -> None:
        self.at += timedelta(milliseconds=50)


class Machine:
    def __init__(self, folder: Path) -> None:
        found = probe()
        self.folder = folder
        self.pipelines: Pipelines = LocalPipelines(
            folder / "runs", NoSandbox() if isinstance(found, str) else found, self
        )

    def now(self) -> datetime:
        return datetime.fromtimestamp(time.time(), UTC)

    def source(self, seconds: float = 0.0, *, fails: bool = False) -> str:
        return REAL.format(seconds=seconds, fails=fails)

    def broken(self) -> str:
        return "def f(:\n"

    def pause(self) -> None:
        time.sleep(0.05)


@pytest.fixture(params=["memory", "machine"])
def place(request, tmp_path) -> Iterator[Place]:
    if request.param == "memory":
        yield Memory(tmp_path)
        return
    yield Machine(tmp_path)
    for handle in (tmp_path / "runs").glob("*/supervisor.json"):
        stop(Handle.from_json(handle.read_text()), grace_s=5)


def compiled(place: Place, text: str) -> Package | CompileFailure:
    repository = place.folder / "repository"
    repository.mkdir(exist_ok=True)
    (repository / "pipeline.py").write_text(text)
    return place.pipelines.compile(CompileOrder(repository, "pipeline.py", place.folder / "packages"))


def ordered(place: Place, text: str, **more: float) -> RunOrder:
    package = compiled(place, text)
    assert isinstance(package, Package), package
    return RunOrder("op-1-1", package, place.folder / "repository", {"seed": 5}, more.get("timeout_s", 60.0))


def followed(place: Place, run_id: str, within_s: float = 60.0) -> RunStatus:
    deadline = time.monotonic() + within_s
    while (status := place.pipelines.status(run_id)).state not in ENDED:
        assert time.monotonic() < deadline, status
        place.pause()
    return status


def test_a_pipeline_compiles_to_the_same_package_and_the_package_to_itself(place):
    package = compiled(place, place.source())
    assert isinstance(package, Package)
    assert [step.name for step in package.steps] == ["train"]
    assert [(one.name, one.type, one.default) for one in package.inputs] == [("seed", InputType.INT, 3)]
    assert compiled(place, place.source()) == package
    again = CompileOrder(package.path.parent, package.path.name, place.folder / "again")
    assert replace(place.pipelines.compile(again), path=package.path) == package


def test_what_does_not_compile_says_where(place):
    failure = compiled(place, place.broken())
    assert isinstance(failure, CompileFailure)
    assert "SyntaxError" in failure.summary
    assert (failure.path, failure.line) == ("pipeline.py", 1)


def test_a_run_hands_over_its_model_its_rows_and_its_finite_metrics(place):
    order = ordered(place, place.source())
    assert place.pipelines.find("op-1-1") is None
    run_id = place.pipelines.submit(order)
    assert place.pipelines.submit(order) == run_id == place.pipelines.find("op-1-1")
    status = followed(place, run_id)
    assert (status.state, [step.state for step in status.steps]) == (RunState.SUCCEEDED, [RunState.SUCCEEDED])
    assert status.started_at is not None
    outputs = place.pipelines.outputs(run_id)
    assert outputs.model is not None
    assert outputs.model_digest == digest_of_directory(outputs.model)
    assert outputs.heldout is not None
    assert outputs.heldout.is_file()
    assert outputs.metrics == {"roc_auc": 0.8}
    assert place.pipelines.outputs(run_id).model_digest == outputs.model_digest


def test_a_step_that_fails_fails_the_run_and_is_named(place):
    run_id = place.pipelines.submit(ordered(place, place.source(fails=True)))
    status = followed(place, run_id)
    assert (status.state, [step.state for step in status.steps]) == (RunState.FAILED, [RunState.FAILED])
    assert status.failure is not None
    assert (status.failure.kind, status.failure.step) == (FailureKind.STEP, "train")
    assert "train fails" in status.failure.summary
    assert not status.is_lost
    with pytest.raises(Refused, match="only a run that SUCCEEDED"):
        place.pipelines.outputs(run_id)


def test_a_run_that_is_cancelled_ends_so_and_stays_so(place):
    run_id = place.pipelines.submit(ordered(place, place.source(seconds=50)))
    assert place.pipelines.status(run_id).state in {RunState.PENDING, RunState.RUNNING}
    place.pipelines.cancel(run_id)
    place.pipelines.cancel(run_id)
    assert place.pipelines.status(run_id).state in {RunState.CANCELING, RunState.CANCELED}
    assert followed(place, run_id).state is RunState.CANCELED
    place.pipelines.cancel(run_id)
    assert place.pipelines.status(run_id).state is RunState.CANCELED


def test_a_run_that_takes_too_long_is_ended(place):
    run_id = place.pipelines.submit(ordered(place, place.source(seconds=50), timeout_s=1.0))
    status = followed(place, run_id)
    assert status.state is RunState.FAILED
    assert status.failure is not None
    assert status.failure.kind is FailureKind.TIMEOUT


def test_a_package_that_was_changed_is_not_run(place):
    order = ordered(place, place.source())
    order.package.path.write_bytes(order.package.path.read_bytes() + b"\n")
    with pytest.raises(Refused, match="was changed after it was compiled"):
        place.pipelines.submit(order)


@pytest.mark.parametrize("name", ["", "../up", "a b", "x" * 101])
def test_a_name_is_no_path(place, name):
    with pytest.raises(Refused, match="is no name for a run"):
        place.pipelines.find(name)


def test_there_is_no_run_that_nobody_submitted(place):
    assert place.pipelines.find("op-9-1") is None
    with pytest.raises(Refused, match="there is no run op-9-1"):
        place.pipelines.status("op-9-1")
