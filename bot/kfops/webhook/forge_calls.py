from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector


class ForgeCalls(Collector):
    """What the bot asked of the forge since it started, by operation: the budget that an operator watches."""

    def __init__(self, calls: Callable[[], Mapping[str, int]]) -> None:
        self._calls = calls

    def collect(self) -> Iterable[Metric]:
        family = CounterMetricFamily(
            "kfops_forge_calls", "Calls to the forge by operation", labels=["operation"]
        )
        for operation, count in sorted(self._calls().items()):
            family.add_metric([operation], count)
        yield family
