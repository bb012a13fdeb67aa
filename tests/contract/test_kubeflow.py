"""Kubeflow Pipelines through its real client: a front that speaks its API and really runs what was submitted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.support.cluster.kubeflow_front import Description, Front, running
from tests.support.playground import contract
from tests.support.servers.seaweed import KEY, SECRET
from tests.support.servers.seaweed import running as storage_running

import kfops as bot
from kfops.adapters.kubeflow.adapter import KubeflowPipelines
from kfops.adapters.kubeflow.pods import PodTrouble
from kfops.adapters.kubeflow.server import KubeflowServer
from kfops.adapters.kubeflow.storage import RunStorage
from kfops.adapters.local.pipelines.adapter import LocalPipelines
from kfops.adapters.local.pipelines.compiling import Compiler
from kfops.adapters.local.processes import Handle, stop
from kfops.adapters.local.sandbox import NoSandbox
from kfops.adapters.s3.bucket import Bucket
from kfops.bootstrap import engines
from kfops.bootstrap.problem import SettingsProblem
from kfops.domain.package import Package
from kfops.domain.package_policy import Allowed
from kfops.domain.run import ENDED, FailureKind, RunState, RunStatus
from kfops.ports.errors import Refused, Unavailable
from kfops.ports.ledger import Fenced
from kfops.ports.pipelines import CompileOrder, RunOrder
from kfops.settings import Settings

pytestmark = pytest.mark.xdist_group("s3")

PIPELINE = """
from kfp import dsl

def step():
    return dsl.component(base_image="python:3.11-slim", install_kfp_package=False)

@step()
def train(data: str, seed: int, ratio: float, model: dsl.Output[dsl.Model], heldout: dsl.Output[dsl.Dataset]):
    import os, time
    assert isinstance(seed, int), seed
    if data == "late":
        time.sleep(60)
    os.makedirs(model.path + "/code")
    open(model.path + "/MLmodel", "w").write("flavors: {}")
    open(model.path + "/code/data", "w").write(f"{data} {seed} {ratio}")
    open(heldout.path, "w").write("tenure,churn\\n1,0\\n")

@step()
def evaluate(model: dsl.Input[dsl.Model], seed: int, metrics: dsl.Output[dsl.Metrics]):
    import json
    if seed == 13:
        raise ValueError("unlucky")
    json.dump({"roc_auc": 0.8}, open(metrics.path, "w"))

@dsl.pipeline(name="churn")
def churn(data: str = "data/churn.csv", seed: int = 3, ratio: float = 0.5):
    trained = train(data=data, seed=seed, ratio=ratio)
    evaluate(model=trained.outputs["model"], seed=seed)
"""


class Clock:
    def now(self) -> datetime:
        return datetime.fromtimestamp(time.time(), UTC)


class Pods:
    """What the namespace's pods would show; the real reader has its tests on a real API server."""

    def __init__(self) -> None:
        self.shown: PodTrouble | None = None
        self.written: tuple[str, ...] = ()

    def trouble(self, _run_id: str) -> PodTrouble | None:
        return self.shown

    def lines(self, _run_id: str, _step: str) -> tuple[str, ...]:
        return self.written


@dataclass
class Cluster:
    pipelines: KubeflowPipelines
    front: Front
    pods: Pods
    folder: Path
    bucket: Bucket

    def order(self, name: str = "op-1-1", **parameters: object) -> RunOrder:
        source = self.folder / "source"
        (source / "data").mkdir(parents=True, exist_ok=True)
        (source / "data" / "churn.csv").write_text("tenure,churn\n1,0\n2,1\n")
        (source / "pipeline.py").write_text(PIPELINE)
        package = self.pipelines.compile(CompileOrder(source, "pipeline.py", self.folder / "packages"))
        assert isinstance(package, Package), package
        labels = {"repository": "7", "model": "churn", "pull-request": "12", "url": "https://forge/pull/12"}
        return RunOrder(name, package, source, parameters, 120.0, labels=labels)

    def ended(self, run_id: str) -> RunStatus:
        deadline = time.monotonic() + 90
        while (status := self.pipelines.status(run_id)).state not in ENDED:
            assert time.monotonic() < deadline, status
            time.sleep(0.1)
        return status


@pytest.fixture(scope="module")
def storage(tmp_path_factory):
    with storage_running(tmp_path_factory.mktemp("weed")) as found:
        found.client().create_bucket(Bucket="kubeflow")
        yield found


@pytest.fixture
def cluster(storage, tmp_path, monkeypatch) -> Iterator[Cluster]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("HOME", str(tmp_path))  # the client keeps contexts in the user's folder
    bucket = Bucket(f"s3://kubeflow/{tmp_path.name}/", endpoint=storage.endpoint)
    engine = LocalPipelines(tmp_path / "cluster" / "runs", NoSandbox(), Clock())

    def upload(file: Path, address: str) -> None:
        storage.client().upload_file(str(file), "kubeflow", address.removeprefix("s3://kubeflow/"))

    description = Description(contract("kfp-v2beta1.swagger.json"))
    with running(Front(tmp_path / "cluster", description, engine, upload)) as front:
        pods = Pods()
        pipelines = KubeflowPipelines(
            KubeflowServer(front.url, ui_host="https://kubeflow.example"),
            RunStorage(bucket, tmp_path / "fetched"),
            Compiler(NoSandbox(), Allowed(), runs_here=False),
            Clock(),
            pods=pods,  # type: ignore[arg-type]
            service_account="churn-runner",
        )
        yield Cluster(pipelines, front, pods, tmp_path, bucket)
    for handle in (tmp_path / "cluster" / "runs").glob("*/supervisor.json"):
        stop(Handle.from_json(handle.read_text()), grace_s=5)


def test_a_run_is_submitted_followed_and_hands_over_what_its_package_declares(cluster):
    run_id = cluster.pipelines.submit(cluster.order(seed=4))

    status = cluster.ended(run_id)
    assert status.state is RunState.SUCCEEDED
    assert [(step.name, step.state) for step in status.steps] == [
        ("train", RunState.SUCCEEDED),
        ("evaluate", RunState.SUCCEEDED),
    ]
    assert status.link == f"https://kubeflow.example/#/runs/details/{run_id}"

    outputs = cluster.pipelines.outputs(run_id)
    assert outputs.metrics == {"roc_auc": 0.8}
    assert outputs.model is not None
    data, seed, ratio = (outputs.model / "code" / "data").read_text().split()
    assert (seed, ratio) == ("4", "0.5")
    assert data.startswith(cluster.bucket.address("inputs/7/"))
    assert data.endswith("/churn.csv")
    assert outputs.digests["data"] in data
    assert outputs.heldout is not None
    assert outputs.problems == ()


def test_a_run_belongs_to_an_experiment_of_its_model_and_pull_request(cluster):
    cluster.pipelines.submit(cluster.order("op-1-1", data="late"))
    cluster.pipelines.submit(cluster.order("op-2-1", data="late"))

    (experiment,) = cluster.front.experiments.values()
    assert experiment["display_name"] == "churn PR #12"
    assert experiment["description"] == "https://forge/pull/12"
    (first, _) = cluster.front.runs.values()
    assert first["service_account"] == "churn-runner"
    assert first["runtime_config"]["pipeline_root"] == cluster.bucket.address("runs/7/op-1-1")


def test_submitting_twice_is_one_run_also_for_another_bot(cluster):
    first = cluster.pipelines.submit(cluster.order(data="late"))

    assert cluster.pipelines.submit(cluster.order(data="late")) == first
    assert cluster.pipelines.find("op-1-1") == first
    assert cluster.pipelines.find("op-1") is None
    assert len(cluster.front.runs) == 1


def test_r13_a_run_of_that_name_which_somebody_else_ordered_is_not_taken_for_ones_own(cluster):
    """A ledger that began anew counts from 1 again, and so does a second bot."""
    mine = cluster.order(data="late")
    cluster.pipelines.submit(mine)
    (mine.source_dir / "pipeline.py").write_text(PIPELINE.replace("ratio: float = 0.5", "ratio: float = 0.7"))
    made = cluster.pipelines.compile(CompileOrder(mine.source_dir, "pipeline.py", cluster.folder / "other"))
    assert isinstance(made, Package)

    with pytest.raises(Refused, match="op-1-1 already, which was not made from this package") as said:
        cluster.pipelines.submit(replace(mine, package=made))
    assert "KFOPS_KUBEFLOW_NAMESPACE" in said.value.fix
    assert len(cluster.front.runs) == 1


def test_r14_a_worker_whose_order_was_taken_over_while_it_uploaded_makes_no_run(cluster):
    def taken_over() -> None:
        raise Fenced("operation 1 was taken over")

    with pytest.raises(Fenced):
        cluster.pipelines.submit(replace(cluster.order(data="late"), hold=taken_over))
    assert cluster.front.runs == {}


def test_r14_a_run_that_was_made_while_this_one_uploaded_is_taken(cluster):
    order, made = cluster.order(data="late"), list[str]()
    first = replace(order, hold=lambda: made.append(cluster.pipelines.submit(order)))

    assert [cluster.pipelines.submit(first)] == made
    assert len(cluster.front.runs) == 1


def test_r18_a_second_run_of_a_name_is_ended_and_the_one_that_counts_goes_on(cluster, monkeypatch):
    kept = cluster.pipelines.submit(cluster.order(data="late"))
    with monkeypatch.context() as late:
        late.setattr(cluster.pipelines._server, "find_run", lambda _name: None)
        doubled = cluster.pipelines.submit(cluster.order(data="late"))
    assert doubled != kept

    for _ in range(2):
        cluster.pipelines.keep_one("op-1-1", kept)
    assert cluster.ended(doubled).state is RunState.CANCELED
    assert cluster.pipelines.status(kept).state not in {RunState.CANCELED, RunState.CANCELING}


def test_a_run_that_is_cancelled_ends_as_cancelled_and_stays_so(cluster):
    run_id = cluster.pipelines.submit(cluster.order(data="late"))
    cluster.pipelines.cancel(run_id)

    assert cluster.ended(run_id).state is RunState.CANCELED
    cluster.pipelines.cancel(run_id)
    assert cluster.pipelines.status(run_id).state is RunState.CANCELED


def test_a_step_that_fails_is_told_with_its_last_words(cluster):
    run_id = cluster.pipelines.submit(cluster.order(seed=13))
    log = (
        "Traceback (most recent call last):",
        '  File "/tmp/e.py", line 4, in evaluate',
        "ValueError: unlucky",
    )
    cluster.pods.shown = PodTrouble("evaluate", "Error", "the step failed", is_hopeless=False, log=log)

    failure = cluster.ended(run_id).failure
    assert failure is not None
    assert (failure.kind, failure.step, failure.summary) == (
        FailureKind.STEP,
        "evaluate",
        "ValueError: unlucky",
    )


def test_without_a_right_to_read_pods_the_server_has_the_word(cluster):
    run_id = cluster.pipelines.submit(cluster.order(seed=13))

    failure = cluster.ended(run_id).failure
    assert failure is not None
    assert (failure.step, failure.summary) == ("evaluate", "Component evaluate failed")


def test_a_pod_that_can_never_start_ends_the_run_which_the_server_would_keep_running(cluster):
    run_id = cluster.pipelines.submit(cluster.order(data="late"))
    cluster.front.holding.add(run_id)
    cluster.pods.shown = PodTrouble(
        "train", "ImagePullBackOff", "the image cannot be pulled: no such tag", is_hopeless=True
    )

    status = cluster.pipelines.status(run_id)
    assert status.state is RunState.FAILED
    assert status.failure is not None
    assert status.failure.summary == "ImagePullBackOff: the image cannot be pulled: no such tag"
    assert "registry" in status.failure.hint
    cluster.pods.shown = None
    assert cluster.ended(run_id).state is RunState.CANCELED


def test_progress_is_read_from_the_pods_log(cluster):
    run_id = cluster.pipelines.submit(cluster.order(data="late"))
    cluster.pods.written = ("starting", 'KFOPS_PROGRESS {"elapsed": 3, "budget": 60, "learner": "lgbm"}')
    deadline = time.monotonic() + 30
    while (status := cluster.pipelines.status(run_id)).progress is None:
        assert time.monotonic() < deadline
        time.sleep(0.1)

    assert (status.progress.step, status.progress.learner) == ("train", "lgbm")


def test_caching_is_the_packages_affair_or_off(cluster):
    kept = cluster.order("op-1-1", data="late")
    cluster.pipelines.submit(replace(kept, cache=False))
    cluster.pipelines.submit(replace(kept, name="op-2-1", cache=True))

    off, on = (str(one["pipeline_spec"]) for one in cluster.front.runs.values())
    assert "'enableCache': True" not in off
    assert "'enableCache': True" in on


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_server_that_is_away_is_asked_again_later(cluster, status):
    run_id = cluster.pipelines.submit(cluster.order(data="late"))
    cluster.front.broken = status

    with pytest.raises(Unavailable):
        cluster.pipelines.status(run_id)
    cluster.front.broken = None
    assert cluster.pipelines.status(run_id).state not in ENDED


def test_a_server_that_says_no_is_told_with_what_mends_it(cluster):
    run_id = cluster.pipelines.submit(cluster.order(data="late"))
    cluster.front.broken = 403

    with pytest.raises(Refused) as said:
        cluster.pipelines.status(run_id)
    assert "service account" in said.value.fix


def test_a_server_that_is_not_there_is_unavailable(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))

    with pytest.raises(Unavailable):
        KubeflowServer("http://127.0.0.1:9").find_run("op-1-1")


def test_a_run_that_the_bot_did_not_order_is_refused(cluster):
    with pytest.raises(Refused, match="no run"):
        cluster.pipelines.status("0f0e0d0c-0000-4000-8000-000000000000")


def test_a_package_that_was_changed_after_its_compilation_is_refused(cluster):
    order = cluster.order()
    order.package.path.write_text(order.package.path.read_text() + "\n# changed\n")

    with pytest.raises(Refused, match="changed after it was compiled"):
        cluster.pipelines.submit(order)
    assert cluster.front.runs == {}


def test_r11_steps_reach_their_own_repositorys_part_of_the_bucket_and_the_bots_record_is_elsewhere(cluster):
    cluster.pipelines.submit(cluster.order(data="late"))
    cluster.pipelines.submit(replace(cluster.order("op-2-1"), name="op-2-1"))

    roots = {one.split("/")[0] for one in cluster.bucket.names("")}
    assert roots == {"orders", "inputs"}
    assert all(one.split("/")[1] == "7" for one in cluster.bucket.names("inputs/"))


def test_artifacts_are_taken_by_their_declared_names_only(cluster):
    run_id = cluster.pipelines.submit(cluster.order())
    cluster.ended(run_id)
    root = f"runs/7/op-1-1/churn/{run_id}"
    for name in (
        "train/x/secret/a",
        "other/x/model/MLmodel",
        "train/x/y/model/evil",
    ):
        cluster.bucket.write(f"{root}/{name}", b"evil")

    outputs = cluster.pipelines.outputs(run_id)
    assert outputs.metrics == {"roc_auc": 0.8}
    assert outputs.model is not None
    assert sorted(one.name for one in outputs.model.iterdir()) == ["MLmodel", "code"]


def test_settings_that_do_not_work_are_named(tmp_path):
    with pytest.raises(SettingsProblem, match="KFOPS_KUBEFLOW_URL"):
        engines.pipelines(Settings(data_dir=tmp_path, pipelines="kubeflow"))
    with pytest.raises(SettingsProblem, match="KFOPS_STORAGE=s3"):
        engines.pipelines(
            Settings(data_dir=tmp_path, pipelines="kubeflow", kubeflow_url="http://127.0.0.1:9")
        )


def test_the_bot_finds_runs_where_its_settings_say(cluster, storage, tmp_path, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    cluster.pipelines.submit(cluster.order(data="late"))
    settings = Settings(
        data_dir=tmp_path,
        pipelines="kubeflow",
        kubeflow_url=cluster.front.url,
        storage="s3",
        s3_address=cluster.bucket.address(""),
        s3_endpoint=storage.endpoint,
        sandbox="none",
    )

    assert engines.pipelines(settings).find("op-1-1") in cluster.front.runs


CONFIG = """\
version: 1
pipeline: {source: pipeline.py, parameters: {data: data/churn.csv}}
data: {parameter: data, task: classification, target: churn}
model: churn
evidence: {primary: roc_auc, gates: ["roc_auc >= 0.7"]}
"""


def kfc(cluster: Cluster, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """A developer's command, in the model's repository on their own machine."""
    repository = cluster.order().source_dir
    (repository / "kfops.yaml").write_text(CONFIG)
    return subprocess.run(
        [sys.executable, "-c", "from kfops.__main__ import kfc; kfc()", *words],
        cwd=repository,
        env={
            **os.environ,
            "PYTHONPATH": str(Path(bot.__file__).parents[1]),
            "KFOPS_SANDBOX": "none",
            **variables,
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_a_developer_runs_on_a_kubeflow_by_its_address(cluster, storage, tmp_path):
    there = {
        "KFOPS_STORAGE": "s3",
        "KFOPS_S3_ADDRESS": cluster.bucket.address(""),
        "KFOPS_S3_ENDPOINT": storage.endpoint,
        "KUBECONFIG": str(tmp_path / "none"),
    }
    done = kfc(cluster, "run", "--kubeflow-url", cluster.front.url, "--set", "seed=5", "--json", **there)
    assert done.returncode == 0, done.stdout + done.stderr
    said = json.loads(done.stdout)
    (run,) = cluster.front.runs.values()
    assert (said["run"], said["metrics"], said["state"]) == (run["run_id"], {"roc_auc": 0.8}, "SUCCEEDED")
    assert said["link"] == f"{cluster.front.url}/#/runs/details/{run['run_id']}"
    assert run["runtime_config"]["parameters"]["seed"] == 5
    assert [one["display_name"] for one in cluster.front.experiments.values()] == ["churn"]


def test_what_a_developer_needs_for_it_is_said_and_a_dry_run_asks_nobody(cluster):
    without = kfc(cluster, "run", "--kubeflow-url", cluster.front.url)
    assert (without.returncode, "KFOPS_STORAGE=s3" in without.stderr) == (5, True), without.stderr
    wrong = kfc(cluster, "run", "--kubeflow-url", "kubeflow.example.com")
    assert (wrong.returncode, "expected an address such as https://" in wrong.stderr) == (2, True)
    there = {"KFOPS_STORAGE": "s3", "KFOPS_S3_ADDRESS": cluster.bucket.address("")}
    dry = kfc(cluster, "run", "--kubeflow-url", cluster.front.url, "--dry-run", "--json", **there)
    (asked,) = json.loads(dry.stdout)["requests"]
    assert (asked["engine"], asked["url"]) == ("kubeflow", cluster.front.url)
    assert cluster.front.requests == []
