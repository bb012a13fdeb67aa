"""What a rollout is planned to do, by the rules of the environment that it goes to."""

from __future__ import annotations

from kfops.config.meaning import Environment, Rules
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
