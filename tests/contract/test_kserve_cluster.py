"""KServe on a real API server: whose things are touched, what the schema takes, and how failures are told."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from typing import Any

import pytest
from tests.support.cluster.kserve_place import MODEL, KServePlace, place_of
from tests.support.served_models import BROKEN, GOOD, MORTAL, PICKY
from tests.support.serving_contract import WallClock, body, serve, settled, with_candidate

from kfops.adapters.kserve import documents, names
from kfops.adapters.kserve.adapter import KServeServing
from kfops.adapters.kserve.adapter import Settings as Serves
from kfops.adapters.kserve.documents import Mode
from kfops.adapters.kserve.formats import FORMATS
from kfops.adapters.kserve.installation import Told
from kfops.adapters.kserve.own_requests import OwnRequests
from kfops.adapters.kubernetes.access import Access
from kfops.adapters.kubernetes.client import Conflict, Kubernetes
from kfops.bootstrap.cluster import examine_kserve
from kfops.domain.canary_facts import Failure, FailureKind, Readiness
from kfops.domain.environment import EnvironmentKey
from kfops.domain.predictor import Batching, PredictorSpec
from kfops.ports.errors import Refused, Unavailable
from kfops.ports.serving import ABSENT, ArmName, Wish
from kfops.settings import Settings

pytestmark = pytest.mark.xdist_group("cluster")


@pytest.fixture(params=["Knative", "Standard"])
def place(request, api_server, data_plane, served_models) -> Iterator[KServePlace]:
    with place_of(api_server, data_plane, served_models, request.param) as place:
        yield place


@pytest.fixture
def knative(api_server, data_plane, served_models) -> Iterator[KServePlace]:
    with place_of(api_server, data_plane, served_models, "Knative") as place:
        yield place


def waiting(reason: str, **more) -> dict:
    return {
        "name": "kserve-container",
        "image": "model-server",
        "imageID": "",
        "ready": False,
        "restartCount": 3,
        "state": {"waiting": {"reason": reason, "message": "as the kubelet says"}},
        **more,
    }


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (waiting("ImagePullBackOff"), FailureKind.IMAGE_PULL),
        (
            waiting("CrashLoopBackOff", lastState={"terminated": {"exitCode": 137, "reason": "OOMKilled"}}),
            FailureKind.OUT_OF_MEMORY,
        ),
    ],
)
def test_a_pod_that_cannot_start_is_told_by_its_cause(place, status, kind):
    champion, candidate = place.source(GOOD, "1"), place.source(PICKY, "2")
    serve(place, champion)
    place.cluster.pods[candidate.digest] = [status]
    wish = Wish(champion, candidate, 50)
    served = settled(place, wish, lambda served: isinstance(served.candidate.readiness, Failure))
    assert served.candidate.readiness.kind is kind
    assert {place.send(body()) for _ in range(5)} == {(200, "1")}


def test_a_former_candidates_failure_is_not_the_next_ones(place):
    """KServe keeps `lastFailureInfo` of the one before."""
    champion, broken, good = place.source(GOOD, "1"), place.source(BROKEN, "2"), place.source(MORTAL, "3")
    serve(place, champion)
    settled(place, Wish(champion, broken, 5), lambda served: isinstance(served.candidate.readiness, Failure))
    serve(place, champion)
    seen = []

    def look(served):
        seen.append(served.candidate.readiness)
        return served.candidate_weight == 5

    settled(place, Wish(champion, good, 5), look)
    assert not [one for one in seen if isinstance(one, Failure)]


def test_a_first_model_is_reached_by_no_caller_before_its_checks_are_over(place):
    """It has no champion beside which it could have 0 %: so the gateway does not lead to it, and the bot asks past that."""
    first = place.source(GOOD, "1")
    unseen = Wish(None, first, 0)
    with place.users.calling(body()) as answers:
        served = settled(place, unseen, lambda served: served.candidate.readiness is Readiness.READY)
        assert place.serving.ask(place.key, ArmName.CANDIDATE, body(), 5).status == 200
        enough = len(answers) + 20
        place.until(lambda: len(answers) >= enough)
    assert (served.stable, served.candidate_weight, served.is_settled) == (ABSENT, 0, True)
    assert set(answers) == {(503, None)}
    settled(place, Wish(None, first, 100), lambda served: served.candidate_weight == 100)
    place.until(lambda: place.send(body()) == (200, "1"))
    assert len(place.revisions()) <= 1


def test_a_model_that_only_answers_in_tensors_is_asked_and_read_in_them(knative):
    """Triton speaks V2 alone; whoever asks goes on with rows and predictions."""
    triton = knative.source(GOOD, "1", predictor=PredictorSpec("triton"))
    serve(knative, triton)
    rows = [{"tenure": 3.0, "contract": "m"}, {"tenure": 50.0, "contract": "y"}]
    asked = json.dumps({"instances": rows}).encode()
    answer = knative.serving.ask(knative.key, ArmName.STABLE, asked, 5)
    found = json.loads(answer.body)
    assert answer.status == 200
    assert len(found["predictions"]) == len(found["probabilities"]) == 2
    assert set(found["predictions"]) <= {"yes", "no"}
    without = json.dumps({"instances": [{"tenure": 3.0}]}).encode()
    answer = knative.serving.ask(knative.key, ArmName.STABLE, without, 5)
    assert (answer.status, answer.message) == (
        None,
        "not asked: row 1 has no 'contract', which the model takes",
    )


def test_packages_of_ones_own_are_refused_because_the_runtimes_image_has_the_libraries(place, tmp_path):
    with pytest.raises(Refused, match="packages of its own") as caught:
        place.serving.apply(place.key, Wish(stable=place.source(GOOD, "1", packages=tmp_path)))
    assert "image" in caught.value.fix


def test_somebody_elses_service_is_left_alone(knative):
    body = {
        "metadata": {"name": MODEL},
        "spec": {"predictor": {"model": {"modelFormat": {"name": "sklearn"}}}},
    }
    kind = {"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService"}
    path = names.services(knative.key.namespace)
    knative.kubernetes.create(
        path, {**kind, **body, "metadata": {"name": MODEL, "annotations": {names.MODE: "ModelMesh"}}}
    )
    with pytest.raises(Refused, match="belongs to somebody else") as caught:
        knative.serving.apply(knative.key, Wish(stable=knative.source(GOOD, "1")))
    assert "namespace" in caught.value.fix
    assert "annotations" not in knative.service()["spec"]["predictor"]


def test_two_environments_in_one_namespace_do_not_share_a_name(knative):
    serve(knative, knative.source(GOOD, "1"))
    other = EnvironmentKey(8, MODEL, "production", knative.key.namespace)
    with pytest.raises(Refused, match="belongs to production-churn"):
        knative.serving.apply(other, Wish())
    assert knative.send(body()) == (200, "1")


def test_an_environment_without_a_namespace_is_refused(knative):
    with pytest.raises(Refused, match="has no namespace"):
        knative.serving.observe(EnvironmentKey(7, MODEL, "production"))


def test_a_mode_that_is_not_to_be_known_is_not_guessed(api_server, knative):
    with closing(api_server.client()) as kubernetes:
        blind = KServeServing(
            kubernetes,
            lambda one: f"s3://m/{one.digest}",
            WallClock(),
            OwnRequests(),
            Serves(Told(namespace="none")),
        )
        with pytest.raises(Refused, match="not to be found") as caught:
            blind.apply(knative.key, Wish(stable=knative.source(GOOD, "1")))
        assert "KFOPS_KSERVE_MODE" in caught.value.fix


def test_the_mode_that_counts_is_the_one_in_which_kserve_says_that_it_serves(
    api_server, data_plane, served_models
):
    """A percentage in Standard mode would be a full rollout: what somebody was told is no reason to write one."""
    with place_of(api_server, data_plane, served_models, "Standard") as place:
        champion, candidate = place.source(GOOD, "1"), place.source(PICKY, "2")
        serve(place, champion)
        misled = KServeServing(
            place.kubernetes,
            lambda one: f"s3://m/{one.digest}",
            WallClock(),
            OwnRequests(),
            Serves(Told("Knative", "0.21")),
        )
        place.until(lambda: misled.observe(place.key).stable.version == "1")
        misled.apply(place.key, Wish(champion, candidate, 5))
        spec = place.service()["spec"]
        assert "canaryTrafficPercent" not in spec["predictor"]
        assert [one["trafficPercent"] for one in spec["canary"]] == [0]


def test_a_mode_that_shares_no_traffic_is_refused(knative):
    path = names.services(knative.key.namespace)
    metadata = {
        "name": MODEL,
        "labels": {names.OWNER: knative.key.slug},
        "annotations": {names.MODE: "ModelMesh"},
    }
    spec = {"predictor": {"model": {"modelFormat": {"name": "sklearn"}}}}
    kind = {"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService"}
    knative.kubernetes.create(path, {**kind, "metadata": metadata, "spec": spec})
    knative.kubernetes.patch(f"{path}/{MODEL}/status", {"status": {"deploymentMode": "ModelMesh"}})
    with pytest.raises(Refused, match="in the mode ModelMesh; expected Knative or Standard"):
        knative.serving.apply(knative.key, Wish(stable=knative.source(GOOD, "1")))


def test_mode_and_version_are_read_from_the_installation(api_server, knative):
    """As KServe's chart leaves them: an older word for the mode, and an image of a private registry."""
    system = api_server.namespace("kserve")
    kubernetes = knative.kubernetes
    config = {
        "metadata": {"name": "inferenceservice-config"},
        "data": {"deploy": '{"defaultDeploymentMode": "RawDeployment"}'},
    }
    kubernetes.create(names.config_maps(system), config)
    container = {"name": "manager", "image": "registry.example.com:5000/kserve/kserve-controller:v0.20.1"}
    labels = {"app": "kserve"}
    kubernetes.create(
        names.deployments(system, "").rstrip("/"),
        {
            "metadata": {"name": "kserve-controller-manager"},
            "spec": {
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
            },
        },
    )
    reading = KServeServing(
        kubernetes,
        lambda one: f"s3://m/{one.digest}",
        WallClock(),
        OwnRequests(),
        Serves(Told(namespace=system)),
    )
    with pytest.raises(Refused, match=r"KServe v0\.20\.1 shares no traffic in Standard mode"):
        reading.apply(knative.key, Wish(stable=knative.source(GOOD, "1")))


def test_r14_a_change_in_between_is_not_written_over(knative):
    """Two replicas and KServe itself write at the same time: every patch is of what was read."""
    champion, candidate = knative.source(GOOD, "1"), knative.source(PICKY, "2")
    serve(knative, champion)
    over, problems = threading.Event(), []

    def disturb() -> None:
        number = 0
        while not over.wait(0.02):
            number += 1
            try:
                knative.patch({"metadata": {"labels": {"disturbed": str(number)}}})
            except Unavailable as error:
                problems.append(error)

    thread = threading.Thread(target=disturb, daemon=True)
    thread.start()
    try:
        with_candidate(knative, champion, candidate, 5)
        with_candidate(knative, champion, candidate, 0)
    finally:
        over.set()
        thread.join(10)
    assert not problems
    assert "disturbed" in knative.service()["metadata"]["labels"]


class Late(Kubernetes):
    """A worker that stands still for a moment between its look and its patch."""

    def __init__(self, access: Access, meanwhile: Callable[[], None]) -> None:
        super().__init__(access)
        self._meanwhile = meanwhile
        self._is_first = True

    def patch(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        if "inferenceservices" in path and self._is_first:
            self._is_first = False
            self._meanwhile()
        return super().patch(path, body)


def test_r14_a_worker_that_is_late_does_not_undo_an_abort(api_server, knative):
    champion, candidate = knative.source(GOOD, "1"), knative.source(PICKY, "2")
    serve(knative, champion)
    with_candidate(knative, champion, candidate, 5)

    def abort() -> None:
        knative.serving.apply(knative.key, Wish(champion, candidate, 0))

    with closing(Late(api_server.access(), abort)) as kubernetes:
        settings = Serves(Told("Knative"))
        late = KServeServing(
            kubernetes, lambda one: f"s3://m/{one.digest}", WallClock(), OwnRequests(), settings
        )
        with pytest.raises(Conflict):
            late.apply(knative.key, Wish(champion, candidate, 50))
    assert knative.service()["spec"]["predictor"]["canaryTrafficPercent"] == 0


def test_the_doctor_tells_what_kserve_and_prometheus_lack(api_server, prometheus, tmp_path):
    system = api_server.namespace("kserve")
    settings = Settings(
        data_dir=tmp_path,
        serving="kserve",
        storage="s3",
        s3_address="s3://models/",
        s3_endpoint="http://127.0.0.1:9",
        kubeconfig=api_server.kubeconfig(tmp_path / "kubeconfig"),
        kserve_system_namespace=system,
        prometheus_url=prometheus.url,
    )

    def told(**other) -> list[str]:
        try:
            found = examine_kserve(settings.model_copy(update=other))
            return [f"{problem}; {fix}" for problem, fix, _ in found]
        except (Refused, Unavailable) as error:
            return [f"{error}; {getattr(error, 'fix', '')}"]

    assert told(kserve_mode="Knative") == []
    assert "set KFOPS_KSERVE_MODE" in told()[0]
    assert "set KFOPS_KSERVE_VERSION" in told(kserve_mode="Standard")[0]
    assert "upgrade KServe" in told(kserve_mode="Standard", kserve_version="0.20")[0]
    assert told(kserve_mode="Standard", kserve_version="0.21") == []
    assert "set KFOPS_PROMETHEUS_URL" in told(kserve_mode="Knative", prometheus_url="")[0]
    assert "did not answer" in told(kserve_mode="Knative", prometheus_url="http://127.0.0.1:9")[0]


def test_a_model_is_published_once_and_comes_back_as_it_was_specified(knative):
    """Whatever the rules say by then of the next one."""
    champion = knative.source(GOOD, "1", predictor=PredictorSpec(memory="1Gi"))
    serve(knative, champion)
    with_candidate(knative, champion, knative.source(PICKY, "2", predictor=PredictorSpec(memory="10Mi")), 5)
    serve(knative, knative.source(GOOD, "1", predictor=PredictorSpec(memory="10Mi")))
    model = knative.service()["spec"]["predictor"]["model"]
    assert model["resources"]["limits"]["memory"] == "1Gi"
    assert knative.published == [champion.digest, knative.source(PICKY, "2").digest]


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("mode", Mode)
def test_kserves_schema_takes_every_format_and_setting(api_server, served_models, name, mode):
    """Nothing that is written is pruned, and nothing is refused."""
    if not api_server.has_full_crd:
        pytest.skip("no API server with KServe's full schema: only that one validates")
    spec = PredictorSpec(name, 2, 6, "500m", "3Gi", 1, "cpu", 70, Batching(16, 40))
    key = EnvironmentKey(7, MODEL, "production", api_server.namespace("schema"))
    source = _source(served_models, spec)
    predictor = documents.predictor(source, f"s3://models/{source.digest}", mode, "models-reader")
    wanted = documents.inference_service(key, predictor, mode)
    if mode is Mode.STANDARD:
        wanted["spec"]["canary"] = [documents.canary(predictor, "m0123456789", 5, 1)]
    else:
        wanted["spec"]["predictor"]["canaryTrafficPercent"] = 5
    with closing(api_server.client()) as client:
        made = client.create(names.services(key.namespace), wanted)
    assert made["spec"] == wanted["spec"]
    assert made["spec"]["predictor"]["batcher"] == {"maxBatchSize": 16, "maxLatency": 40}
    assert made["spec"]["predictor"]["model"]["resources"]["limits"] == {
        "cpu": "500m",
        "memory": "3Gi",
        "nvidia.com/gpu": "1",
    }


def _source(models, spec):
    from kfops.adapters.local.digest import digest_of_directory
    from kfops.ports.serving import ModelSource

    return ModelSource(models / GOOD, digest_of_directory(models / GOOD), "1", MODEL, predictor=spec)


def test_an_unknown_format_is_refused_with_those_that_are_known(knative):
    with pytest.raises(Refused, match="mlflow, sklearn, xgboost, tensorflow, pytorch, triton"):
        knative.serving.apply(
            knative.key, Wish(stable=knative.source(GOOD, "1", predictor=PredictorSpec("onnx")))
        )


def test_taking_away_what_is_not_there_is_nothing(knative):
    knative.serving.apply(knative.key, Wish())
    assert knative.serving.observe(knative.key).stable == ABSENT
    assert knative.serving.ask(knative.key, ArmName.STABLE, body(), 5).status is None
