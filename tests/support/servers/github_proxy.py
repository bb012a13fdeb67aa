"""A stretch of wire between the GitHub adapter and the playground: it keeps what was asked, and can go wrong."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import httpx
from tests.support import playground as support

API = "/api/v3"
# What the cut description leaves out and GitHub has: PyGithub's own way to a repository by id, the repositories of an
# installation, and the issues of a repository by label.
BESIDE = {
    ("GET", "/repositories/{repository_id}"),
    ("GET", "/installation/repositories"),
    ("GET", "/repos/{owner}/{repo}/issues"),
    ("POST", "/repos/{owner}/{repo}/issues"),
}
_HOP = {"connection", "transfer-encoding", "content-length", "content-encoding", "host", "keep-alive"}


@dataclass(frozen=True)
class Asked:
    method: str
    path: str  # as sent, without the API's prefix
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Fault:
    """What the next `times` matching requests get instead; `status` 0 hangs up."""

    method: str
    path: str  # a regular expression over the path
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    message: str = "Injected"
    times: int = 1
    is_late: bool = False  # the request goes through, only its answer is lost


@dataclass
class Proxy:
    target: str
    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    lock: Lock = field(default_factory=Lock)

    @property
    def api(self) -> str:
        return f"{self.url}{API}"

    def fail(self, method: str, path: str, status: int, **more: Any) -> None:
        self.faults.append(Fault(method, path, status, **more))

    def take(self, asked: Asked) -> Fault | None:
        with self.lock:
            self.asked.append(asked)
            for fault in self.faults:
                if fault.times and fault.method == asked.method and re.search(fault.path, asked.path):
                    fault.times -= 1
                    return fault
        return None

    def rest(self) -> list[Asked]:
        return [one for one in self.asked if not re.search(r"\.git/", one.path)]

    def validate(self) -> set[tuple[str, str]]:
        """Holds every REST request so far against GitHub's description; the operations that were asked."""
        return {_validated(one) for one in self.rest()}


def _validated(asked: Asked) -> tuple[str, str]:
    from openapi_core.testing import MockRequest

    method, template, names = _operation(asked)
    if (method, template) in BESIDE:
        return method, template
    path = template.format(**{name: quote(value, safe="") for name, value in names.items()})
    request = MockRequest(
        "https://api.github.com", method.lower(), path, args=dict(asked.query), data=asked.body or None
    )
    support._openapi().validate_request(request)
    _strict(template, asked)
    return method, template


def _strict(template: str, asked: Asked) -> None:
    """GitHub ignores what it does not know, so the description does not refuse it: a misspelt name would be silent."""
    operation = support.description()["paths"][template][asked.method.lower()]
    known = {_found(one)["name"] for one in operation.get("parameters", [])}
    assert set(asked.query) <= known, f"{template} knows no {set(asked.query) - known}"
    schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    if asked.body and schema and "properties" in schema:
        unknown = set(asked.json) - set(schema["properties"])
        assert not unknown, f"{template} knows no {unknown}"


def _found(node: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in node:
        return node
    at: Any = support.description()
    for part in node["$ref"].removeprefix("#/").split("/"):
        at = at[part]
    found: dict[str, Any] = at
    return found


def _operation(asked: Asked) -> tuple[str, str, dict[str, str]]:
    """The most literal template that fits; a path parameter takes one segment as sent, `{path}` any number."""
    fitting = []
    for method, template in support.operations() | BESIDE:
        pattern = re.sub(r"\\\{(\w+)\\\}", _group, re.escape(template))
        match = re.fullmatch(pattern, asked.path)
        if method == asked.method and match:
            names = {name: unquote(value) for name, value in match.groupdict().items()}
            fitting.append((len(names), template, names))
    assert fitting, f"{asked.method} {asked.path} is no operation of GitHub's that the bot may use"
    _, template, names = min(fitting, key=lambda one: (one[0], one[1]))
    return asked.method, template, names


def _group(match: re.Match[str]) -> str:
    return f"(?P<{match[1]}>.+)" if match[1] == "path" else f"(?P<{match[1]}>[^/]+)"


@contextmanager
def between(target: str) -> Iterator[Proxy]:
    proxy = Proxy(target)
    client = httpx.Client(base_url=target, trust_env=False, timeout=30)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def _pass(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(size) if size else b""
            parts = urlsplit(self.path)
            headers = {name.lower(): value for name, value in self.headers.items()}
            query = dict(parse_qsl(parts.query))
            asked = Asked(self.command, parts.path.removeprefix(API), query, headers, body)
            fault = proxy.take(asked)
            if fault is None or fault.is_late:
                sent = {name: value for name, value in headers.items() if name not in _HOP}
                made = client.request(self.command, self.path, content=body, headers=sent)
                if fault is None:
                    kept = {name: value for name, value in made.headers.items() if name not in _HOP}
                    self._answer(made.status_code, kept, made.content)
                    return
            if fault.status == 0:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            told = json.dumps({"message": fault.message}).encode()
            self._answer(fault.status, {"content-type": "application/json", **fault.headers}, told)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _pass  # noqa: N815 - the names that the server looks for

        def _answer(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if status not in {204, 304}:
                self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    proxy.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        with client:
            yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
