"""A repository of a model, as small as it can be: its rules, its pipeline, and how the model serves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tests.support.in_memory.pipelines import source
from tests.support.in_memory.scoring import said_by
from tests.support.in_memory.serving import Behaviour

from kfops.domain.canary_facts import Failure, FailureKind, Readiness
from kfops.ports.serving import ModelSource

ENVIRONMENTS = ("staging", "production")
ROWS = 3  # in the sample request
CANARY = (
    "{steps: [50], hold: 2s, min_requests: 30, max_error_increase: 0.2, max_latency_ratio: 5, patience: 100s,"
    " ask_timeout: 30s, watch: 1s}"
)
CONFIG = """\
version: 1
pipeline: {source: pipeline.py, timeout: 1h}
data: {parameter: data, task: classification, target: churn}
samples: {request: samples/request.json}
model: churn
overridable: [seed]
evidence: {primary: roc_auc, gates: ["roc_auc >= 0.70"]}
deployment:
  canary: CANARY
  environments:
    staging: {namespace: churn-staging}
    production: {namespace: churn, requires: REQUIRES}
"""
Change = Mapping[str, str | None]


def model(answers: str = "right", **told: Any) -> Change:
    """A change of the pipeline. `roc_auc`: how good its model is.

    `answers`: right; wrong_shape, fails, does_not_start (the endpoint check sees it); fails_for_some (only users do).
    `steps`, `inputs`, `fails`: as in `in_memory.pipelines.source`.
    """
    given = {"roc_auc": 0.80, **told}
    return {"pipeline.py": source(answers=answers, **given)}


def files(requires: Sequence[str], canary: str, config: str) -> Change:
    """What is on the main branch to begin with."""
    rules = config.replace("CANARY", canary).replace("REQUIRES", f"[{', '.join(requires)}]")
    return {"kfops.yaml": rules, "samples/request.json": request([1] * ROWS).decode(), **model()}


def behaviour_of(what: ModelSource) -> Behaviour:
    """How a model of the in-memory pipelines serves."""
    answers = said_by(what.directory).get("answers", "right")
    match answers:
        case "does_not_start":
            return Behaviour(starts=Failure(FailureKind.DOES_NOT_START, "No module named 'nothing'"))
        case "never_ready":
            return Behaviour(starts=Readiness.STARTING)
        case "fails":
            return Behaviour(lambda _: (500, b"{}"))
        case "wrong_shape":
            return Behaviour(lambda _: (200, b'{"predictions": []}'))
        case "fails_for_some":
            return Behaviour(lambda body: (500, b"{}") if b"[[1]" not in body else _right(body))
        case _:
            return Behaviour(_right, slow_every=21)


def _right(body: bytes) -> tuple[int, bytes]:
    rows = body.count(b"[") - 1
    return 200, f'{{"predictions": [{", ".join(["0"] * rows)}]}}'.encode()


def request(tenures: Sequence[int]) -> bytes:
    rows = ", ".join(f"[{tenure}]" for tenure in tenures)
    return f'{{"instances": [{rows}]}}'.encode()
