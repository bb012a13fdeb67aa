"""Deliveries of the app's webhook that did not arrive: GitHub keeps them for days and sends them again when asked (R3)."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import datetime
from itertools import islice

import structlog

from kfops.adapters.github.call import Call, following
from kfops.adapters.github.client import Client
from kfops.adapters.github.transport import MOST_PAGES, PER_PAGE
from kfops.adapters.github.wire import moment
from kfops.ports.errors import Refused
from kfops.ports.forge import Redelivered

_ARRIVED = "OK"
_ASKED_KEPT = 10_000
_TIMES = 5  # one that fails however often it is sent is no lost delivery
log = structlog.get_logger("kfops.deliveries")


class GitHubDeliveries:
    def __init__(self, client: Client) -> None:
        self.client = client
        self._asked_again: set[int] = set()
        self._times: Counter[str] = Counter()
        self._deliveries_lock = threading.Lock()

    def redeliver_failed(self, since: datetime, page: str = "") -> Redelivered:
        """Asks for what failed at or after `since`, each failure once and each delivery at most five times.
        None for a plain token, which has none. At most a hundred pages are read at once, newest first.

        One that arrived in the meantime comes twice: whoever takes deliveries knows them by their id.
        """
        if not self.client.tokens.is_app:
            return Redelivered(0)
        failed, further = self._failed(since, page)
        return Redelivered(sum(self._send_again(number, guid) for number, guid in failed), further)

    def _send_again(self, number: int, guid: str) -> bool:
        """One that GitHub does not send again holds up none of the others, and is not asked for any more."""
        template = "/app/hook/deliveries/{delivery_id}/attempts"
        is_sent = True
        try:
            self.client.tokens.as_app("POST", template, delivery_id=number).accepted()
        except Refused as error:
            log.warning("a failed delivery is lost", delivery=guid, error=str(error))
            is_sent = False
        with self._deliveries_lock:
            if len(self._asked_again) >= _ASKED_KEPT:
                self._asked_again.clear()
                self._times.clear()
            self._asked_again.add(number)
            self._times[guid] += 1
        return is_sent

    def _failed(self, since: datetime, page: str) -> tuple[list[tuple[int, str]], str]:
        """What did not arrive at its newest attempt and was not asked for since then, oldest first; the next page.

        All are read: GitHub's filter for failures knows answers from 400 on, not those that never came.
        """
        query: dict[str, str | int] = {"per_page": PER_PAGE, **({"cursor": page} if page else {})}
        call = Call("GET", "/app/hook/deliveries", query=query, reads_as="app", payer="app")
        newest: dict[str, tuple[int, str]] = {}
        further = ""
        for answer in islice(self.client.transport.pages(call, self.client.tokens.jwt()), MOST_PAGES):
            recent = [one for one in answer.data if moment(one["delivered_at"]) >= since]
            for one in recent:
                newest.setdefault(str(one["guid"]), (int(one["id"]), str(one["status"])))
            more = following(call, answer) if len(recent) == len(answer.data) else None
            further = str(more.query.get("cursor", "")) if more else ""
            if not further:
                break
        with self._deliveries_lock:
            failed = sorted(
                (number, guid)
                for guid, (number, status) in newest.items()
                if status != _ARRIVED and number not in self._asked_again and self._times[guid] < _TIMES
            )
        return failed, further
