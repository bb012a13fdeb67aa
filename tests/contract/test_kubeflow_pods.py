"""Why a step's pod did not work, read from pods on a real API server; their status is patched as a kubelet would."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.cluster.api_server import ApiServer

from kfops.adapters.kubeflow.pods import NODE, RUN_LABEL, PodTrouble, RunPods
from kfops.adapters.kubernetes.client import Kubernetes

pytestmark = pytest.mark.xdist_group("cluster")


@pytest.fixture
def client(api_server: ApiServer):
    client = api_server.client()
    yield client
    client.close()


def trouble(
    api_server: ApiServer,
    client: Kubernetes,
    status: dict[str, Any],
    *,
    step: str = "train",
    run: str = "run-1",
) -> PodTrouble | None:
    namespace = api_server.namespace()
    path = f"/api/v1/namespaces/{namespace}/pods"
    pod = {
        "metadata": {
            "name": f"churn-x1-{step}",
            "labels": {RUN_LABEL: run},
            "annotations": {NODE: f"churn-x1.root.{step}.executor"},
        },
        "spec": {"containers": [{"name": "main", "image": "registry.example.com/ml/step@sha256:0"}]},
    }
    client.create(path, pod)
    client.patch(f"{path}/churn-x1-{step}/status", {"status": status})
    return RunPods(client, namespace).trouble("run-1")


def main(state: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    return [
        {"name": "main", "image": "i", "imageID": "", "ready": False, "restartCount": 0, "state": state}
        | more
    ]


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("ImagePullBackOff", "cannot be pulled"),
        ("ErrImagePull", "cannot be pulled"),
        ("InvalidImageName", "not valid"),
        ("CreateContainerConfigError", "secret that is missing"),
    ],
)
def test_a_pod_that_waits_for_ever_is_told_by_its_reason(api_server, client, reason, words):
    waiting = {"waiting": {"reason": reason, "message": "Back-off pulling image"}}
    found = trouble(api_server, client, {"phase": "Pending", "containerStatuses": main(waiting)})

    assert found is not None
    assert (found.step, found.reason, found.is_hopeless) == ("train", reason, True)
    assert words in found.sentence
    assert "Back-off pulling image" in found.sentence


def test_a_step_that_needed_too_much_memory_is_told_so(api_server, client):
    killed = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}
    found = trouble(api_server, client, {"phase": "Failed", "containerStatuses": main(killed)})

    assert found is not None
    assert (found.step, found.reason, found.is_hopeless) == ("train", "OOMKilled", False)
    assert "memory" in found.sentence


def test_a_pod_that_was_evicted_is_told_with_its_message(api_server, client):
    found = trouble(
        api_server, client, {"phase": "Failed", "reason": "Evicted", "message": "The node was low on disk"}
    )

    assert found is not None
    assert found.reason == "Evicted"
    assert "low on disk" in found.sentence


def test_a_quota_is_told_as_one(api_server, client):
    condition = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": "exceeded quota: runs, requested: cpu=8",
    }
    found = trouble(api_server, client, {"phase": "Pending", "conditions": [condition]})

    assert found is not None
    assert (found.reason, found.is_hopeless) == ("QuotaExceeded", True)


@pytest.mark.parametrize(
    "status",
    [
        {"phase": "Running", "containerStatuses": main({"running": {}})},
        {"phase": "Pending", "containerStatuses": main({"waiting": {"reason": "ContainerCreating"}})},
        {
            "phase": "Succeeded",
            "containerStatuses": main({"terminated": {"exitCode": 0, "reason": "Completed"}}),
        },
        {},
    ],
)
def test_a_pod_that_is_well_is_no_trouble(api_server, client, status):
    assert trouble(api_server, client, status) is None


def test_pods_of_another_run_are_not_looked_at(api_server, client):
    killed = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}
    status = {"phase": "Failed", "containerStatuses": main(killed)}

    assert trouble(api_server, client, status, run="run-2") is None


def test_r17_without_the_right_to_read_pods_nothing_is_known_and_nothing_fails(api_server):
    stranger = api_server.client("nobody")
    pods = RunPods(stranger, api_server.namespace())

    assert pods.trouble("run-1") is None
    assert pods.lines("run-1", "train") == ()
    stranger.close()
