"""Real pipelines: compiled in the sandbox, run with kfp.local under a supervisor that outlives its starter."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from tests.support.processes import processes_with

from kfops.adapters.local.pipelines.adapter import LocalPipelines
from kfops.adapters.local.processes import Handle, alive, stop
from kfops.adapters.local.sandbox import Limits, NoSandbox, probe
from kfops.domain.package import CompileFailure, Package
from kfops.domain.run import ENDED, FailureKind, RunState
from kfops.ports.errors import Refused
from kfops.ports.pipelines import CompileOrder, RunOrder

SECRET = "KFOPS_TEST_TOKEN_7f3a"
HEAD = """\
from kfp import dsl

def step(**more):
    return dsl.component(base_image="python:3.11-slim", install_kfp_package=False, **more)

"""
TWO_STEPS = (
    HEAD
    + '''
@step(embedded_artifact_path="model")
def first(x: int, code: dsl.EmbeddedInput[dsl.Artifact], model: dsl.Output[dsl.Model], heldout: dsl.Output[dsl.Dataset]) -> dict:
    import os
    print("x is", x, open("data/table.csv").read().strip())
    print('KFOPS_PROGRESS {"elapsed": 1, "trials": 2, "metric": "r2", "best": 0.5}', flush=True)
    os.mkdir(model.path)
    open(model.path + "/MLmodel", "w").write("flavors: {}")
    open(heldout.path, "w").write("rows")
    return {"learner": "lgbm"}

@step(embedded_artifact_path="model")
def second(x: int, model: dsl.Input[dsl.Model], code: dsl.EmbeddedInput[dsl.Artifact], metrics: dsl.Output[dsl.Metrics]):
    import json, thing
    metrics.log_metric("r2", 0.5)
    json.dump({"r2": 0.5, "bad": float("nan"), "text": "no"}, open(metrics.path, "w"))
    thing.look_up({}, "key") if x == 13 else None

@dsl.pipeline(name="two-steps", description="Two steps")
def two_steps(x: int = 3, words: list = ["a"]):
    """Does things.

    Args:
        x: how many
    """
    second(x=x, model=first(x=x).outputs["model"])
'''
)


@pytest.fixture(scope="module")
def sandbox():
    found = probe()
    if isinstance(found, str):
        pytest.skip(found)
    return found


class Now:
    def now(self):
        return datetime.now(UTC)  # noqa: TID251 - a clock is what this is


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "repository"
    (folder / "model").mkdir(parents=True)
    (folder / "data").mkdir()
    (folder / "data" / "table.csv").write_text("a,b\n")
    (folder / "model" / "thing.py").write_text("def look_up(table, key):\n    return table[key]\n")
    (folder / "pipeline.py").write_text(TWO_STEPS)
    return folder


@pytest.fixture
def pipelines(sandbox, tmp_path):
    made = LocalPipelines(tmp_path / "runs", sandbox, Now(), limits=Limits(file_bytes=64 << 20))
    yield made
    for handle in (tmp_path / "runs").glob("*/supervisor.json"):
        stop(Handle.from_json(handle.read_text()), grace_s=5)


def compiled(pipelines, repository, **more):
    order = CompileOrder(repository, "pipeline.py", repository.parent / "packages")
    return pipelines.compile(replace(order, **more))


def ordered(pipelines, repository, name="run-1", **more):
    package = compiled(pipelines, repository)
    assert isinstance(package, Package), package
    return RunOrder(
        name, package, repository, more.pop("parameters", {}), more.pop("timeout_s", 120.0), **more
    )


def awaited(pipelines, run_id, is_so=lambda status: status.state in ENDED, within_s=60):
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        status = pipelines.status(run_id)
        if is_so(status):
            return status
        time.sleep(0.05)
    raise AssertionError(f"not within {within_s} s: {status}")


def sleeping(repository):
    source = (
        "@step()\ndef sleeps():\n    import time\n    print('asleep', flush=True)\n    time.sleep(100)\n\n"
    )
    source += "@dsl.pipeline(name='sleepy')\ndef sleepy():\n    sleeps()\n"
    (repository / "pipeline.py").write_text(HEAD + source)
    return repository


def handle_of(tmp_path, run_id="run-1"):
    return Handle.from_json((tmp_path / "runs" / run_id / "supervisor.json").read_text())


def eventually(is_so, within_s=10.0):
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if is_so():
            return True
        time.sleep(0.05)
    return False


def is_running(status):
    return any(step.state is RunState.RUNNING for step in status.steps)


# Compiling


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (
            "@dsl.container_component\ndef c():\n    return dsl.ContainerSpec(image='alpine', command=['echo'])\n",
            "image alpine, which needs Kubeflow",
        ),
        ("@step(packages_to_install=['no-such-thing>=1'])\ndef c():\n    pass\n", "no-such-thing>=1"),
        ("@step(packages_to_install=['pandas<1'])\ndef c():\n    pass\n", "is installed"),
        ("@step(packages_to_install=['x @ https://example.org/x.whl'])\ndef c():\n    pass\n", "an address"),
    ],
)
def test_what_cannot_run_here_is_refused_with_the_fix(pipelines, repository, source, words):
    (repository / "pipeline.py").write_text(HEAD + source + "\n@dsl.pipeline(name='p')\ndef p():\n    c()\n")
    failure = compiled(pipelines, repository)
    assert isinstance(failure, CompileFailure)
    assert "step c" in failure.summary
    assert words in failure.summary


def test_installed_packages_may_be_asked_for(pipelines, repository):
    (repository / "pipeline.py").write_text(
        HEAD
        + "@step(packages_to_install=['pandas>=2'])\ndef c():\n    pass\n\n@dsl.pipeline(name='p')\ndef p():\n    c()\n"
    )
    assert isinstance(compiled(pipelines, repository), Package)


# Running


def test_a_run_from_submission_to_outputs(pipelines, repository, tmp_path):
    order = ordered(pipelines, repository, parameters={"x": 5}, labels={"pull_request": "7"})
    assert pipelines.find("run-1") is None
    run_id = pipelines.submit(order)
    assert pipelines.submit(order) == run_id == pipelines.find("run-1")
    status = awaited(pipelines, run_id)
    assert status.state is RunState.SUCCEEDED, status
    assert [(step.name, step.state) for step in status.steps] == [
        ("first", RunState.SUCCEEDED),
        ("second", RunState.SUCCEEDED),
    ]
    assert status.progress.trials == 2
    assert [point.best for point in status.curve] == [0.5]
    assert status.started_at <= status.ended_at
    assert "x is 5 a,b" in pipelines.log(run_id).read_text()

    outputs = pipelines.outputs(run_id)
    assert outputs == pipelines.outputs(run_id)
    assert (outputs.model / "MLmodel").read_text() == "flavors: {}"
    assert outputs.metrics == {"r2": 0.5}
    assert outputs.heldout.read_text() == "rows"
    assert outputs.values == {"first.Output": {"learner": "lgbm"}}
    assert (outputs.training_rows, outputs.problems) == (None, ())
    assert outputs.model.stat().st_uid == os.geteuid()
    assert len(outputs.model_digest) == 64

    pipelines.cancel(run_id)
    assert pipelines.status(run_id) == status
    assert len(list((tmp_path / "runs").iterdir())) == 1


def test_a_failing_step_is_told_with_its_place_in_the_repository(pipelines, repository):
    run_id = pipelines.submit(ordered(pipelines, repository, parameters={"x": 13}))
    status = awaited(pipelines, run_id)
    failure = status.failure
    assert status.state is RunState.FAILED
    assert (failure.kind, failure.step, failure.summary) == (FailureKind.STEP, "second", "KeyError: 'key'")
    assert (failure.path, failure.line) == ("model/thing.py", 2)
    assert "site-packages/kfp" not in failure.log_tail
    assert "KFP Executor" not in failure.log_tail
    assert 'File "model/thing.py", line 2' in failure.log_tail
    with pytest.raises(Refused, match="is FAILED"):
        pipelines.outputs(run_id)


@pytest.mark.parametrize(
    ("body", "hint"),
    [
        ("bytearray(1 << 40)", "more memory"),
        ("import no_such_thing", "no_such_thing"),
        ("import socket; socket.create_connection(('192.0.2.1', 80), 2)", "no network"),
    ],
)
def test_a_known_cause_has_a_hint(pipelines, repository, body, hint):
    source = f"@step()\ndef a():\n    {body}\n\n@dsl.pipeline(name='p')\ndef p():\n    a()\n"
    (repository / "pipeline.py").write_text(HEAD + source)
    failure = awaited(pipelines, pipelines.submit(ordered(pipelines, repository))).failure
    assert hint in failure.hint


def test_parameters_that_do_not_fit_are_told(pipelines, repository):
    run_id = pipelines.submit(ordered(pipelines, repository, parameters={"unknown": 1}))
    failure = awaited(pipelines, run_id).failure
    assert failure.kind is FailureKind.BACKEND
    assert "unknown" in failure.summary


def test_a_cancelled_run_ends(pipelines, repository, tmp_path):
    run_id = pipelines.submit(ordered(pipelines, sleeping(repository)))
    awaited(pipelines, run_id, is_running)
    pipelines.cancel(run_id)
    pipelines.cancel(run_id)
    status = awaited(pipelines, run_id)
    assert (status.state, status.steps[0].state, status.failure) == (
        RunState.CANCELED,
        RunState.CANCELED,
        None,
    )


def test_a_run_that_takes_too_long_is_ended(pipelines, repository):
    status = awaited(pipelines, pipelines.submit(ordered(pipelines, sleeping(repository), timeout_s=3)))
    assert (status.failure.kind, status.failure.step) == (FailureKind.TIMEOUT, "sleeps")
    assert status.failure.log_tail == "asleep"


def test_a_run_that_fills_the_disk_is_ended(sandbox, repository, tmp_path):
    source = (
        "@step()\ndef fills(out: dsl.Output[dsl.Dataset]):\n    import os, time\n    os.mkdir(out.path)\n"
    )
    source += "    for n in range(20):\n        open(f'{out.path}/{n}', 'wb').write(bytes(1 << 20))\n    time.sleep(60)\n"
    (repository / "pipeline.py").write_text(
        HEAD + source + "\n@dsl.pipeline(name='p')\ndef p():\n    fills()\n"
    )
    small = LocalPipelines(tmp_path / "runs", sandbox, Now(), disk_bytes=4 << 20)
    status = awaited(small, small.submit(ordered(small, repository)))
    assert status.failure.kind is FailureKind.OUT_OF_SPACE


def test_a_run_whose_supervisor_was_killed_is_lost_and_a_second_attempt_can_be_made(
    pipelines, repository, tmp_path
):
    order = ordered(pipelines, sleeping(repository))
    run_id = pipelines.submit(order)
    awaited(pipelines, run_id, is_running)
    os.kill(handle_of(tmp_path).pid, signal.SIGKILL)
    status = awaited(pipelines, run_id)
    assert status.is_lost
    assert status.steps[0].state is RunState.FAILED
    assert eventually(lambda: not processes_with(str(tmp_path / "runs" / run_id)))
    assert pipelines.submit(order) == run_id
    assert pipelines.status(run_id).is_lost
    second = pipelines.submit(replace(order, name="run-2"))
    awaited(pipelines, second, is_running)
    pipelines.cancel(second)
    assert awaited(pipelines, second).state is RunState.CANCELED


def test_a_lost_run_that_was_cancelled_is_cancelled(pipelines, repository, tmp_path):
    run_id = pipelines.submit(ordered(pipelines, sleeping(repository)))
    awaited(pipelines, run_id, is_running)
    handle = handle_of(tmp_path)
    os.kill(handle.pid, signal.SIGSTOP)
    pipelines.cancel(run_id)
    assert pipelines.status(run_id).state is RunState.CANCELING
    os.kill(handle.pid, signal.SIGKILL)
    assert awaited(pipelines, run_id).state is RunState.CANCELED


def test_a_run_outlives_who_submitted_it(sandbox, pipelines, repository, tmp_path):
    order = ordered(pipelines, repository)
    code = f"""
import sys
from datetime import UTC, datetime
from pathlib import Path
from pathlib import Path
from kfops.adapters.local.pipelines.adapter import LocalPipelines
from kfops.adapters.local.sandbox import probe
from kfops.domain.package import Package
from kfops.domain.package_ir import read_package
from kfops.ports.pipelines import RunOrder
class Now:
    def now(self): return datetime.now(UTC)
path = Path({str(order.package.path)!r})
package = Package(path, {order.package.digest!r}, read_package(path.read_text()))
p = LocalPipelines(Path({str(tmp_path / "runs")!r}), probe(), Now())
print(p.submit(RunOrder("run-1", package, Path({str(repository)!r}), {{}}, 60)))
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    assert awaited(pipelines, "run-1").state is RunState.SUCCEEDED
    assert pipelines.outputs("run-1").metrics == {"r2": 0.5}


@pytest.mark.parametrize("what", ["folder", "ledger"])
def test_a_run_that_nobody_can_want_ends_by_itself(sandbox, repository, tmp_path, what):
    ledger = tmp_path / "ledger.sqlite"
    ledger.touch()
    pipelines = LocalPipelines(tmp_path / "runs", sandbox, Now(), ledger=ledger)
    run_id = pipelines.submit(ordered(pipelines, sleeping(repository)))
    awaited(pipelines, run_id, is_running)
    handle = handle_of(tmp_path)
    if what == "folder":
        shutil.rmtree(tmp_path / "runs" / run_id)
    else:
        ledger.unlink()
    assert eventually(lambda: not alive(handle), within_s=20)


def test_a_second_supervisor_leaves_the_run_alone(pipelines, repository, tmp_path):
    run_id = pipelines.submit(ordered(pipelines, sleeping(repository)))
    awaited(pipelines, run_id, is_running)
    first = handle_of(tmp_path)
    module = "kfops.adapters.local.pipelines.supervise"
    subprocess.run([sys.executable, "-m", module, str(tmp_path / "runs" / run_id)], check=True, timeout=30)
    assert handle_of(tmp_path) == first
    assert alive(first)


def test_a_package_that_was_changed_is_not_run(pipelines, repository):
    order = ordered(pipelines, repository)
    order.package.path.write_text(order.package.path.read_text() + "\n")
    with pytest.raises(Refused, match="changed after it was compiled"):
        pipelines.submit(order)


@pytest.mark.parametrize("name", ["", "..", "a/b", ".hidden", "x" * 101, "a b"])
def test_a_name_is_no_path(pipelines, name):
    for call in (pipelines.find, pipelines.status, pipelines.cancel, pipelines.outputs):
        with pytest.raises(Refused, match="no name for a run"):
            call(name)


def test_a_run_that_is_not_there_is_refused(pipelines):
    with pytest.raises(Refused, match="no run nothing"):
        pipelines.status("nothing")


def test_data_outside_of_the_repository_is_read_and_never_written(pipelines, repository, tmp_path):
    (tmp_path / "sets").mkdir()
    data = tmp_path / "sets" / "table.csv"
    data.write_text("rows")
    other = tmp_path / "sets" / "other.csv"
    other.write_text(SECRET)
    source = f"@step()\ndef a(data: str) -> list:\n    import os\n    found = [open(data).read(), os.path.exists({str(other)!r})]\n"
    source += "    try:\n        open(data, 'a').write('x')\n        found.append('wrote')\n    except OSError:\n        pass\n    return found\n"
    (repository / "pipeline.py").write_text(
        HEAD + source + "\n@dsl.pipeline(name='p')\ndef p(data: str):\n    a(data=data)\n"
    )
    run_id = pipelines.submit(ordered(pipelines, repository, data=(data,), parameters={"data": str(data)}))
    assert awaited(pipelines, run_id).state is RunState.SUCCEEDED
    outputs = pipelines.outputs(run_id)
    assert outputs.values == {"a.Output": ["rows", False]}
    assert outputs.digests["data"] == hashlib.sha256(b"rows").hexdigest()


def test_outputs_that_lead_elsewhere_are_not_taken(pipelines, repository, tmp_path):
    (tmp_path / "secret").write_text(SECRET)
    source = f"""@step()
def a(model: dsl.Output[dsl.Model], metrics: dsl.Output[dsl.Metrics], heldout: dsl.Output[dsl.Dataset]):
    import os
    os.mkdir(model.path)
    open(model.path + '/MLmodel', 'w').write('x')
    os.symlink('/etc/passwd', model.path + '/extra')
    os.symlink({str(tmp_path / "secret")!r}, metrics.path)
    os.mkfifo(heldout.path)

@dsl.pipeline(name='p')
def p():
    a()
"""
    (repository / "pipeline.py").write_text(HEAD + source)
    run_id = pipelines.submit(ordered(pipelines, repository))
    awaited(pipelines, run_id)
    outputs = pipelines.outputs(run_id)
    assert (outputs.model, outputs.metrics_file, outputs.heldout, outputs.metrics) == (None, None, None, {})
    assert any("artifact model was not taken" in problem for problem in outputs.problems)


def test_a_step_has_no_secret_and_only_its_own_modules(pipelines, repository, monkeypatch):
    monkeypatch.setenv("GITHUB_TOKEN", SECRET)
    source = "@step()\ndef a() -> list:\n    import os, sys\n    return [sorted(os.environ), [p for p in sys.path if p in ('', '/repo')]]\n"
    (repository / "pipeline.py").write_text(HEAD + source + "\n@dsl.pipeline(name='p')\ndef p():\n    a()\n")
    run_id = pipelines.submit(ordered(pipelines, repository))
    awaited(pipelines, run_id)
    environment, paths = pipelines.outputs(run_id).values["a.Output"]
    assert "GITHUB_TOKEN" not in environment
    assert paths == []


def test_a_log_without_end_is_cut(pipelines, repository, tmp_path):
    source = "@step()\ndef a():\n    import sys\n    for _ in range(20):\n        sys.stdout.write('x' * (1 << 20))\n    print()\n    print('end')\n    raise SystemExit('enough')\n"
    (repository / "pipeline.py").write_text(HEAD + source + "\n@dsl.pipeline(name='p')\ndef p():\n    a()\n")
    run_id = pipelines.submit(ordered(pipelines, repository))
    status = awaited(pipelines, run_id)
    assert status.failure.summary == "enough"
    assert pipelines.log(run_id).stat().st_size <= 17 << 20
    assert len(status.failure.log_tail) < 100_000


def test_without_a_sandbox_a_run_goes_the_same_way(repository, tmp_path):
    plain = LocalPipelines(tmp_path / "runs", NoSandbox(), Now())
    run_id = plain.submit(ordered(plain, repository))
    status = awaited(plain, run_id)
    assert status.state is RunState.SUCCEEDED, status
    assert plain.outputs(run_id).metrics == {"r2": 0.5}


def test_a_sandbox_that_does_not_start_is_told(repository, tmp_path, sandbox):
    order = ordered(LocalPipelines(tmp_path / "runs", sandbox, Now()), repository)
    broken = LocalPipelines(tmp_path / "runs", replace(sandbox, bwrap=tmp_path / "none"), Now())
    failure = awaited(broken, broken.submit(order)).failure
    assert failure.kind is FailureKind.BACKEND
    assert "cannot be started" in failure.summary
