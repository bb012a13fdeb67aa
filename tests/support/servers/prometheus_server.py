"""A real Prometheus that scrapes what stands for a cluster's counters, and those counters."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
from tests.support.servers.bound import bound

PROMETHEUS = "KFOPS_PROMETHEUS"
WHY = f"no Prometheus: {PROMETHEUS} names no binary and there is none on the PATH (.ci/run takes Debian's)"
SCRAPE_S = 0.25
_BOUNDS_MS = (1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000)


def prometheus_binary() -> str | None:
    return os.environ.get(PROMETHEUS) or shutil.which("prometheus")


@dataclass
class Requests:
    """What counted requests of one arm, by status code and by duration."""

    codes: Counter[int] = field(default_factory=Counter)
    times: dict[int, list[float]] = field(default_factory=dict)

    def add(self, code: int, milliseconds: float) -> None:
        self.codes[code] += 1
        self.times.setdefault(code, []).append(milliseconds)


class Exporter:
    """`/metrics` as Knative's queue-proxies and Istio's gateway would show it, from an Envoy's access log."""

    def __init__(self, access_log: Path) -> None:
        self._log = access_log
        self._offset = 0
        self._arms: dict[tuple[str, str], Requests] = {}
        self._direct: dict[tuple[str, str], Requests] = {}
        self._lock = threading.Lock()
        exporter = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                content = exporter.text().encode()
                self.send_response(200)
                self.send_header("content-type", "text/plain; version=0.0.4")
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                with contextlib.suppress(BrokenPipeError):  # a scraper that was ended meanwhile
                    self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.is_silent = False

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    def begin_anew(self, namespace: str) -> None:
        """The processes that count there restart."""
        with self._lock:
            self._read()
            for known in (self._arms, self._direct):
                for key in [key for key in known if key[0] == namespace]:
                    known[key] = Requests()

    def count(self, namespace: str, arm: str, code: int, milliseconds: float, *, times: int = 1) -> None:
        """Requests that no Envoy has seen."""
        with self._lock:
            for _ in range(times):
                self._arms.setdefault((namespace, arm), Requests()).add(code, milliseconds)

    def text(self) -> str:
        with self._lock:
            self._read()
            if self.is_silent:
                return ""
            lines = [
                line
                for (space, arm), requests in self._arms.items()
                for line in _knative(space, arm, requests)
            ]
            for (space, arm), requests in self._arms.items():
                lines += _istio(space, arm, requests, self._direct.get((space, arm), Requests()))
            return "\n".join(lines) + "\n"

    def _read(self) -> None:
        if not self._log.exists():
            return
        with self._log.open("rb") as file:
            file.seek(self._offset)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                self._offset += len(line)
                self._take(json.loads(line))

    def _take(self, seen: dict) -> None:
        if not seen["cluster"]:
            return
        space, _, arm = seen["cluster"].partition("/")
        self._arms.setdefault((space, arm), Requests()).add(seen["status"], seen["ms"])
        if seen["host"].startswith(f"{arm}."):
            # Asked at its own Service: no gateway has seen it.
            self._direct.setdefault((space, arm), Requests()).add(seen["status"], seen["ms"])


def _knative(space: str, arm: str, requests: Requests) -> list[str]:
    lines = []
    for code, number in requests.codes.items():
        labels = f'namespace_name="{space}",revision_name="{arm}",response_code="{code}"'
        lines.append(f"revision_request_count{{{labels}}} {number}")
        lines += _histogram("revision_request_latencies_bucket", labels, requests.times[code])
    return lines


def _istio(space: str, arm: str, requests: Requests, direct: Requests) -> list[str]:
    lines = []
    for code, number in requests.codes.items():
        labels = (
            f'reporter="source",source_workload="gateway",destination_service_namespace="{space}",'
            f'destination_service_name="{arm}",response_code="{code}"'
        )
        own = direct.codes[code]
        lines.append(f"istio_requests_total{{{labels}}} {number - own}")
        lines += _histogram("istio_request_duration_milliseconds_bucket", labels, requests.times[code])
    return lines


def _histogram(name: str, labels: str, times: list[float]) -> list[str]:
    bounds = [*((str(bound), bound) for bound in _BOUNDS_MS), ("+Inf", float("inf"))]
    return [f'{name}{{{labels},le="{text}"}} {sum(one <= bound for one in times)}' for text, bound in bounds]


@dataclass(frozen=True)
class Scraping:
    url: str
    exporter: Exporter


@contextmanager
def scraping(binary: str, folder: Path, access_log: Path) -> Iterator[Scraping]:
    exporter = Exporter(access_log)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    job = {
        "job_name": "cluster",
        "scrape_interval": f"{round(SCRAPE_S * 1000)}ms",
        "scrape_timeout": f"{round(SCRAPE_S * 1000)}ms",
        "static_configs": [{"targets": [exporter.address]}],
    }
    (folder / "prometheus.yml").write_text(json.dumps({"scrape_configs": [job]}))
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            bound(
                [
                    binary,
                    f"--config.file={folder / 'prometheus.yml'}",
                    f"--storage.tsdb.path={folder / 'data'}",
                    f"--web.listen-address=127.0.0.1:{port}",
                    "--log.level=warn",
                ]
            ),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 30
        while not _is_scraping(url):
            assert process.poll() is None, (folder / "prometheus.log").read_text()[-2000:]
            assert time.monotonic() < deadline, (folder / "prometheus.log").read_text()[-2000:]
            time.sleep(0.05)
        yield Scraping(url, exporter)
    finally:
        process.kill()
        process.wait()
        exporter.close()


def _is_scraping(url: str) -> bool:
    try:
        with httpx.Client(trust_env=False, timeout=2) as client:
            found = client.get(f"{url}/api/v1/query", params={"query": "count(up == 1)"}).json()
    except (httpx.HTTPError, ValueError):
        return False
    return bool(found.get("data", {}).get("result"))
