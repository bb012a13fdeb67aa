"""Why a revision does not come up, from the statuses that Kubernetes, Knative and KServe write."""

from __future__ import annotations

import pytest

from kfops.adapters.kserve.failing import exit_of, failure_of, restarts_of
from kfops.domain.canary_facts import FailureKind


def pod(*, name: str = "kserve-container", **status) -> dict:
    return {"status": {"containerStatuses": [{"name": name, "ready": False, **status}]}}


def waiting(reason: str, message: str = "") -> dict:
    return {"state": {"waiting": {"reason": reason, "message": message}}}


def ended(code: int, reason: str = "Error", message: str = "") -> dict:
    return {"terminated": {"exitCode": code, "reason": reason, "message": message}}


@pytest.mark.parametrize(
    ("pods", "conditions", "kind", "words"),
    [
        (
            [pod(**waiting("ImagePullBackOff", 'Back-off pulling image "x"'))],
            [],
            FailureKind.IMAGE_PULL,
            "ImagePullBackOff: Back-off",
        ),
        (
            [pod(**waiting("CrashLoopBackOff"), lastState=ended(137, "OOMKilled"))],
            [],
            FailureKind.OUT_OF_MEMORY,
            "out of memory",
        ),
        (
            [pod(**waiting("CrashLoopBackOff"), lastState=ended(1, message="No module named 'x'"))],
            [],
            FailureKind.DOES_NOT_START,
            "No module named",
        ),
        (
            [
                {
                    "status": {
                        "conditions": [
                            {
                                "type": "PodScheduled",
                                "status": "False",
                                "reason": "Unschedulable",
                                "message": "0/3 nodes are available: 3 Insufficient nvidia.com/gpu.",
                            }
                        ]
                    }
                }
            ],
            [],
            FailureKind.QUOTA,
            "Insufficient nvidia",
        ),
        (
            [],
            [
                {
                    "type": "ReplicaFailure",
                    "status": "True",
                    "reason": "FailedCreate",
                    "message": 'pods "x" is forbidden: exceeded quota: team',
                }
            ],
            FailureKind.QUOTA,
            "exceeded quota",
        ),
        (
            [],
            [
                {
                    "type": "Ready",
                    "status": "False",
                    "reason": "ExitCode3",
                    "message": "Container failed with: boom",
                }
            ],
            FailureKind.DOES_NOT_START,
            "boom",
        ),
        (
            [],
            [
                {
                    "type": "Ready",
                    "status": "False",
                    "reason": "ProgressDeadlineExceeded",
                    "message": "timed out",
                }
            ],
            FailureKind.NEVER_READY,
            "timed out",
        ),
        (
            [],
            [
                {
                    "type": "Ready",
                    "status": "False",
                    "reason": "ContainerMissing",
                    "message": 'Unable to fetch image "x": manifest unknown',
                }
            ],
            FailureKind.IMAGE_PULL,
            "manifest unknown",
        ),
    ],
)
def test_a_failure_is_named_as_such(pods, conditions, kind, words):
    found = failure_of(pods, conditions, {}, was_ready=False)
    assert found is not None
    assert found.kind is kind
    assert words in found.message


def test_what_is_on_its_way_has_not_failed():
    pods = [pod(**waiting("ContainerCreating")), pod(state={"running": {}})]
    conditions = [{"type": "Ready", "status": "Unknown", "reason": "Deploying"}]
    assert failure_of(pods, conditions, {}, was_ready=False) is None


def test_one_of_several_copies_may_crash():
    crashing = pod(**waiting("CrashLoopBackOff"), lastState=ended(1))
    answering = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    assert failure_of([crashing, answering], [], {}, was_ready=True) is None


def test_what_has_served_and_ended_has_died():
    crashing = pod(**waiting("CrashLoopBackOff"), lastState=ended(1))
    found = failure_of([crashing], [], {}, was_ready=True)
    assert found.kind is FailureKind.DIED


def test_kserves_own_words_tell_it_best():
    crashing = pod(**waiting("CrashLoopBackOff"), lastState=ended(1))
    told = {"reason": "ModelLoadFailed", "message": "ModuleNotFoundError: No module named 'lightgbm'"}
    found = failure_of([crashing], [], told, was_ready=False)
    assert (found.kind, found.message) == (FailureKind.DOES_NOT_START, told["message"])


def test_a_runtime_that_is_not_there_is_a_failure_without_any_pod():
    found = failure_of([], [], {"reason": "NoSupportingRuntime"}, was_ready=False)
    assert (found.kind, found.message) == (FailureKind.DOES_NOT_START, "NoSupportingRuntime")


def test_the_end_of_a_long_message_is_kept():
    found = failure_of([], [], {"message": "x" * 5000 + "the cause"}, was_ready=False)
    assert len(found.message) <= 501
    assert found.message.endswith("the cause")


def test_a_container_that_ended_without_a_word_has_an_exit_code():
    crashing = pod(**waiting("CrashLoopBackOff"), lastState=ended(3))
    assert failure_of([crashing], [], {}, was_ready=False).message == ""
    assert exit_of([crashing]) == "the container kserve-container ended with exit code 3"


def test_only_restarts_of_what_serves_are_counted():
    assert restarts_of([pod(restartCount=2), pod(name="queue-proxy", restartCount=9)]) == 2
