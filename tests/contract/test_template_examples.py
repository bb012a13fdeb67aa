"""The template's examples for a cluster: they compile, and what they make is taken and followed by a real API server."""

from __future__ import annotations

import importlib
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.cluster import kubeflow_kinds
from tests.support.cluster.api_server import ApiServer
from tests.support.cluster.kubeflow_kinds import condition, working

from kfops.adapters.kubernetes.client import Kubernetes
from kfops.adapters.local.pipelines.compiling import Compiler
from kfops.adapters.local.sandbox import NoSandbox
from kfops.domain.package import Package
from kfops.domain.package_policy import Allowed
from kfops.domain.step_log import progress_of
from kfops.ports.pipelines import CompileOrder

pytestmark = pytest.mark.xdist_group("cluster")

TEMPLATE = Path(__file__).parents[2] / "pipeline_template"
EXAMPLES = TEMPLATE / "examples"
RUN = "0a1b2c3d-1111-2222-3333-444455556666"
SPACE = {
    "learning_rate": {"double": [0.01, 0.3]},
    "num_leaves": {"int": [7, 127]},
    "boosting": {"categorical": ["gbdt", "dart"]},
}


@pytest.fixture(scope="module")
def server(api_server: ApiServer) -> ApiServer:
    kubeflow_kinds.install(api_server)
    return api_server


@pytest.fixture
def namespace(server: ApiServer, tmp_path, monkeypatch) -> Iterator[str]:
    """A fresh one, which the steps reach as from a desk; their code is where it is in a step."""
    # The client reads KUBECONFIG when it is imported, which another test may have done.
    place = "kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION"
    monkeypatch.setattr(place, str(server.kubeconfig(tmp_path / "kubeconfig")))
    monkeypatch.syspath_prepend(str(EXAMPLES / "cluster"))
    before = signal.getsignal(signal.SIGTERM)
    yield server.namespace("steps")
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def client(server: ApiServer) -> Iterator[Kubernetes]:
    with closing(server.client()) as made:
        yield made


def step(monkeypatch: pytest.MonkeyPatch, file: str, name: str) -> Any:
    """The function that travels to the step."""
    monkeypatch.chdir(TEMPLATE)
    monkeypatch.syspath_prepend(str(EXAMPLES))
    sys.modules.pop(file, None)
    return getattr(importlib.import_module(file), name).python_func


def tune(monkeypatch: pytest.MonkeyPatch, namespace: str, **changed: Any) -> Any:
    asked: dict[str, Any] = {
        "run": RUN, "namespace": namespace, "image": "registry.example.com/ml/trainer@sha256:1", "data": "data/churn.csv",
        "space": SPACE, "metric": "roc_auc", "trials": 6, "parallel": 2, "code": None, "poll_seconds": 0.02,
    }  # fmt: skip
    return step(monkeypatch, "tuning", "tune")(**{**asked, **changed})


def experiments(namespace: str) -> str:
    return f"/apis/kubeflow.org/v1beta1/namespaces/{namespace}/experiments"


def train_jobs(namespace: str) -> str:
    return f"/apis/trainer.kubeflow.org/v1alpha1/namespaces/{namespace}/trainjobs"


def optimal(value: str, rate: str) -> dict[str, Any]:
    return {
        "bestTrialName": "t",
        "parameterAssignments": [
            {"name": "learning_rate", "value": rate},
            {"name": "num_leaves", "value": "31"},
        ],
        "observation": {"metrics": [{"name": "roc_auc", "latest": value, "min": "0.5", "max": value}]},
    }


def test_an_experiment_is_made_followed_and_its_best_settings_handed_on(
    server, namespace, client, monkeypatch, capsys
):
    statuses = [
        lambda _: {"conditions": [condition("Created")]},
        lambda _: {"conditions": [condition("Running")], "trialsSucceeded": 2, "currentOptimalTrial": optimal("0.81", "0.3")},
        lambda _: {
            "conditions": [condition("Running"), condition("Succeeded", "ExperimentMaxTrialsReached")],
            "trialsSucceeded": 5, "trialsFailed": 1, "currentOptimalTrial": optimal("0.84", "0.05"),
        },
    ]  # fmt: skip
    with working(server, experiments(namespace), statuses):
        found = tune(monkeypatch, namespace)
    assert found == {"learning_rate": "0.05", "num_leaves": "31"}
    (made,) = client.list(experiments(namespace))
    spec = made["spec"]
    assert (made["metadata"]["name"], spec["maxTrialCount"], spec["maxFailedTrialCount"]) == (
        "tune-0a1b2c3d",
        6,
        2,
    )
    assert spec["parameters"][0] == {
        "name": "learning_rate", "parameterType": "double", "feasibleSpace": {"min": "0.01", "max": "0.3"},
    }  # fmt: skip
    trial = spec["trialTemplate"]["trialSpec"]["spec"]["template"]["spec"]
    assert trial["containers"][0]["command"][-3:] == [
        "--learning_rate=${trialParameters.learningRate}",
        "--num_leaves=${trialParameters.numLeaves}",
        "--boosting=${trialParameters.boosting}",
    ]
    named = {one["name"]: one["reference"] for one in spec["trialTemplate"]["trialParameters"]}
    assert named == {"learningRate": "learning_rate", "numLeaves": "num_leaves", "boosting": "boosting"}
    lines = [progress_of(one, "tune") for one in capsys.readouterr().out.splitlines()]
    told = [one for one in lines if one is not None]
    assert (told[-1].trials, told[-1].max_trials, told[-1].best) == (6, 6, 0.84)


def test_an_experiment_that_fails_ends_the_step_with_katibs_reason_and_is_taken_away_by_nobody(
    server, namespace, client, monkeypatch
):
    failed = condition(
        "Failed",
        "ExperimentMaxFailedTrialsReached",
        "Experiment has failed because max failed count has reached",
    )
    with (
        working(server, experiments(namespace), [lambda _: {"conditions": [condition("Running"), failed]}]),
        pytest.raises(SystemExit, match="Experiment tune-0a1b2c3d failed: ExperimentMaxFailedTrialsReached"),
    ):
        tune(monkeypatch, namespace)
    assert len(client.list(experiments(namespace))) == 1, "whoever looks for the reason finds it there"


def test_a_step_that_is_ended_takes_its_experiment_with_it(server, namespace, client, monkeypatch):
    def end(_: Any) -> dict[str, Any]:
        signal.raise_signal(signal.SIGTERM)  # runs in the main thread, which waits for the experiment
        return {"conditions": [condition("Running")]}

    with (
        working(server, experiments(namespace), [end]),
        pytest.raises(SystemExit, match="ended from outside"),
    ):
        tune(monkeypatch, namespace)
    assert client.list(experiments(namespace)) == []


def test_a_second_attempt_watches_what_the_first_one_made(server, namespace, client, monkeypatch):
    over = {"conditions": [condition("Succeeded")], "currentOptimalTrial": optimal("0.8", "0.1")}
    with working(server, experiments(namespace), [lambda _: over]):
        assert tune(monkeypatch, namespace) == tune(monkeypatch, namespace)
    assert len(client.list(experiments(namespace))) == 1


def test_what_the_api_does_not_take_is_told_in_its_words(server, namespace, monkeypatch):
    with pytest.raises(SystemExit, match="maxTrialCount"):
        tune(monkeypatch, namespace, trials=0)
    with pytest.raises(SystemExit, match="expected such as"):
        tune(monkeypatch, namespace, space={"rate": {"log": [1, 2]}})


def train_together(monkeypatch: pytest.MonkeyPatch, namespace: str, **changed: Any) -> Any:
    asked: dict[str, Any] = {
        "run": RUN, "namespace": namespace, "image": "registry.example.com/ml/torch", "nodes": 4,
        "command": ["torchrun", "examples/train_torch.py"], "resources": {"cpu": 2, "nvidia.com/gpu": "1"},
        "runtime": "torch-distributed", "code": None, "poll_seconds": 0.02,
    }  # fmt: skip
    return step(monkeypatch, "distributed", "train_together")(**{**asked, **changed})


def test_a_train_job_is_made_and_followed(server, namespace, client, monkeypatch, capsys):
    statuses = [
        lambda _: {"jobsStatus": [{"name": "node", "active": 1, "ready": 1, "succeeded": 0, "failed": 0}]},
        lambda _: {
            "conditions": [condition("Complete", "JobsCompleted")],
            "jobsStatus": [{"name": "node", "succeeded": 1}],
        },
    ]
    with working(server, train_jobs(namespace), statuses):
        assert train_together(monkeypatch, namespace) == "train-0a1b2c3d"
    (made,) = client.list(train_jobs(namespace))
    spec = made["spec"]
    assert spec["runtimeRef"] == {
        "name": "torch-distributed", "apiGroup": "trainer.kubeflow.org", "kind": "ClusterTrainingRuntime",
    }  # fmt: skip
    assert (spec["trainer"]["numNodes"], spec["trainer"]["command"][0]) == (4, "torchrun")
    assert spec["trainer"]["resourcesPerNode"]["limits"] == {"cpu": "2", "nvidia.com/gpu": "1"}
    assert "train-0a1b2c3d: 1 succeeded" in capsys.readouterr().out


def test_a_train_job_that_fails_ends_the_step_with_its_reason(server, namespace, monkeypatch):
    failed = condition("Failed", "DeadlineExceeded", "node 2 was active longer than the specified deadline")
    with (
        working(server, train_jobs(namespace), [lambda _: {"conditions": [failed]}]),
        pytest.raises(SystemExit, match="TrainJob train-0a1b2c3d failed: DeadlineExceeded: node 2"),
    ):
        train_together(monkeypatch, namespace)


def test_the_role_of_the_steps_is_enough_and_no_more(server, namespace, client):
    for document in yaml.safe_load_all((EXAMPLES / "rbac.yaml").read_text()):
        kind = {"Role": "roles", "RoleBinding": "rolebindings"}[document["kind"]]
        for subject in document.get("subjects", ()):
            subject["namespace"] = namespace
        path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/{kind}/kfops-steps"
        client.apply(path, document, manager="tests")
    who = f"system:serviceaccount:{namespace}:pipeline-runner"

    def may(verb: str, group: str, resource: str, where: str) -> bool:
        asked = {"verb": verb, "group": group, "resource": resource, "namespace": where}
        spec = {"user": who, "resourceAttributes": asked}
        answer = client.create("/apis/authorization.k8s.io/v1/subjectaccessreviews", {"spec": spec})
        return bool(answer["status"]["allowed"])

    deadline = time.monotonic() + 20
    while not may("delete", "trainer.kubeflow.org", "trainjobs", namespace):
        assert time.monotonic() < deadline, "the API server has not seen the role"
    for group, resource in (("kubeflow.org", "experiments"), ("trainer.kubeflow.org", "trainjobs")):
        assert all(may(verb, group, resource, namespace) for verb in ("create", "get", "delete"))
        assert not any(may(verb, group, resource, namespace) for verb in ("update", "patch", "list", "watch"))
        assert not may("create", group, resource, "default")
    assert not may("create", "", "pods", namespace)
    assert not may("get", "", "secrets", namespace)


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Path:
    ignored = shutil.ignore_patterns("__pycache__", ".pytest_cache")
    return Path(shutil.copytree(TEMPLATE, tmp_path_factory.mktemp("examples") / "churn", ignore=ignored))


@pytest.mark.parametrize(
    ("file", "steps"),
    [("tuning", ["tune", "train"]), ("distributed", ["train-together"]), ("batch_scoring", ["score-table"])],
)
def test_each_compiles_for_a_cluster(copy, tmp_path, file, steps):
    compiler = Compiler(NoSandbox(), Allowed(), runs_here=False)
    made = compiler.compile(CompileOrder(copy, f"examples/{file}.py", tmp_path, installs_later=True))
    assert isinstance(made, Package), made
    assert [one.name for one in made.steps] == steps
