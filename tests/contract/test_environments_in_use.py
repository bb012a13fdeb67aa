"""An environment made from requirements, where it is needed: compiling, running, scoring and serving import from it."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime

import pytest
from tests.support.servers.package_index import wheel

from kfops.adapters.local.digest import digest_of_directory
from kfops.adapters.local.environments.adapter import LocalEnvironments
from kfops.adapters.local.environments.index_source import OperatorsIndex
from kfops.adapters.local.pipelines.adapter import LocalPipelines
from kfops.adapters.local.processes import Handle, stop
from kfops.adapters.local.sandbox import NoSandbox, probe
from kfops.adapters.local.scoring.adapter import LocalScoring
from kfops.adapters.local.serving.adapter import LocalServing
from kfops.domain.canary_facts import Readiness
from kfops.domain.environment import EnvironmentKey
from kfops.domain.evidence import Comparison, ScoringFailure
from kfops.domain.package import CompileFailure, Package
from kfops.domain.run import ENDED, RunState
from kfops.ports.environments import EnvironmentOrder, Making
from kfops.ports.pipelines import CompileOrder, RunOrder
from kfops.ports.serving import ArmName, ModelSource, Wish

ACME = """\
NAME = "acme"
class Model:
    classes_ = ["no", "yes"]
    def predict(self, rows):
        return ["yes" if value > 1 else "no" for value in rows["x"]]
    def predict_proba(self, rows):
        return [[0.1, 0.9] if value > 1 else [0.9, 0.1] for value in rows["x"]]
"""
PIPELINE = """\
import acme_tool
from kfp import dsl

@dsl.component(base_image="python:3.11-slim", install_kfp_package=False, packages_to_install=["acme-tool>=1"])
def a() -> list:
    import acme_tool, sys
    try:
        open(acme_tool.__file__, "a")
        return ["wrote"]
    except OSError:
        return [acme_tool.NAME]

@dsl.pipeline(name=acme_tool.NAME)
def p():
    a()
"""
ML_MODEL = "flavors:\n  sklearn: {pickled_model: model.pkl, serialization_format: cloudpickle}\n"


class Now:
    def now(self):
        return datetime.now(UTC)  # noqa: TID251 - a clock is what this is


@pytest.fixture(scope="module")
def sandbox():
    found = probe()
    if isinstance(found, str):
        pytest.skip(found)
    return found


@pytest.fixture(scope="module")
def environments(tmp_path_factory, sandbox):
    place = tmp_path_factory.mktemp("environments")
    wheel(place / "wheels", "acme_tool", "1.0", ACME)
    index = OperatorsIndex(flat=((place / "wheels").as_uri(),))
    return LocalEnvironments(place / "made", sandbox, is_allowed=True, index=lambda: index)


@pytest.fixture(scope="module")
def key(environments):
    deadline = time.monotonic() + 60
    while isinstance(made := environments.make(EnvironmentOrder("acme-tool==1.0")), Making):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return made.key


@pytest.fixture
def model(tmp_path, environments, key):
    """A model whose class is in the environment only."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "MLmodel").write_text(ML_MODEL)
    (folder / "model.pkl").write_bytes(b"cacme_tool\nModel\n)\x81.")
    environments.bind(digest_of_directory(folder), key)
    return folder


def test_a_pipeline_is_compiled_and_run_in_it(tmp_path, sandbox, environments, key):
    repository, packages = tmp_path / "repository", environments.packages(key)
    repository.mkdir()
    (repository / "pipeline.py").write_text(PIPELINE)
    pipelines = LocalPipelines(tmp_path / "runs", sandbox, Now())
    order = CompileOrder(repository, "pipeline.py", tmp_path / "packages", installs_later=True)
    assert "acme_tool" in pipelines.compile(order).summary

    in_it = CompileOrder(repository, "pipeline.py", tmp_path / "packages", packages=packages)
    assert isinstance(
        pipelines.compile(in_it), CompileFailure
    )  # nobody sees to what its step wants to install
    package = pipelines.compile(
        CompileOrder(repository, "pipeline.py", tmp_path / "packages", packages=packages, installs_later=True)
    )
    assert isinstance(package, Package), package
    assert (package.name, package.steps[0].packages) == ("acme", ("acme-tool>=1",))

    run_id = pipelines.submit(RunOrder("run-1", package, repository, {}, 60.0, packages=packages))
    deadline = time.monotonic() + 60
    while (status := pipelines.status(run_id)).state not in ENDED and time.monotonic() < deadline:
        time.sleep(0.05)
    stop(Handle.from_json((tmp_path / "runs" / run_id / "supervisor.json").read_text()), grace_s=5)
    assert status.state is RunState.SUCCEEDED, status
    assert pipelines.outputs(run_id).values == {"a.Output": ["acme"]}


def test_a_model_is_scored_in_it(tmp_path, sandbox, environments, model):
    pd = pytest.importorskip("pandas")
    rows = pd.DataFrame({"x": [1.0, 2.0] * 20, "churn": ["no", "yes"] * 20})
    rows.to_parquet(tmp_path / "heldout.parquet")
    scored = {"task": "classification", "target": "churn"}
    without = LocalScoring(sandbox).compare(model, None, tmp_path / "heldout.parquet", **scored)
    assert isinstance(without, ScoringFailure)
    assert "acme_tool" in without.summary
    for confinement in (sandbox, NoSandbox()):
        scoring = LocalScoring(confinement, packages_of=environments.packages_of)
        result = scoring.compare(model, None, tmp_path / "heldout.parquet", **scored)
        assert isinstance(result, Comparison), result
        assert result.challenger["accuracy"] == 1.0


def test_a_model_is_served_in_it(tmp_path, sandbox, environments, model):
    serving = LocalServing(
        tmp_path / "stack", sandbox, Now(), ready_within_s=30, packages_of=environments.packages_of
    )
    place = EnvironmentKey(1, "acme", "production")
    try:
        serving.apply(place, Wish(stable=ModelSource(model, digest_of_directory(model), "1", "churn")))
        deadline = time.monotonic() + 40
        while (seen := serving.observe(place)).stable.readiness is not Readiness.READY:
            assert time.monotonic() < deadline, seen
            time.sleep(0.05)
        answer = serving.ask(place, ArmName.STABLE, json.dumps({"instances": [{"x": 2}]}).encode(), 10)
        assert json.loads(answer.body)["predictions"] == ["yes"]
    finally:
        serving.shutdown()
