"""What stands behind the names of InferenceServices: real model servers, and Envoy in front that routes by Host."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

import kfops.adapters.local.serving as local_serving
from kfops.adapters.local.serving.envoy import envoy_binary

_TYPES = "type.googleapis.com/envoy"
_VERSION_HOST = "version.plane"
_SERVER = Path(local_serving.__file__).parent


@dataclass
class ModelServer:
    """One process; several revisions of the same model and label are served by it."""

    process: subprocess.Popen[bytes]
    socket: Path
    log: Path

    @property
    def is_ready(self) -> bool:
        return self.process.poll() is None and self.socket.exists()

    @property
    def last_words(self) -> str | None:
        """None while it has not failed."""
        if self.process.poll() is None:
            return None
        return (self.log.read_text(errors="replace").strip().splitlines() or ["it said nothing"])[-1]


@dataclass
class DataPlane:
    """`backends`: Envoy's cluster to its server; `hosts`: shares by Host, in per cent of each cluster."""

    folder: Path
    port: int = 0
    backends: dict[str, ModelServer] = field(default_factory=dict)
    hosts: dict[str, dict[str, int]] = field(default_factory=dict)
    _servers: dict[tuple[str, ...], ModelServer] = field(default_factory=dict)
    _version: int = 0
    _envoy: subprocess.Popen[bytes] | None = None
    _users: httpx.Client = field(default_factory=lambda: httpx.Client(trust_env=False, timeout=10))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def access_log(self) -> Path:
        return self.folder / "access.jsonl"

    def start(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.access_log.touch()
        self._write("clusters.json", [])
        self._write("routes.json", [self._routes()])
        (self.folder / "bootstrap.json").write_text(json.dumps(_bootstrap(self.port)))
        with (self.folder / "envoy.log").open("wb") as log:
            self._envoy = subprocess.Popen(
                [
                    envoy_binary(),
                    *("-c", "bootstrap.json", "--concurrency", "1", "--disable-hot-restart", "-l", "warning"),
                    *("--file-flush-interval-msec", "25"),
                ],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.put_in_force()

    def stop(self) -> None:
        self._users.close()
        running = [server.process for server in self._servers.values()]
        for process in (self._envoy, *running):
            if process is not None:
                process.kill()
                process.wait()

    def server(self, directory: Path, model: str, version: str, digest: str) -> ModelServer:
        """The one that runs; a new one where none does, or where it has ended."""
        key = (str(directory), model, version, digest)
        known = self._servers.get(key)
        if known is None or known.process.poll() is not None:
            self._servers[key] = self._serve(len(self._servers), directory, model, version, digest)
        return self._servers[key]

    def put_in_force(self) -> None:
        """Returns when Envoy routes as `hosts` and `backends` say."""
        self._version += 1
        self._write("clusters.json", [_cluster(name, server) for name, server in self.backends.items()])
        self._write("routes.json", [self._routes()])
        deadline = time.monotonic() + 15
        while self._in_force() != str(self._version):
            assert time.monotonic() < deadline, (self.folder / "envoy.log").read_text()[-2000:]
            time.sleep(0.01)

    def send(self, host: str, path: str, body: bytes) -> httpx.Response:
        return self._users.post(f"{self.url}{path}", content=body, headers={"host": host})

    def _in_force(self) -> str:
        try:
            return self._users.get(self.url, headers={"host": _VERSION_HOST}).text
        except httpx.HTTPError:
            return ""

    def _serve(self, number: int, directory: Path, model: str, version: str, digest: str) -> ModelServer:
        place = self.folder / f"s{number}-{time.monotonic_ns() % 100_000}"
        place.mkdir()
        with (place / "log").open("wb") as log:
            process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "model_server", str(directory), str(place / "m.sock")),
                    *(model, version, digest),
                ],
                cwd=_SERVER,
                env={"PATH": os.environ["PATH"]},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        return ModelServer(process, place / "m.sock", place / "log")

    def _write(self, name: str, resources: list[dict[str, Any]]) -> None:
        fresh = self.folder / f"{name}.new"
        fresh.write_text(json.dumps({"version_info": str(self._version), "resources": resources}))
        fresh.replace(self.folder / name)

    def _routes(self) -> dict[str, Any]:
        hosts = [_host(host, shares) for host, shares in self.hosts.items()]
        version = {
            "name": _VERSION_HOST,
            "domains": [_VERSION_HOST],
            "routes": [_say(200, str(self._version))],
        }
        nothing = {"name": "nothing", "domains": ["*"], "routes": [_say(503, "no model is deployed here")]}
        return {
            "@type": f"{_TYPES}.config.route.v3.RouteConfiguration",
            "name": "all",
            "virtual_hosts": [*hosts, version, nothing],
        }


def _host(host: str, shares: Mapping[str, int]) -> dict[str, Any]:
    weights = [{"name": name, "weight": weight} for name, weight in shares.items() if weight]
    if not weights:
        return {"name": host, "domains": [host], "routes": [_say(503, "nothing is ready here")]}
    route = {"weighted_clusters": {"clusters": weights}, "timeout": "30s"}
    # MLServer's runtime for MLflow answers MLflow's own path too.
    invocations = {"match": {"path": "/invocations"}, "route": {**route, "prefix_rewrite": "/predict"}}
    return {
        "name": host,
        "domains": [host],
        "routes": [invocations, {"match": {"prefix": "/"}, "route": route}],
    }


def _say(status: int, text: str) -> dict[str, Any]:
    return {
        "match": {"prefix": "/"},
        "direct_response": {"status": status, "body": {"inline_string": text}},
    }


def _cluster(name: str, server: ModelServer) -> dict[str, Any]:
    # Relative: a Unix socket's path must be short.
    path = f"{server.socket.parent.name}/{server.socket.name}"
    endpoint = {"endpoint": {"address": {"pipe": {"path": path}}}}
    return {
        "@type": f"{_TYPES}.config.cluster.v3.Cluster",
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
    }


def _watched(name: str) -> dict[str, Any]:
    watched = {"path": name, "watched_directory": {"path": "."}}
    return {"path_config_source": watched, "resource_api_version": "V3"}


def _bootstrap(port: int) -> dict[str, Any]:
    manager = {
        "@type": f"{_TYPES}.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "plane",
        "rds": {"route_config_name": "all", "config_source": _watched("routes.json")},
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"{_TYPES}.extensions.filters.http.router.v3.Router"},
            }
        ],
        "access_log": [
            {
                "name": "envoy.access_loggers.file",
                "typed_config": {
                    "@type": f"{_TYPES}.extensions.access_loggers.file.v3.FileAccessLog",
                    "path": "access.jsonl",
                    "log_format": {
                        "json_format": {
                            "cluster": "%UPSTREAM_CLUSTER%",
                            "host": "%REQ(:AUTHORITY)%",
                            "method": "%REQ(:METHOD)%",
                            "status": "%RESPONSE_CODE%",
                            "ms": "%DURATION%",
                        }
                    },
                },
            }
        ],
    }
    listener = {
        "name": "gateway",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "enable_reuse_port": False,
        "filter_chains": [
            {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
        ],
    }
    return {
        "node": {"id": "plane", "cluster": "tests"},
        "static_resources": {"listeners": [listener]},
        "dynamic_resources": {"cds_config": _watched("clusters.json")},
    }
