"""The main job on a cluster, in each mode of KServe: `kfops serve` as an operator starts it, on Kubeflow Pipelines, KServe,
S3 and PostgreSQL.

Real: the bot as a process, kfp's client, MLflow, the bucket (SeaweedFS), PostgreSQL, the Kubernetes API with KServe's
schema, Prometheus, Envoy, git, what the steps do and the models that answer. Stand-ins: the pipelines' API in front of
kfp.local, and KServe's controller.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest
from tests.support.cluster.kserve_place import Users
from tests.support.cluster.whole_cluster import BUCKET, WholeCluster, whole_cluster
from tests.support.live import TEMPLATE, Live, live
from tests.support.servers import tracking
from tests.support.servers.seaweed import Seaweed
from tests.support.servers.seaweed import running as storage_running

from kfops.adapters.local.sandbox import probe
from kfops.demo.callers import bodies

pytestmark = [
    pytest.mark.skipif(isinstance(probe(), str), reason=f"no sandbox starts here: {probe()}"),
    pytest.mark.slow,
    pytest.mark.xdist_group("cluster"),
]

PRODUCTION = "Deployed-to-production"
TABLE = TEMPLATE / "data" / "churn.csv"
PAUSE_S = 0.03  # between a user's calls: enough for the canary's minimum in seconds
CALL, STRANGE = bodies(TABLE)[1], bodies(TABLE, every_unknown=1)[1]
RULES = (
    "deployment:\n  check: {timeout: 20s}\n  canary: {steps: [50], hold: 1s, min_requests: 30,"
    " max_error_increase: 0.2, max_latency_ratio: 50, patience: 2m, ask_timeout: 5s, watch: 1s}\n"
)


@dataclass(frozen=True)
class Around:
    """What is no part of the cluster."""

    storage: Seaweed
    tracking_url: str


@pytest.fixture(scope="module")
def around(tmp_path_factory) -> Iterator[Around]:
    with storage_running(tmp_path_factory.mktemp("weed")) as storage:
        storage.client().create_bucket(Bucket=BUCKET)
        with tracking.running(tmp_path_factory.mktemp("mlflow"), storage, f"s3://{BUCKET}/mlflow") as url:
            yield Around(storage, url)


@dataclass(frozen=True)
class Scene:
    world: Live
    cluster: WholeCluster
    around: Around

    @property
    def users(self) -> Users:
        return Users(self.cluster)

    def propose(self, branch: str, path: str, old: str, new: str) -> int:
        def edit(text: str) -> str:
            assert text.count(old) == 1
            return text.replace(old, new)

        number = self.world.open_pull(branch, path, edit)
        self.world.done("ada", number, "/build_run")
        return number

    def to_production(self, number: int) -> str:
        self.world.done("ada", number, "/deploy")
        pull = self.world.pull(number)
        assert pull["merged"], pull
        assert PRODUCTION in self.world.labels(number)
        status, version = self.cluster.send(CALL)
        assert status == 200
        return str(version)


@pytest.fixture
def scene(request, tmp_path, api_server, data_plane, prometheus, postgres, around) -> Iterator[Scene]:
    elsewhere = {
        "KFOPS_DATABASE_URL": postgres.bare(),
        "KFOPS_MLFLOW_URL": around.tracking_url,
        "KFOPS_PROMETHEUS_URL": prometheus.url,
    }

    def rules(text: str) -> str:
        text = text.replace("time_budget: 2", "time_budget: 0, max_iter: 2")
        head, _, tail = text.partition("deployment:\n")
        return cluster.rules(head + RULES + tail.partition("\n")[2])

    with (
        whole_cluster(tmp_path, request.param, api_server, data_plane, around.storage, elsewhere) as cluster,
        live(tmp_path, requires="[approval]", settings=cluster.settings, edit=rules) as world,
    ):
        yield Scene(world, cluster, around)


@pytest.mark.parametrize("scene", ["Knative", "Standard"], indirect=True)
def test_three_pull_requests_of_which_the_third_is_taken_back(scene: Scene):
    two = better_model(scene, first_model(scene))
    failing_model(scene, two)


def first_model(scene: Scene) -> str:
    number = scene.propose("first", "model/training.py", '"lgbm", "rf", "extra_tree", "lrl1"', '"lrl1"')
    assert_the_run_is_known_everywhere(scene, number)
    refused = scene.world.say("ada", number, "/deploy")
    assert scene.world.ending(refused) == "-1"
    scene.world.done("ada", number, "/staging_deploy")
    assert scene.cluster.send(CALL)[0] == 503
    scene.world.approve("bob", number)
    version = scene.to_production(number)
    assert_production_serves_what_was_registered(scene, version)
    return version


def better_model(scene: Scene, one: str) -> str:
    number = scene.propose("second", "model/features.py", "    return rows\n", NEWCOMER)
    scene.world.approve("bob", number)
    with scene.users.calling(CALL, PAUSE_S) as answers:
        two = scene.to_production(number)
    assert {status for status, _ in answers} == {200}
    assert {version for _, version in answers} == {one, two}
    assert PRODUCTION not in scene.world.labels(1)
    assert_production_serves_what_was_registered(scene, two)
    return two


def failing_model(scene: Scene, two: str) -> None:
    number = scene.propose("third", "model/features.py", 'handle_unknown="ignore"', 'handle_unknown="error"')
    scene.world.approve("bob", number)
    with scene.users.calling(STRANGE, PAUSE_S) as answers:
        end = scene.world.ending(scene.world.say("ada", number, "/deploy"))
    reply = scene.world.replies(number)[-1]
    assert end == "confused", reply
    assert "errors" in reply
    assert {version for status, version in answers if status != 200} not in ({two}, set())
    assert {scene.cluster.send(STRANGE) for _ in range(5)} == {(200, two)}
    pull = scene.world.pull(number)
    assert (pull["state"], pull["merged"]) == ("open", False)
    assert PRODUCTION in scene.world.labels(2)
    assert_production_serves_what_was_registered(scene, two)


NEWCOMER = '    rows["is_new"] = (rows["tenure"] < 6).astype(int)\n    return rows\n'


def assert_the_run_is_known_everywhere(scene: Scene, number: int) -> None:
    """Its data and artifacts are in the bucket, its steps ran as the operator's account, its evidence is in MLflow."""
    (run,) = scene.cluster.front.runs.values()
    assert run["service_account"] == "steps"
    data = run["runtime_config"]["parameters"]["data"]
    assert data.startswith(f"{scene.cluster.settings['KFOPS_S3_ADDRESS']}inputs/")
    reply = scene.world.replies(number)[-1]
    assert f"(https://kubeflow.example/#/runs/details/{run['run_id']})" in reply, reply
    assert "roc_auc" in reply, reply
    artifacts = scene.around.storage.client().list_objects_v2(Bucket=BUCKET, Prefix="mlflow/")
    assert any(one["Key"].endswith("/MLmodel") for one in artifacts["Contents"])


def assert_production_serves_what_was_registered(scene: Scene, version: str) -> None:
    """R13: the version that answers is MLflow's champion, and KServe loads it from the bucket under its digest."""
    answer = httpx.get(
        f"{scene.around.tracking_url}/api/2.0/mlflow/registered-models/alias",
        params={"name": scene.cluster.model, "alias": "champion"},
    ).raise_for_status()
    found = answer.json()["model_version"]
    assert found["version"] == version
    digest = next(one["value"] for one in found["tags"] if one["key"] == "digest")
    service = scene.cluster.service()
    assert service["spec"]["predictor"]["model"]["storageUri"].endswith(f"/models/{digest}")
    assert service["spec"]["predictor"]["serviceAccountName"] == "models-reader"
