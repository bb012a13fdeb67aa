"""What the pipelines' API does not tell: why a step's pod did not work, and what it wrote.

The label and the annotation are those that Kubeflow Pipelines 2 and Argo Workflows put on every pod of a run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kfops.adapters.kubernetes.client import Kubernetes
from kfops.ports.errors import Refused, Unavailable

RUN_LABEL, NODE = "pipeline/runid", "workflows.argoproj.io/node-name"
_HOPELESS = {
    "InvalidImageName": "the image's name is not valid",
    "ErrImageNeverPull": "the image is not on the node, and may not be pulled",
    "ImagePullBackOff": "the image cannot be pulled",
    "ErrImagePull": "the image cannot be pulled",
    "CreateContainerConfigError": "the container's configuration cannot be made, such as from a secret that is missing",
    "CreateContainerError": "the container cannot be created",
}
_ENDED = {
    "OOMKilled": "the step was killed for using more memory than its limit",
    "DeadlineExceeded": "the step took longer than its deadline",
    "Evicted": "the pod was evicted from its node",
    "Error": "the step failed",
}
_TAIL_LINES = 400
_TAIL_BYTES = 1 << 20
_DRIVERS = ("-driver", "-dag-driver", "root")


@dataclass(frozen=True)
class PodTrouble:
    """`reason` is Kubernetes' own word. `is_hopeless`: the run would stay RUNNING for ever, as nothing tells it."""

    step: str
    reason: str
    sentence: str
    is_hopeless: bool
    log: tuple[str, ...] = ()


class RunPods:
    """The pods of runs in one namespace; read only."""

    def __init__(self, kubernetes: Kubernetes, namespace: str) -> None:
        self._kubernetes, self._path = kubernetes, f"/api/v1/namespaces/{namespace}/pods"

    def trouble(self, run_id: str) -> PodTrouble | None:
        """The first pod that failed, or that will never start; None where all is well, or nothing can be read."""
        try:
            pods = self._kubernetes.list(self._path, {RUN_LABEL: run_id})
        except (Refused, Unavailable):
            return None
        for pod in sorted(pods, key=lambda one: str(one["metadata"].get("creationTimestamp", ""))):
            found = next(_troubles(pod), None)
            if found is not None:
                return self._with_log(pod, found)
        return None

    def lines(self, run_id: str, step: str) -> tuple[str, ...]:
        """What the step's pod has written lately; nothing where its log cannot be read."""
        try:
            pods = self._kubernetes.list(self._path, {RUN_LABEL: run_id})
        except (Refused, Unavailable):
            return ()
        fitting = [pod for pod in pods if step_of(pod) == step and _is_executor(pod)]
        return self._log(fitting[-1]) if fitting else ()

    def _with_log(self, pod: Mapping[str, Any], found: PodTrouble) -> PodTrouble:
        log = () if found.is_hopeless else self._log(pod)
        return PodTrouble(found.step, found.reason, found.sentence, found.is_hopeless, log)

    def _log(self, pod: Mapping[str, Any]) -> tuple[str, ...]:
        path = f"{self._path}/{pod['metadata']['name']}/log"
        try:
            text = self._kubernetes.text(
                path, {"container": "main", "tailLines": str(_TAIL_LINES), "limitBytes": str(_TAIL_BYTES)}
            )
        except (Refused, Unavailable):
            return ()
        return tuple((text or "").splitlines())


def step_of(pod: Mapping[str, Any]) -> str:
    """From `workflow.root.train.executor`: the step; else the pod's own name."""
    node = str((pod["metadata"].get("annotations") or {}).get(NODE, ""))
    parts = [part for part in node.split(".")[1:] if part not in {"root", "executor"}]
    return parts[-1].removesuffix("-driver") if parts else str(pod["metadata"]["name"])


def _is_executor(pod: Mapping[str, Any]) -> bool:
    node = str((pod["metadata"].get("annotations") or {}).get(NODE, ""))
    return not node.endswith(_DRIVERS)


def _troubles(pod: Mapping[str, Any]) -> Iterator[PodTrouble]:
    status = pod.get("status") or {}
    step = step_of(pod)
    for container in [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]:
        waiting = (container.get("state") or {}).get("waiting") or {}
        if waiting.get("reason") in _HOPELESS:
            yield _trouble(step, waiting["reason"], _HOPELESS, waiting.get("message"), is_hopeless=True)
    for condition in status.get("conditions") or ():
        if condition.get("reason") == "Unschedulable" and "exceeded quota" in str(condition.get("message")):
            yield _trouble(step, "QuotaExceeded", {}, condition.get("message"), is_hopeless=True)
    if status.get("phase") != "Failed":
        return
    for container in status.get("containerStatuses") or ():
        for state in (container.get("state") or {}, container.get("lastState") or {}):
            ended = state.get("terminated") or {}
            if ended.get("exitCode"):
                yield _trouble(
                    step, str(ended.get("reason") or "Error"), _ENDED, ended.get("message"), is_hopeless=False
                )
    reason = str(status.get("reason") or "Error")
    yield _trouble(step, reason, _ENDED, status.get("message"), is_hopeless=False)


def _trouble(
    step: str, reason: str, sentences: Mapping[str, str], message: str | None, *, is_hopeless: bool
) -> PodTrouble:
    said = sentences.get(reason, "")
    more = f": {message[:500]}" if message else ""
    return PodTrouble(step, reason, f"{said or reason}{more}", is_hopeless)
