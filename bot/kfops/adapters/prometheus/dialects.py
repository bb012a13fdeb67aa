"""Who counts requests on a cluster, and what their counters are called."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from kfops.ports.errors import Refused


@dataclass(frozen=True)
class Dialect:
    """`requests` counts requests by arm and status code, `times` is the histogram of their answers, whose bounds are
    `unit_ms` milliseconds each. `has_own`: the bot's own requests are among them.
    """

    requests: str
    times: str
    unit_ms: float
    namespace: str
    arm: str
    code: str
    has_own: bool
    more: str = ""

    def selector(self, metric: str, namespace: str, arms: Iterable[str], more: str = "") -> str:
        """Names come from Kubernetes, where they are DNS labels; quoted all the same."""
        named = "|".join(sorted(re.escape(one) for one in arms))
        parts = (
            f'{self.namespace}="{_quoted(namespace)}"',
            f'{self.arm}=~"{_quoted(named)}"',
            self.more,
            more,
        )
        return f"{metric}{{{','.join(part for part in parts if part)}}}"


# Of the queue-proxy beside each revision's container, up to Knative 1.18.
KNATIVE = Dialect(
    requests="revision_request_count",
    times="revision_request_latencies_bucket",
    unit_ms=1.0,
    namespace="namespace_name",
    arm="revision_name",
    code="response_code",
    has_own=True,
)
# The same, since Knative speaks OpenTelemetry.
KNATIVE_OTEL = Dialect(
    requests="kn_serving_invocation_duration_seconds_count",
    times="kn_serving_invocation_duration_seconds_bucket",
    unit_ms=1000.0,
    namespace="k8s_namespace_name",
    arm="kn_revision_name",
    code="http_response_status_code",
    has_own=True,
)
# Of Istio as gateway or mesh, seen by whoever sends. The bot asks a candidate's Service directly, past the gateway.
ISTIO = Dialect(
    requests="istio_requests_total",
    times="istio_request_duration_milliseconds_bucket",
    unit_ms=1.0,
    namespace="destination_service_namespace",
    arm="destination_service_name",
    code="response_code",
    has_own=False,
    more='reporter="source",source_workload!~"kfops.*"',
)
DIALECTS = {"knative": KNATIVE, "knative-otel": KNATIVE_OTEL, "istio": ISTIO}


def dialect_of(name: str) -> Dialect:
    """Refused for one that this does not know."""
    found = DIALECTS.get(name)
    if found is None:
        raise Refused(f"unknown metrics {name!r}; expected one of {', '.join(DIALECTS)}")
    return found


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
