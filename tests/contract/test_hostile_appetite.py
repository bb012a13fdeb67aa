"""Hostile repositories: code that forks, fills memory, disk and output, and does not want to end.

Each ends in a failure with a sentence, nothing of it goes on, and the next run works. Every point of the corpus and
where it is played: `tests/contract/README.md`.
"""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime

import pytest
from tests.support.processes import processes_with

from kfops.adapters.local.digest import digest_of_directory
from kfops.adapters.local.disk import too_much
from kfops.adapters.local.pipelines.adapter import LocalPipelines
from kfops.adapters.local.process_tree import descendants, memory_of
from kfops.adapters.local.processes import Handle, stop
from kfops.adapters.local.sandbox import Limits, probe
from kfops.adapters.local.serving.adapter import LocalServing
from kfops.domain.canary_facts import Failure, FailureKind, Readiness
from kfops.domain.environment import EnvironmentKey
from kfops.domain.package import CompileFailure, Package
from kfops.domain.run import ENDED, RunState
from kfops.ports.pipelines import CompileOrder, RunOrder
from kfops.ports.serving import ArmName, ModelSource, Wish

MIB = 1 << 20
SMALL = Limits(memory_bytes=1024 * MIB, processes=48, file_bytes=32 * MIB, scratch_bytes=16 * MIB)
PLACE = EnvironmentKey(1, "churn", "production")
MARK = "kfops-hostile-child"
STEP = """
from kfp import dsl
@dsl.component(base_image="python:3.11-slim", install_kfp_package=False)
def a() -> str:
BODY
@dsl.pipeline(name="p")
def p():
    a()
"""
FORKS = """
import os, time
while True:
    if os.fork() == 0:
        time.sleep(1)
        os._exit(0)
"""
MEMORY_TOGETHER = """
import os, time
for _ in range(5):
    if os.fork() == 0:
        kept = b"x" * (256 << 20)
        time.sleep(60)
time.sleep(60)
"""
SCRATCH = """
for folder in ("/tmp", "/dev/shm"):
    try:
        for number in range(64):
            open(f"{folder}/{number}", "wb").write(bytes(1 << 20))
        raise SystemExit("it went on without end")
    except OSError as error:
        said = error.strerror
raise SystemExit(said)
"""
ONE_FILE = """
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
open("/run/out/big", "wb").write(bytes(64 << 20))
"""
FINE = "return 'fine'"


class Now:
    def now(self):
        return datetime.now(UTC)  # noqa: TID251 - a clock is what this is


@pytest.fixture(scope="module")
def sandbox():
    found = probe()
    if isinstance(found, str):
        pytest.skip(found)
    return found


@pytest.fixture
def pipelines(sandbox, tmp_path):
    made = LocalPipelines(tmp_path / "runs", sandbox, Now(), limits=SMALL, disk_bytes=256 * MIB)
    yield made
    for handle in (tmp_path / "runs").glob("*/supervisor.json"):
        stop(Handle.from_json(handle.read_text()), grace_s=5)


@pytest.fixture
def serving(sandbox, tmp_path):
    made = LocalServing(tmp_path / "stack", sandbox, Now(), ready_within_s=30, limits=SMALL)
    yield made
    made.shutdown()


def submitted(pipelines, tmp_path, body, name):
    repository = tmp_path / name
    repository.mkdir()
    text = "".join(f"    {line}\n" for line in body.strip().splitlines())
    (repository / "pipeline.py").write_text(STEP.replace("BODY", text))
    package = pipelines.compile(CompileOrder(repository, "pipeline.py", tmp_path / "packages"))
    assert isinstance(package, Package), package
    return pipelines.submit(RunOrder(name, package, repository, {}, 60.0))


def until(is_so, look, within_s=60.0):
    deadline = time.monotonic() + within_s
    while not is_so(seen := look()):
        assert time.monotonic() < deadline, seen
        time.sleep(0.05)
    return seen


def ended(pipelines, run_id):
    return until(lambda status: status.state in ENDED, lambda: pipelines.status(run_id))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (FORKS, "Resource temporarily unavailable"),
        (MEMORY_TOGETHER, "took more than the 1 GiB of memory"),
        (SCRATCH, "No space left on device"),
        (ONE_FILE, "File too large"),
    ],
    ids=["forks", "memory of many", "scratch space", "one large file"],
)
def test_r11_a_step_that_takes_too_much_fails_with_a_sentence(pipelines, tmp_path, body, words):
    failed = ended(pipelines, submitted(pipelines, tmp_path, body, "hostile"))
    assert failed.state is RunState.FAILED
    assert words in failed.failure.summary
    assert failed.failure.step == "a"
    until(lambda left: not left, lambda: processes_with(str(tmp_path / "runs" / "hostile")), within_s=5)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("import sys\nwhile True:\n    sys.stderr.write('x' * 100_000)\n", "File too large"),
        ("import os, time\nos.fork() or time.sleep(100)\nos.close(2)\nraise SystemExit('done')\n", "done"),
        ("import os\nwhile True:\n    os.fork() or __import__('time').sleep(1)\n", "temporarily unavailable"),
        ("open('/tmp/big', 'wb').write(bytes(300 << 20))\n", "File too large"),
    ],
    ids=["output", "a child that stays", "forks", "one large file"],
)
def test_r11_a_pipeline_file_that_takes_too_much_is_told_with_a_sentence(pipelines, tmp_path, body, words):
    (tmp_path / "greedy").mkdir()
    (tmp_path / "greedy" / "pipeline.py").write_text(body)
    order = CompileOrder(tmp_path / "greedy", "pipeline.py", tmp_path / "packages", timeout_s=20)
    failure = pipelines.compile(order)
    assert isinstance(failure, CompileFailure)
    assert words in failure.summary
    assert len(failure.log_tail) < 10_000
    until(lambda left: not left, lambda: processes_with(str(tmp_path / "greedy")), within_s=5)


def test_r11_a_run_that_ignores_sigterm_and_hides_its_children_ends_when_it_is_cancelled(pipelines, tmp_path):
    body = f"""
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
hide = "import os, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); os.setsid(); os.fork() and os._exit(0); time.sleep(300)"
subprocess.run([sys.executable, "-c", hide, {MARK!r}])
print("hidden", flush=True)
time.sleep(300)
"""
    run_id = submitted(pipelines, tmp_path, body, "stubborn")
    until(lambda log: log.exists() and "hidden" in log.read_text(), lambda: pipelines.log(run_id))
    assert processes_with(MARK)
    pipelines.cancel(run_id)
    assert ended(pipelines, run_id).state is RunState.CANCELED
    until(lambda left: not left, lambda: processes_with(MARK), within_s=5)
    run_id = submitted(pipelines, tmp_path, FINE, "next")
    assert ended(pipelines, run_id).state is RunState.SUCCEEDED
    assert pipelines.outputs(run_id).values == {"a.Output": "fine"}


def test_r11_a_run_with_too_many_files_has_no_more_of_them(tmp_path):
    for number in range(20):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "empty").touch()
    assert too_much(tmp_path, MIB, whose="the run", most_files=40) == ""
    assert too_much(tmp_path, MIB, whose="the run", most_files=39) == "the run wrote more than 39 files"


def test_memory_that_is_shared_is_counted_once_where_it_matters(tmp_path):
    import mmap
    import os

    before = memory_of(os.getpid(), suspicious=0)
    shared = mmap.mmap(-1, 64 * MIB)
    shared.write(b"x" * 64 * MIB)
    child = os.fork()
    if child == 0:
        shared.seek(0)
        while shared.read(MIB):
            pass
        time.sleep(20)
        os._exit(0)
    try:
        assert child in descendants(os.getpid())
        until(lambda seen: seen > before + 120 * MIB, lambda: memory_of(os.getpid(), suspicious=1 << 50), 10)
        assert memory_of(os.getpid(), suspicious=0) < before + 100 * MIB
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)


def model(tmp_path, predict, name="model"):
    """A model whose code is its own; `predict` is the body of the method."""
    folder = tmp_path / name
    (folder / "code").mkdir(parents=True)
    (folder / "MLmodel").write_text(
        "flavors:\n  sklearn: {pickled_model: model.pkl, serialization_format: cloudpickle, code: code}\n"
    )
    (folder / "model.pkl").write_bytes(b"chostile\nModel\n)\x81.")
    body = "".join(f"        {line}\n" for line in predict.strip().splitlines())
    (folder / "code" / "hostile.py").write_text(
        f"class Model:\n    def predict(self, rows):\n{body}        return ['fine'] * len(rows)\n"
    )
    return ModelSource(folder, digest_of_directory(folder), name, "churn")


GOOD = "pass"
FILLS_ITS_FOLDER = """
import os, time
os.makedirs("/sock/more/m.sock")
for number in range(40):
    open(f"/sock/more/{number}", "wb").write(bytes(8 << 20))
time.sleep(60)
"""
PRINTS = """
import sys
for _ in range(3000):
    print("x" * 10000)
"""


@pytest.mark.parametrize(
    ("predict", "kind", "words"),
    [
        (FILLS_ITS_FOLDER, FailureKind.DIED, "wrote more than"),
        (MEMORY_TOGETHER, FailureKind.OUT_OF_MEMORY, "of memory that it may"),
    ],
    ids=["disk", "memory of many"],
)
def test_r11_a_served_model_that_takes_too_much_is_ended_and_the_stable_one_serves_on(
    serving, tmp_path, predict, kind, words
):
    good, bad = model(tmp_path, GOOD, "good"), model(tmp_path, predict, "bad")
    serving.apply(PLACE, Wish(stable=good))
    until(lambda seen: seen.stable.version == "good", lambda: serving.observe(PLACE))
    serving.apply(PLACE, Wish(good, bad, 0))
    until(lambda seen: seen.candidate.readiness is Readiness.READY, lambda: serving.observe(PLACE))
    serving.ask(PLACE, ArmName.CANDIDATE, json.dumps({"instances": [{"x": 1}]}).encode(), 1.0)
    failure = until(
        lambda found: isinstance(found, Failure), lambda: serving.observe(PLACE).candidate.readiness
    )
    assert failure.kind is kind
    assert words in failure.message
    assert answers_fine(serving, ArmName.STABLE)
    # The same slot is good for the next candidate, whatever was left in it.
    serving.apply(PLACE, Wish(stable=good))
    serving.apply(PLACE, Wish(good, model(tmp_path, GOOD, "better"), 0))
    until(lambda seen: seen.candidate.version == "better", lambda: serving.observe(PLACE))
    assert answers_fine(serving, ArmName.CANDIDATE)


def test_r11_a_served_model_that_writes_without_end_keeps_a_small_log(serving, tmp_path):
    serving.apply(PLACE, Wish(stable=model(tmp_path, PRINTS)))
    until(lambda seen: seen.stable.readiness is Readiness.READY, lambda: serving.observe(PLACE))
    for _ in range(3):
        serving.ask(PLACE, ArmName.STABLE, json.dumps({"instances": [{"x": 1}]}).encode(), 20.0)
    logs = list((tmp_path / "stack").rglob("server.log"))
    until(lambda sizes: max(sizes) <= 8 * MIB, lambda: [log.stat().st_size for log in logs], within_s=10)
    assert answers_fine(serving, ArmName.STABLE)


def answers_fine(serving, arm):
    answer = serving.ask(PLACE, arm, json.dumps({"instances": [{"x": 1}]}).encode(), 20.0)
    return json.loads(answer.body)["predictions"] == ["fine"]
