"""Deliveries of the app's webhook that did not arrive: GitHub keeps them for days and sends them again when asked (R3)."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import datetime

from kfops.adapters.github.call import Call
from kfops.adapters.github.client import Client
from kfops.adapters.github.transport import PER_PAGE
from kfops.adapters.github.wire import moment

_ASKED_KEPT = 10_000
_TIMES = 5  # one that fails however often it is sent is no lost delivery


class GitHubDeliveries:
    def __init__(self, client: Client) -> None:
        self.client = client
        self._asked_again: set[int] = set()
        self._times: Counter[str] = Counter()
        self._deliveries_lock = threading.Lock()

    def redeliver_failed(self, since: datetime) -> int:
        """Asks for what failed at or after `since`, each failure once and each delivery at most five times; how many.
        0 for a plain token, which has none.

        One that arrived in the meantime comes twice: whoever takes deliveries knows them by their id.
        """
        if not self.client.tokens.is_app:
            return 0
        failed = self._failed(since)
        for number, guid in failed:
            template = "/app/hook/deliveries/{delivery_id}/attempts"
            self.client.tokens.as_app("POST", template, delivery_id=number).accepted()
            with self._deliveries_lock:
                if len(self._asked_again) >= _ASKED_KEPT:
                    self._asked_again.clear()
                    self._times.clear()
                self._asked_again.add(number)
                self._times[guid] += 1
        return len(failed)

    def _failed(self, since: datetime) -> list[tuple[int, str]]:
        """The newest failure of each delivery that was not asked for yet, oldest first."""
        query: dict[str, str | int] = {"status": "failure", "per_page": PER_PAGE}
        call = Call("GET", "/app/hook/deliveries", query=query, reads_as="app", payer="app")
        newest: dict[str, int] = {}
        for answer in self.client.transport.pages(call, self.client.tokens.jwt()):
            recent = [one for one in answer.data if moment(one["delivered_at"]) >= since]
            for one in recent:
                newest.setdefault(str(one["guid"]), int(one["id"]))
            if len(recent) < len(answer.data):
                break
        with self._deliveries_lock:
            return sorted(
                (number, guid)
                for guid, number in newest.items()
                if number not in self._asked_again and self._times[guid] < _TIMES
            )
