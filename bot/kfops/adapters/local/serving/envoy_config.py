"""Envoy's configuration as plain dictionaries. Socket paths are relative to the folder that Envoy was started in,
because a Unix socket's path must be shorter than 108 bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from kfops.adapters.local.serving.settle import SLOTS

ADMIN_SOCKET = "admin.sock"
LISTENERS = "listeners.json"
CLUSTERS = "clusters.json"
PREDICT_ROUTE = "predict"
ROUTE_TIMEOUT_S = 30
_TYPES = "type.googleapis.com/envoy"


@dataclass(frozen=True)
class Front:
    """One environment as Envoy sees it."""

    slug: str
    port: int


def cluster_name(slug: str, slot: str) -> str:
    return f"{slug}/{slot}"


def runtime_values(slug: str, weights: Mapping[str, int], share: int) -> dict[str, int]:
    """The runtime keys that split an environment's traffic; both weights together make 100."""
    return {f"weight.{slug}.{cluster_name(slug, slot)}": weights[slot] for slot in SLOTS} | {
        f"share.{slug}": share
    }


def bootstrap(runtime: Mapping[str, int]) -> dict[str, Any]:
    """`runtime` is in force from Envoy's first moment on; what is changed later goes to the admin layer above it."""
    return {
        "node": {"id": "kfops", "cluster": "local"},
        "admin": {"address": {"pipe": {"path": ADMIN_SOCKET, "mode": 0o600}}},
        "dynamic_resources": {"cds_config": _watched(CLUSTERS), "lds_config": _watched(LISTENERS)},
        "layered_runtime": {
            "layers": [
                {"name": "start", "static_layer": dict(runtime)},
                {"name": "admin", "admin_layer": {}},
            ]
        },
    }


def clusters(fronts: Iterable[Front]) -> dict[str, Any]:
    return {"resources": [_cluster(front.slug, slot) for front in fronts for slot in SLOTS]}


def listeners(fronts: Iterable[Front]) -> dict[str, Any]:
    return {"resources": [_listener(front) for front in fronts]}


def _watched(name: str) -> dict[str, Any]:
    # Resources are replaced by an atomic rename, which only a watch on the folder sees reliably.
    return {
        "path_config_source": {"path": name, "watched_directory": {"path": "."}},
        "resource_api_version": "V3",
    }


def _cluster(slug: str, slot: str) -> dict[str, Any]:
    name = cluster_name(slug, slot)
    return {
        "@type": f"{_TYPES}.config.cluster.v3.Cluster",
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [
                {"lb_endpoints": [{"endpoint": {"address": {"pipe": {"path": socket_path(slug, slot)}}}}]}
            ],
        },
        "circuit_breakers": {
            "thresholds": [{"max_connections": 4096, "max_pending_requests": 4096, "max_requests": 4096}]
        },
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": f"{_TYPES}.extensions.upstreams.http.v3.HttpProtocolOptions",
                # Shorter than the model server's keep-alive: an idle connection is always closed from this side, so
                # no request meets a connection that is just being closed from the other.
                "common_http_protocol_options": {"idle_timeout": "60s"},
                "explicit_http_config": {"http_protocol_options": {}},
            }
        },
    }


def socket_path(slug: str, slot: str) -> str:
    """Of a slot's model server, relative to the stack's folder."""
    return f"{slot_folder(slug, slot)}/m.sock"


def slot_folder(slug: str, slot: str) -> str:
    """`sock/` in it belongs to the model server, the rest to the stack."""
    return f"slots/{slug}/{slot}"


def access_log_path(slug: str) -> str:
    return f"access/{slug}/access.jsonl"


def _listener(front: Front) -> dict[str, Any]:
    return {
        "@type": f"{_TYPES}.config.listener.v3.Listener",
        "name": front.slug,
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": front.port}},
        # With it, another process could share the port unseen.
        "enable_reuse_port": False,
        "filter_chains": [
            {
                "filters": [
                    {
                        "name": "envoy.filters.network.http_connection_manager",
                        "typed_config": _connection_manager(front.slug),
                    }
                ]
            }
        ],
    }


def _connection_manager(slug: str) -> dict[str, Any]:
    return {
        "@type": f"{_TYPES}.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": slug,
        # Callers are strangers: their x-envoy-* headers (time-outs, retries) are taken off.
        "use_remote_address": True,
        "stream_idle_timeout": "60s",
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {
                    "@type": f"{_TYPES}.extensions.filters.http.router.v3.Router",
                    "suppress_envoy_headers": True,
                },
            }
        ],
        "local_reply_config": {
            "body_format": {
                "json_format": {"error": "%LOCAL_REPLY_BODY%"},
                "content_type": "application/json",
            }
        },
        "access_log": [_access_log(slug)],
        "route_config": {
            "name": slug,
            "validate_clusters": False,
            "virtual_hosts": [{"name": slug, "domains": ["*"], "routes": _routes(slug)}],
        },
    }


def _routes(slug: str) -> list[dict[str, Any]]:
    """Predictions are POSTs; whatever else is asked (readiness, metadata) goes the same way under another name, so
    that it is not counted as a prediction.
    """
    served = {"default_value": {"numerator": 0, "denominator": "HUNDRED"}, "runtime_key": f"share.{slug}"}
    split = {
        "weighted_clusters": {
            "runtime_key_prefix": f"weight.{slug}",
            "clusters": [
                {"name": cluster_name(slug, slot), "weight": 100 if slot == SLOTS[0] else 0} for slot in SLOTS
            ],
        },
        "timeout": f"{ROUTE_TIMEOUT_S}s",
    }
    posted = [{"name": ":method", "string_match": {"exact": "POST"}}]
    return [
        {
            "name": PREDICT_ROUTE,
            "match": {"prefix": "/", "headers": posted, "runtime_fraction": served},
            "route": split,
        },
        {
            "name": "other",
            "match": {
                "prefix": "/",
                "headers": [{**posted[0], "invert_match": True}],
                "runtime_fraction": served,
            },
            "route": split,
        },
        {
            "name": "nothing",
            "match": {"prefix": "/"},
            "direct_response": {"status": 503, "body": {"inline_string": "no model is deployed here"}},
        },
    ]


def _access_log(slug: str) -> dict[str, Any]:
    """Nothing that a caller writes is in it. `us`: from the request's last byte to the answer's first, in
    microseconds, so that a slow caller does not make a revision slow; null where no answer was begun. `sent`: how long
    the request took to arrive, null where it never did.
    """
    return {
        "name": "envoy.access_loggers.file",
        "typed_config": {
            "@type": f"{_TYPES}.extensions.access_loggers.file.v3.FileAccessLog",
            "path": access_log_path(slug),
            "log_format": {
                "json_format": {
                    "began": "%START_TIME(%s.%6f)%",
                    "cluster": "%UPSTREAM_CLUSTER%",
                    "route": "%ROUTE_NAME%",
                    "status": "%RESPONSE_CODE%",
                    "flags": "%RESPONSE_FLAGS%",
                    "sent": "%COMMON_DURATION(DS_RX_BEG:DS_RX_END:us)%",
                    "us": "%COMMON_DURATION(DS_RX_END:DS_TX_BEG:us)%",
                    "ms": "%DURATION%",
                }
            },
        },
    }
