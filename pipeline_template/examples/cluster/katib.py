"""A Katib Experiment (kubeflow.org/v1beta1): the search for good settings, one training a trial."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from objects import owners, reason, true_condition

PLURAL = "experiments"


def experiment(
    name: str,
    namespace: str,
    *,
    image: str,
    command: Sequence[str],
    space: Mapping[str, Mapping[str, Any]],
    metric: str,
    trials: int,
    parallel: int,
    algorithm: str = "tpe",
    resources: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """`space`: {"learning_rate": {"double": [0.01, 0.3]}, "num_leaves": {"int": [7, 127]}, "booster": {"categorical": ["gbdt", "dart"]}}.

    Each trial is a Job that runs `command` with `--NAME=VALUE` for each setting and prints `METRIC=NUMBER`, which
    Katib's collector reads; the higher the better. A third of the trials may fail.
    """
    limits = {"cpu": "1", "memory": "2Gi", **(resources or {})}
    arguments = [f"--{one}=${{trialParameters.{_reference(one)}}}" for one in space]
    container = {
        "name": "trial",
        "image": image,
        "command": [*command, *arguments],
        "resources": {"limits": limits, "requests": limits},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "runAsNonRoot": True,
            "runAsUser": 65534,
        },
    }
    pod = {
        "metadata": {"annotations": {"sidecar.istio.io/inject": "false"}},  # a Job with a sidecar never ends
        "spec": {"restartPolicy": "Never", "automountServiceAccountToken": False, "containers": [container]},
    }
    return {
        "apiVersion": "kubeflow.org/v1beta1",
        "kind": "Experiment",
        "metadata": {"name": name, "namespace": namespace, "ownerReferences": owners()},
        "spec": {
            "objective": {"type": "maximize", "objectiveMetricName": metric},
            "algorithm": {"algorithmName": algorithm},
            "maxTrialCount": trials,
            "parallelTrialCount": min(parallel, trials),
            "maxFailedTrialCount": math.ceil(trials / 3),
            "resumePolicy": "Never",
            "metricsCollectorSpec": {"collector": {"kind": "StdOut"}},
            "parameters": [_parameter(one, kinds) for one, kinds in space.items()],
            "trialTemplate": {
                "primaryContainerName": "trial",
                "trialParameters": [{"name": _reference(one), "reference": one} for one in space],
                "trialSpec": {
                    "apiVersion": "batch/v1",
                    "kind": "Job",
                    "spec": {"backoffLimit": 0, "template": pod},
                },
            },
        },
    }


def _parameter(name: str, kinds: Mapping[str, Any]) -> dict[str, Any]:
    """Katib wants its numbers as text."""
    if len(kinds) != 1 or next(iter(kinds)) not in {"int", "double", "categorical", "discrete"}:
        raise SystemExit(
            f'{name}: found {kinds}; expected such as {{"double": [0.01, 0.3]}}, int, discrete or categorical'
        )
    ((kind, values),) = kinds.items()
    if kind in {"categorical", "discrete"}:
        feasible: dict[str, Any] = {"list": [str(one) for one in values]}
    else:
        low, high = values
        feasible = {"min": str(low), "max": str(high)}
    return {"name": name, "parameterType": kind, "feasibleSpace": feasible}


def _reference(name: str) -> str:
    """Letters and digits only, as trial parameters are named."""
    first, *others = name.replace("-", "_").split("_")
    return first + "".join(one.capitalize() for one in others)


def verdict(status: Mapping[str, Any]) -> str | None:
    ended = true_condition(status, "Failed", "Succeeded")
    if ended is None:
        return None
    if ended["type"] == "Failed":
        return reason(ended)
    return "" if best(status) else "no trial told the metric"


def best(status: Mapping[str, Any]) -> dict[str, str]:
    """The settings of the best trial so far."""
    optimal = status.get("currentOptimalTrial") or {}
    return {one["name"]: one["value"] for one in optimal.get("parameterAssignments") or ()}


def score(status: Mapping[str, Any], metric: str) -> float | None:
    observed = ((status.get("currentOptimalTrial") or {}).get("observation") or {}).get("metrics") or ()
    found = next((one.get("max") or one.get("latest") for one in observed if one["name"] == metric), None)
    try:
        return None if found is None else float(found)
    except ValueError:
        return None  # Katib's word for it is "unavailable"
