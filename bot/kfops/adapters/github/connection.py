"""PyGithub's requester, one per thread, with the credential of each call.

PyGithub keeps the request in its one connection object between sending and receiving, so two threads that share a
client mix up their requests: each thread has its own. Its requester is used rather than its objects, because objects
fetch what they miss when they are looked at, and every call counts against the budget.
"""

from __future__ import annotations

import ipaddress
import threading
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakSet

from github import Auth, Consts, Github
from github.Requester import HTTPRequestsConnectionClass, HTTPSRequestsConnectionClass, RequestsResponse

USER_AGENT = "kfops"
API_VERSION = "2022-11-28"
_MOVED_PERMANENTLY, _MOVED_KEEPING_METHOD, _ACCEPTED, _NOT_READY = 301, 308, 202, 503


class Bearer(Auth.Auth):
    """The credential of the call that this thread is making; masked in PyGithub's own log."""

    def __init__(self) -> None:
        self.value = ""

    @property
    def token_type(self) -> str:
        return "Bearer"

    @property
    def token(self) -> str:
        return self.value

    @property
    def _masked_token(self) -> str:
        return "(removed)"


def _plain(response: RequestsResponse, method: str) -> RequestsResponse:
    # PyGithub follows 301 itself and loses the query on the way (`ref` with it), and sleeps a minute on 202.
    if response.status == _MOVED_PERMANENTLY:
        response.status = _MOVED_KEEPING_METHOD
    if response.status == _ACCEPTED and method == "GET":
        response.status = _NOT_READY
    return response


class _Http(HTTPRequestsConnectionClass):
    def getresponse(self) -> RequestsResponse:
        return _plain(super().getresponse(), self.verb)


class _Https(HTTPSRequestsConnectionClass):
    def getresponse(self) -> RequestsResponse:
        return _plain(super().getresponse(), self.verb)


class Connection:
    """One thread's way to the API. `timeout_s` holds for connecting and for each silence."""

    def __init__(self, base_url: str, timeout_s: float) -> None:
        self._bearer = Bearer()
        self._github = Github(
            base_url=base_url,
            auth=self._bearer,
            timeout=int(timeout_s),
            user_agent=USER_AGENT,
            retry=None,
            seconds_between_requests=0,
            seconds_between_writes=0,
            lazy=True,
        )
        parts = urlsplit(base_url)
        kind = _Https if parts.scheme == "https" else _Http
        self._wire = kind(parts.hostname or "", parts.port, timeout=int(timeout_s), retry=0, pool_size=1)
        # A proxy from the environment has no way to this machine's own addresses.
        self._wire.session.trust_env = not is_loopback(parts.hostname or "")

    def ask(
        self,
        method: str,
        path: str,
        token: str,
        *,
        query: Mapping[str, Any],
        headers: Mapping[str, str],
        body: Any,
    ) -> tuple[int, dict[str, str], str]:
        """Status, headers and text. Raises what requests raises."""
        self._bearer.value = token
        sent = {"Accept": Consts.mediaType, "X-GitHub-Api-Version": API_VERSION, **headers}
        try:
            status, received, text = self._github.requester.requestJson(
                method, path, parameters=dict(query), headers=sent, input=body, cnx=self._wire
            )
        finally:
            self._bearer.value = ""
        return status, received, text

    def close(self) -> None:
        self._wire.close()
        self._github.close()


class Connections:
    """Each thread's connection, made on its first call and gone with the thread."""

    def __init__(self, base_url: str, timeout_s: float) -> None:
        self._base_url, self._timeout_s = base_url, timeout_s
        self._here = threading.local()
        self._all: WeakSet[Connection] = WeakSet()

    @property
    def mine(self) -> Connection:
        found: Connection | None = getattr(self._here, "connection", None)
        if found is None:
            found = self._here.connection = Connection(self._base_url, self._timeout_s)
            self._all.add(found)
        return found

    def close(self) -> None:
        """Of all threads; a later call opens its own again."""
        for connection in list(self._all):
            connection.close()


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
