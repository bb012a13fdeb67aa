"""A cluster without a source of counts: rollouts replay, or ask."""

from __future__ import annotations

from kfops.domain.canary_facts import Counts, Standstill, Unknown
from kfops.domain.environment import EnvironmentKey
from kfops.domain.rollout import Counting

_WHY = Unknown("nobody counts requests: KFOPS_PROMETHEUS_URL is not set")


class Uncounted:
    def counts(self, environment: EnvironmentKey, counting: Counting) -> Counts | Unknown:  # noqa: ARG002
        return _WHY

    def standstill(self, environment: EnvironmentKey) -> Standstill | Unknown:  # noqa: ARG002
        return _WHY
