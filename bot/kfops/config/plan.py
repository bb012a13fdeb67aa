"""What a rollout is planned to do, and how its model is served, by the rules of the environment that it goes to."""

from __future__ import annotations

from kfops.config.meaning import Environment, Rules
from kfops.domain.predictor import Batching, PredictorSpec
from kfops.domain.rollout import RolloutPlan


def rollout_plan(rules: Rules, environment: Environment, *, is_first: bool) -> RolloutPlan:
    """`is_first`: no champion serves there."""
    canary = rules.canary
    return RolloutPlan(
        steps=canary.steps,
        hold=canary.hold,
        min_requests=canary.min_requests,
        max_error_increase=canary.max_error_increase,
        max_latency_ratio=canary.max_latency_ratio,
        without_traffic=canary.without_traffic,
        patience=canary.patience,
        ask_timeout=canary.ask_timeout,
        watch=canary.watch,
        check_timeout=rules.check.timeout,
        check_status=rules.check.status,
        is_first=is_first,
        merges=environment.merge is not None,
    )


def predictor_spec(rules: Rules) -> PredictorSpec:
    predictor, batcher = rules.predictor, rules.predictor.batcher
    batching = None
    if batcher is not None:
        milliseconds = max(1, round(batcher.max_latency.total_seconds() * 1000))
        batching = Batching(batcher.max_size, milliseconds)
    return PredictorSpec(
        format=predictor.format,
        min_replicas=predictor.replicas.min,
        max_replicas=predictor.replicas.max,
        cpu=predictor.resources.cpu,
        memory=predictor.resources.memory,
        gpu=predictor.gpu,
        scale_metric=predictor.scale_on.metric,
        scale_target=predictor.scale_on.target,
        batching=batching,
    )
