"""How a model is served on a cluster, as the rules of its environment say. One machine has no use for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Batching:
    """Requests that wait for one another: at most `max_size` of them, at most `max_latency_ms` long."""

    max_size: int
    max_latency_ms: int


@dataclass(frozen=True)
class PredictorSpec:
    """`format` as KServe names it; `cpu` and `memory` are Kubernetes quantities, `gpu` whole cards, of one copy.

    `scale_target`: what one copy is meant to bear of `scale_metric` (requests at a time, requests a second, or per
    cent of its processors or memory).
    """

    format: str = "mlflow"
    min_replicas: int = 1
    max_replicas: int = 4
    cpu: str = "1"
    memory: str = "2Gi"
    gpu: int = 0
    scale_metric: Literal["concurrency", "rps", "cpu", "memory"] = "concurrency"
    scale_target: int = 10
    batching: Batching | None = None
