"""Katib's Experiment and Trainer's TrainJob as structural schemas, for the API server of the tests.

Katib's own definition validates nothing (it keeps unknown fields, and a webhook of its controller looks at them);
Trainer's has half a megabyte. These are written after the two projects' API references: the fields that the examples
use with the types and the words that the controllers take, and nothing else, so that a misspelt one is pruned and
missed. `work` plays a controller: it patches `status` as the real ones do, a step at each look.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from typing import Any

from tests.support.cluster.api_server import ApiServer, definition, install_definition

from kfops.adapters.kubernetes.client import Conflict

Document = dict[str, Any]
_TEXT: Document = {"type": "string"}
_COUNT: Document = {"type": "integer", "format": "int32", "minimum": 1}
_ANY: Document = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
_TEXTS: Document = {"type": "array", "items": _TEXT}


def _object(required: Sequence[str] = (), /, **properties: Document) -> Document:
    return {"type": "object", "properties": properties} | ({"required": list(required)} if required else {})


def _list(of: Document) -> Document:
    return {"type": "array", "items": of}


_FEASIBLE = _object(min=_TEXT, max=_TEXT, step=_TEXT, list=_TEXTS)
_EXPERIMENT = _object(
    ["objective", "algorithm", "parameters", "trialTemplate"],
    objective=_object(
        ["type", "objectiveMetricName"],
        type={"type": "string", "enum": ["maximize", "minimize"]},
        objectiveMetricName=_TEXT,
        goal={"type": "number"},
    ),
    algorithm=_object(["algorithmName"], algorithmName=_TEXT),
    maxTrialCount=_COUNT,
    parallelTrialCount=_COUNT,
    maxFailedTrialCount=_COUNT,
    resumePolicy={"type": "string", "enum": ["Never", "LongRunning", "FromVolume"]},
    metricsCollectorSpec=_object(
        collector=_object(kind={"type": "string", "enum": ["StdOut", "File", "TensorFlowEvent", "None"]})
    ),
    parameters=_list(
        _object(
            ["name", "parameterType", "feasibleSpace"],
            name=_TEXT,
            parameterType={"type": "string", "enum": ["int", "double", "categorical", "discrete"]},
            feasibleSpace=_FEASIBLE,
        )
    ),
    trialTemplate=_object(
        ["primaryContainerName", "trialParameters", "trialSpec"],
        primaryContainerName=_TEXT,
        trialParameters=_list(_object(["name", "reference"], name=_TEXT, reference=_TEXT)),
        trialSpec=_ANY,
    ),
)
_TRAIN_JOB = _object(
    ["runtimeRef"],
    runtimeRef=_object(
        ["name"],
        name={"type": "string", "minLength": 1},
        apiGroup={"type": "string", "default": "trainer.kubeflow.org"},
        kind={"type": "string", "default": "ClusterTrainingRuntime"},
    ),
    trainer=_object(
        image={"type": "string", "maxLength": 500},
        command=_TEXTS,
        args=_TEXTS,
        numNodes=_COUNT,
        env=_list(_object(["name"], name=_TEXT, value=_TEXT)),
        resourcesPerNode=_object(limits=_ANY, requests=_ANY),
    ),
    activeDeadlineSeconds={"type": "integer", "format": "int64", "minimum": 1},
)


def install(server: ApiServer) -> None:
    for group, version, kind, plural, spec in (
        ("kubeflow.org", "v1beta1", "Experiment", "experiments", _EXPERIMENT),
        ("trainer.kubeflow.org", "v1alpha1", "TrainJob", "trainjobs", _TRAIN_JOB),
    ):
        made = definition(group, version, kind, plural)
        schema = _object(["spec"], spec=spec, status=_ANY)
        made["spec"]["versions"][0]["schema"]["openAPIV3Schema"] = schema
        install_definition(server, made)


def condition(kind: str, reason: str = "", message: str = "") -> Document:
    return {
        "type": kind,
        "status": "True",
        "reason": reason or kind,
        "message": message,
        "lastTransitionTime": "2026-11-21T09:00:00Z",
    }


@contextmanager
def working(
    server: ApiServer, listing: str, steps: Sequence[Callable[[Document], Document]]
) -> Iterator[None]:
    """A controller's stand-in: gives each object below `listing` one status after the other, made from the object."""
    over = threading.Event()

    def work() -> None:
        given: dict[str, int] = {}
        with closing(server.client()) as client:
            while not over.wait(0.03):
                for one in client.list(listing):
                    name = one["metadata"]["name"]
                    if given.get(name, 0) < len(steps):
                        status = steps[given.get(name, 0)](one)
                        given[name] = given.get(name, 0) + 1
                        with suppress(Conflict):  # its step has taken it away
                            client.patch(f"{listing}/{name}/status", {"status": status})

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(10)
