"""A TrainJob of Kubeflow Trainer (trainer.kubeflow.org/v1alpha1): one training on several machines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from objects import owners, reason, true_condition

PLURAL = "trainjobs"


def train_job(
    name: str,
    namespace: str,
    *,
    image: str,
    command: Sequence[str],
    nodes: int,
    runtime: str = "torch-distributed",
    environment: Mapping[str, str] | None = None,
    resources: Mapping[str, str] | None = None,
    deadline_seconds: int = 0,
) -> dict[str, Any]:
    """`runtime` is a ClusterTrainingRuntime; for PyTorch it sets MASTER_ADDR, WORLD_SIZE and the like for `torchrun`.

    `resources` are of one node, such as {"cpu": "4", "memory": "16Gi", "nvidia.com/gpu": "1"}.
    """
    trainer: dict[str, Any] = {"image": image, "command": list(command), "numNodes": nodes}
    if environment:
        trainer["env"] = [{"name": key, "value": value} for key, value in environment.items()]
    if resources:
        trainer["resourcesPerNode"] = {"limits": dict(resources), "requests": dict(resources)}
    spec: dict[str, Any] = {"runtimeRef": {"name": runtime}, "trainer": trainer}
    if deadline_seconds:
        spec["activeDeadlineSeconds"] = deadline_seconds
    return {
        "apiVersion": "trainer.kubeflow.org/v1alpha1",
        "kind": "TrainJob",
        "metadata": {"name": name, "namespace": namespace, "ownerReferences": owners()},
        "spec": spec,
    }


def verdict(status: Mapping[str, Any]) -> str | None:
    ended = true_condition(status, "Failed", "Complete")
    if ended is None:
        return None
    return reason(ended) if ended["type"] == "Failed" else ""


def told(status: Mapping[str, Any]) -> str:
    """How many of its Jobs are at work, and how many are done."""
    jobs = status.get("jobsStatus") or ()
    counts = {
        word: sum(one.get(word, 0) for one in jobs) for word in ("active", "ready", "succeeded", "failed")
    }
    return ", ".join(f"{count} {word}" for word, count in counts.items() if count) or "waiting"
