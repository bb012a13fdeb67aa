"""The bot's own requests, so that they can be taken off where a revision's counter has them among users' requests."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from threading import Lock

_KEPT = 10_000


@dataclass(frozen=True)
class OwnRequest:
    """`name` is the arm's, as it is counted; `status` None: no answer came."""

    name: str
    at: datetime
    status: int | None


class OwnRequests:
    """Of this process. One that has restarted since knows nothing of its former life: those few stay counted."""

    def __init__(self) -> None:
        self._made: deque[OwnRequest] = deque(maxlen=_KEPT)
        self._lock = Lock()

    def note(self, request: OwnRequest) -> None:
        with self._lock:
            self._made.append(request)

    def since(self, names: Iterable[str], since: datetime | None) -> list[OwnRequest]:
        """To any of these names; all that are remembered where `since` is None."""
        wanted = frozenset(names)
        with self._lock:
            return [one for one in self._made if one.name in wanted and (since is None or one.at >= since)]
