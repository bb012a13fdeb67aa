"""Hostile repositories: code that looks for secrets, files, other repositories and servers, wherever it gets to run.

Every point of the corpus and where it is played: `tests/contract/README.md`.
"""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime

import pytest
from tests.support.hostile import LOOK_AROUND, SECRET, surroundings

from kfops.adapters.local.digest import digest_of_directory
from kfops.adapters.local.pipelines.adapter import LocalPipelines
from kfops.adapters.local.processes import Handle, stop
from kfops.adapters.local.sandbox import NoSandbox, probe
from kfops.adapters.local.scoring.adapter import LocalScoring
from kfops.adapters.local.serving.adapter import LocalServing
from kfops.domain.canary_facts import Readiness
from kfops.domain.environment import EnvironmentKey
from kfops.domain.evidence import Comparison
from kfops.domain.package import Package
from kfops.domain.run import ENDED, RunState
from kfops.ports.pipelines import CompileOrder, RunOrder
from kfops.ports.serving import ArmName, ModelSource, Wish

ML_MODEL = "flavors:\n  sklearn: {pickled_model: model.pkl, serialization_format: cloudpickle, code: code}\n"
STEP = """
from kfp import dsl
@dsl.component(base_image="python:3.11-slim", install_kfp_package=False)
def a() -> list:
BODY
    return CALL

@dsl.pipeline(name="p")
def p():
    a()
"""


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
def bot(tmp_path, monkeypatch):
    """A bot's data folder with secrets in it, secrets in the bot's environment, servers beside it."""
    for name in ("GITHUB_TOKEN", "KFOPS_FORGE_TOKEN", "KFOPS_WEBHOOK_SECRETS", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, SECRET)
    (tmp_path / "data").mkdir()
    with surroundings(tmp_path / "data") as made:
        yield made


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "data" / "sources" / "1" / "head"
    folder.mkdir(parents=True)
    return folder


def test_the_search_finds_what_there_is_to_find(bot, tmp_path):
    """Without walls it gets at everything, so that a search that finds nothing says something."""
    names: dict[str, object] = {}
    exec(LOOK_AROUND, names)  # noqa: S102 - the very text that is played inside
    got = "\n".join(eval(bot.call(), names))  # noqa: S307
    for thing in ("ledger.db", "secret.py", *(f"127.0.0.1:{port}" for port in bot.ports), *bot.sockets):
        assert thing in got


def test_r11_nothing_is_found_while_compiling(bot, sandbox, repository, tmp_path):
    (repository / "pipeline.py").write_text(f"{LOOK_AROUND}\nraise SystemExit('got ' + repr({bot.call()}))\n")
    failure = compiled(sandbox, repository, tmp_path)
    assert failure.summary.endswith("got []"), failure
    assert SECRET not in failure.log_tail


def test_r11_nothing_is_found_while_running(bot, sandbox, repository, tmp_path):
    body = "".join(f"    {line}\n" for line in LOOK_AROUND.splitlines())
    (repository / "pipeline.py").write_text(STEP.replace("BODY", body).replace("CALL", bot.call()))
    pipelines = LocalPipelines(tmp_path / "data" / "pipelines", sandbox, Now())
    package = compiled(sandbox, repository, tmp_path)
    assert isinstance(package, Package), package
    run_id = pipelines.submit(RunOrder("run-1", package, repository, {}, 60.0))
    deadline = time.monotonic() + 60
    while (status := pipelines.status(run_id)).state not in ENDED and time.monotonic() < deadline:
        time.sleep(0.05)
    stop(
        Handle.from_json((tmp_path / "data" / "pipelines" / run_id / "supervisor.json").read_text()),
        grace_s=5,
    )
    assert status.state is RunState.SUCCEEDED, status
    assert pipelines.outputs(run_id).values == {"a.Output": []}
    assert SECRET not in pipelines.log(run_id).read_text()


def test_r11_nothing_is_found_while_scoring(bot, sandbox, tmp_path):
    pd = pytest.importorskip("pandas")
    rows = pd.DataFrame({"x": [1.0, 2.0] * 20, "churn": ["no", "yes"] * 20})
    rows.to_parquet(tmp_path / "heldout.parquet")
    model = searching_model(tmp_path, bot.call())
    scoring = LocalScoring(sandbox)
    order = {"task": "classification", "target": "churn"}
    scored = scoring.compare(model, None, tmp_path / "heldout.parquet", **order)
    # The model is right about every row as long as its search finds nothing.
    assert isinstance(scored, Comparison), scored
    assert scored.challenger["accuracy"] == 1.0
    without = LocalScoring(NoSandbox()).compare(model, None, tmp_path / "heldout.parquet", **order)
    assert without.challenger["accuracy"] == 0.0


def test_r11_nothing_is_found_while_serving(bot, sandbox, tmp_path):
    """Envoy's administration, the stack's control, MLflow, the dashboard: a served model reaches none of them."""
    stack = tmp_path / "data" / "serving"
    serving = LocalServing(stack, sandbox, Now(), ready_within_s=30)
    place = EnvironmentKey(1, "churn", "production")
    try:
        serving.observe(place)  # the stack runs
        sockets = [str(path) for path in stack.rglob("*.sock")]
        assert any("admin" in path for path in sockets)
        port = int(serving.observe(place).url.rpartition(":")[2])
        model = searching_model(tmp_path, bot.call(*sockets, ports=[port]))
        serving.apply(place, Wish(stable=ModelSource(model, digest_of_directory(model), "1", "churn")))
        deadline = time.monotonic() + 40
        while (seen := serving.observe(place)).stable.readiness is not Readiness.READY:
            assert time.monotonic() < deadline, seen
            time.sleep(0.05)
        answer = serving.ask(place, ArmName.STABLE, json.dumps({"instances": [{"x": 2}]}).encode(), 20)
        assert json.loads(answer.body)["predictions"] == ["yes"], answer.body
    finally:
        serving.shutdown()


def compiled(sandbox, repository, tmp_path):
    order = CompileOrder(repository, "pipeline.py", tmp_path / "data" / "packages")
    return LocalPipelines(tmp_path / "data" / "pipelines", sandbox, Now()).compile(order)


def searching_model(tmp_path, call):
    """A model that answers rightly as long as it found nothing, and with what it found otherwise."""
    folder = tmp_path / "model"
    (folder / "code").mkdir(parents=True)
    (folder / "MLmodel").write_text(ML_MODEL)
    (folder / "model.pkl").write_bytes(b"csearching\nModel\n)\x81.")
    (folder / "code" / "searching.py").write_text(
        f"{LOOK_AROUND}\n"
        "class Model:\n"
        '    classes_ = ["no", "yes"]\n'
        "    def predict(self, rows):\n"
        f"        got = {call}\n"
        "        if got:\n"
        "            return ['; '.join(got)] * len(rows)\n"
        "        return ['yes' if value > 1 else 'no' for value in rows['x']]\n"
    )
    return folder
