"""The rules of serving: what a candidate gets, how it is checked, how far it climbs, and where."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from kfops.config.fields import Cpu, DnsLabel, Duration, Identifier, Memory, Percent, PositiveDuration, refuse
from kfops.config.section import Section

Required = Literal["staging", "approval", "approval-by-another", "checks", "up-to-date"]


class Replicas(Section):
    """How many copies of the server run."""

    min: Annotated[int, Field(ge=0, le=1000)] = 1
    """The fewest; 0 lets an unused model sleep."""
    max: Annotated[int, Field(ge=1, le=1000)] = 4
    """The most."""


class Resources(Section):
    """What one copy of the server gets."""

    cpu: Cpu = "1"
    """Processors: 1, 0.5 or 500m."""
    memory: Memory = "2Gi"
    """Memory: 512Mi, 2Gi."""


class ScaleOn(Section):
    """What adds and removes copies."""

    metric: Literal["concurrency", "rps", "cpu", "memory"] = "concurrency"
    """Requests at a time, requests a second, or per cent of processors or memory."""
    target: Annotated[int, Field(ge=1)] = 10
    """The value of the metric that one copy is meant to bear."""


class Batcher(Section):
    """Requests that wait for one another to be predicted together."""

    max_size: Annotated[int, Field(ge=1, le=100_000)] = 32
    """The most requests in one batch."""
    max_latency: PositiveDuration = timedelta(milliseconds=50)
    """The longest that a request waits for others."""


class Predictor(Section):
    """The server of the model."""

    format: Identifier = "mlflow"
    """The model's format, as KServe names it; models that the bot records are `mlflow`."""
    replicas: Replicas = Replicas()
    """How many copies of the server run."""
    resources: Resources = Resources()
    """What one copy of the server gets."""
    gpu: Annotated[int, Field(ge=0, le=64)] = 0
    """Graphics processors of one copy."""
    scale_on: ScaleOn = ScaleOn()
    """What adds and removes copies."""
    batcher: Batcher | None = None
    """Predict several requests together. Left out: every request by itself."""


class Check(Section):
    """The endpoint check: the sample request, to the candidate alone, before any user reaches it."""

    status: Annotated[int, Field(ge=200, le=299)] = 200
    """The HTTP status that the answer must have."""
    timeout: PositiveDuration = timedelta(seconds=5)
    """The longest that the answer may take."""


def _rising(steps: tuple[int, ...]) -> tuple[int, ...]:
    if list(steps) != sorted(set(steps)):
        raise refuse("shares that rise from step to step, such as [5, 25, 50]")
    return steps


class Canary(Section):
    """How a candidate earns its traffic."""

    steps: Annotated[tuple[Percent, ...], Field(min_length=1, max_length=20), AfterValidator(_rising)] = (
        5,
        25,
        50,
    )
    """Shares of users' requests that the candidate gets, in per cent; all of them follow after the last."""
    hold: Duration = timedelta(minutes=5)
    """The shortest that a step lasts."""
    min_requests: Annotated[int, Field(ge=1, le=100_000_000)] = 400
    """The fewest requests to the candidate before it is promoted."""
    max_error_increase: Annotated[float, Field(gt=0, lt=1)] = 0.01
    """How much higher the candidate's error rate may be than the champion's: 0.01 is one request in a hundred."""
    max_latency_ratio: Annotated[float, Field(gt=1, le=100)] = 1.25
    """How many times the champion's 95th percentile of latency the candidate may take."""
    without_traffic: Literal["replay", "ask"] = "replay"
    """Where nobody calls: replay held-out requests to both, or ask a person."""
    patience: PositiveDuration = timedelta(hours=1)
    """How long evidence that does not decide is waited for; then a person is asked."""
    ask_timeout: PositiveDuration = timedelta(hours=4)
    """How long a person is waited for; then the champion is restored."""
    watch: Duration = timedelta(minutes=10)
    """How long the candidate is watched after its promotion, before the merge."""


class Environment(Section):
    """A place that serves."""

    namespace: DnsLabel
    """The Kubernetes namespace; on one machine, the environment's name there."""
    requires: tuple[Required, ...] | None = None
    """What must hold before anything is deployed here. `approval-by-another`: by somebody else than the one who asks, too.
    Left out: nothing for `staging`; staging, approval, checks and up-to-date for `production`; the last three for others."""
    merge: Literal["squash", "merge", "rebase", "none"] | None = None
    """How the pull request is merged after its promotion. Left out: `squash` for `production`, `none` for others."""


class Deployment(Section):
    """How the model is served."""

    predictor: Predictor = Predictor()
    """The server of the model."""
    check: Check = Check()
    """The endpoint check: the sample request, to the candidate alone, before any user reaches it."""
    canary: Canary = Canary()
    """How a candidate earns its traffic."""
    environments: Annotated[dict[Identifier, Environment], Field(max_length=20)] = Field(default_factory=dict)
    """The places that serve, by name. Left out: `staging` in the namespace MODEL-staging, `production` in MODEL."""
