"""Calls over HTTP: retries, rate limits, conditional requests, and the count of what was asked.

Callers name an operation by the template of GitHub's own description (`/repos/{owner}/{repo}/pulls/{pull_number}`);
the same words label the count.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime

import requests  # type: ignore[import-untyped]
from github import GithubException

from kfops.adapters.github.answer import NOT_MODIFIED, SERVER_ERROR, Answer, limit_of
from kfops.adapters.github.call import Call, following
from kfops.adapters.github.connection import Connections
from kfops.ports.errors import Unavailable

PER_PAGE = 100  # the most that GitHub gives
MOST_PAGES = 100
_TEMPORARY = frozenset({502, 503, 504})
_BACKOFF_S = (0.5, 2.0)  # before the second and the third attempt
_REMEMBERED, _REMEMBERED_CHARS = 128, 50_000  # answers are kept parsed, in memory


class Transport:
    """Thread-safe. `sleep` takes seconds; waits between attempts are short, longer ones are `Unavailable`."""

    def __init__(
        self,
        base_url: str,
        *,
        now: Callable[[], datetime],
        sleep: Callable[[float], None] = time.sleep,
        timeout_s: float = 20.0,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self._now, self._sleep = now, sleep
        self._connections = Connections(self.base_url, timeout_s)
        self._lock = threading.Lock()
        self._calls: Counter[str] = Counter()
        self._remembered: OrderedDict[tuple[str, str], tuple[str, Answer]] = OrderedDict()
        self._closed_until: dict[str, float] = {}  # credential's owner → when its rate limit ends

    @property
    def calls(self) -> Mapping[str, int]:
        """How often each operation was asked so far, each attempt and each page counted.

        Under its name with ` 304` behind it: how often nothing had changed, which costs nothing of the rate limit.
        """
        with self._lock:
            return dict(self._calls)

    def count(self, what: str) -> None:
        with self._lock:
            self._calls[what] += 1

    def close(self) -> None:
        self._connections.close()

    def send(self, call: Call, token: str) -> Answer:
        """The answer, refusals included. Unavailable where none came, for server errors and rate limits."""
        self._respect_limit(call)
        tag, kept = self._kept(call)
        headers = {"If-None-Match": tag} if tag else {}
        answer = self._attempts(call, token, headers)
        if answer.status == NOT_MODIFIED and kept is not None:
            return kept
        limit = limit_of(answer, self._now())
        if limit is not None:
            self._close(call, limit.retry_after_s or 0.0)
            raise limit
        if answer.status >= SERVER_ERROR:
            raise Unavailable(f"GitHub answered {call.what} with {answer.status} {answer.message}".rstrip())
        self._keep(call, answer)
        return answer

    def pages(self, call: Call, token: str) -> Iterator[Answer]:
        """Every page, by the Link header. Refused for a page that is refused; Unavailable for lists without end."""
        return self.pages_from(call, self.send(call, token), token)

    def pages_from(self, call: Call, first: Answer, token: str) -> Iterator[Answer]:
        """The same, where the first page has been asked for already."""
        answer = first
        for _ in range(MOST_PAGES):
            answer.accepted()
            yield answer
            further = following(call, answer)
            if further is None:
                return
            answer = self.send(further, token)
        raise Unavailable(f"GitHub's list for {call.what} has more than {MOST_PAGES} pages")

    def _attempts(self, call: Call, token: str, headers: Mapping[str, str]) -> Answer:
        pauses = _BACKOFF_S if call.method == "GET" else ()
        for pause in pauses:
            try:
                answer = self._once(call, token, headers)
            except Unavailable:
                pass
            else:
                if answer.status not in _TEMPORARY or "retry-after" in answer.headers:
                    return answer
            self._sleep(pause)
        return self._once(call, token, headers)

    def _once(self, call: Call, token: str, headers: Mapping[str, str]) -> Answer:
        self.count(call.what)
        try:
            status, received, text = self._connections.mine.ask(
                call.method, call.path, token, query=call.query, headers=headers, body=call.body
            )
            kind = received.get("content-type", "")
            data = json.loads(text) if text and "json" in kind else None
            if len(text) > _REMEMBERED_CHARS:
                received = {**received, "etag": ""}
        except (requests.RequestException, GithubException, RuntimeError, ValueError) as error:
            # The message of a connection error may hold the address, never a header: credentials are in headers.
            raise Unavailable(f"GitHub did not answer {call.what}: {type(error).__name__}") from error
        if status == NOT_MODIFIED:
            self.count(f"{call.what} 304")
        answer = Answer(call.what, status, received, data)
        if answer.is_success and text and data is None:
            raise Unavailable(
                f"{call.what} was answered with {kind or 'something'}, not JSON; is a proxy in between?"
            )
        return answer

    def _respect_limit(self, call: Call) -> None:
        with self._lock:
            ends = self._closed_until.get(call.payer, 0.0)
        wait = ends - self._now().timestamp()
        if wait > 0:
            raise Unavailable(
                f"GitHub's rate limit lasts another {wait:.0f} s; {call.what} was not asked",
                retry_after_s=wait,
            )

    def _close(self, call: Call, seconds: float) -> None:
        with self._lock:
            self._closed_until[call.payer] = self._now().timestamp() + seconds

    def _kept(self, call: Call) -> tuple[str, Answer | None]:
        with self._lock:
            return self._remembered.get(_key(call), ("", None)) if call.method == "GET" else ("", None)

    def _keep(self, call: Call, answer: Answer) -> None:
        """A later 304 costs nothing of the rate limit."""
        tag = answer.headers.get("etag", "")
        if call.method != "GET" or not tag or not answer.is_success:
            return
        with self._lock:
            self._remembered[_key(call)] = (tag, answer)
            self._remembered.move_to_end(_key(call))
            while len(self._remembered) > _REMEMBERED:
                self._remembered.popitem(last=False)


def _key(call: Call) -> tuple[str, str]:
    return call.reads_as, f"{call.path}?{sorted(call.query.items())}"
