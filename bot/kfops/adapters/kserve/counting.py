"""Under which names Prometheus knows the arms of an InferenceService, and which requests there are the bot's own."""

from __future__ import annotations

from collections.abc import Iterable

from kfops.adapters.kserve.adapter import KServeServing
from kfops.adapters.kserve.documents import Mode
from kfops.adapters.kserve.own_requests import OwnRequests
from kfops.adapters.prometheus.adapter import Arms, Own, OwnOf
from kfops.adapters.prometheus.dialects import ISTIO, KNATIVE, dialect_of
from kfops.domain.environment import EnvironmentKey


def counted_arms(serving: KServeServing, key: EnvironmentKey, metrics: str = "") -> Arms:
    """`metrics` names who counts; empty: whoever does so usually in the mode that this is served in."""
    mode, named = serving.counted(key)
    usual = ISTIO if mode is Mode.STANDARD else KNATIVE
    dialect = dialect_of(metrics) if metrics else usual
    return Arms(dialect, key.namespace, named.stable, named.candidate, named.newest)


def own_requests(made: OwnRequests) -> OwnOf:
    def own(names: Iterable[str]) -> list[Own]:
        return [Own(one.at, one.status) for one in made.since(names, None)]

    return own
