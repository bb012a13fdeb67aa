"""Bad weather between the bot and the forge, as ASGI middleware: real answers over real sockets, bent on their way.

`Weather.falls` is asked for each call (its number, from 1, and METHOD /path) and says what happens to it. Whether the
forge carries the call out is part of it: an answer that is lost on the way back is the hardest case, because the
effect is there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Fault(StrEnum):
    """What may happen to a call. `LOST_*` are carried out by the forge; the others never reach it."""

    SERVER_ERROR = "500"
    BAD_GATEWAY = "502"
    SECONDARY_LIMIT = "403 secondary limit"
    TOO_MANY = "429"
    UNREACHABLE = "no answer"
    LOST_ANSWER = "done, no answer"
    LOST_HALF = "done, half a body"
    LOST_ERROR = "done, 500"


RETRY_AFTER_S = 60
_UNCHANGED = 304
_STATUS = {
    Fault.SERVER_ERROR: 500,
    Fault.BAD_GATEWAY: 502,
    Fault.SECONDARY_LIMIT: 403,
    Fault.TOO_MANY: 429,
    Fault.LOST_ERROR: 500,
}
_LIMITED = b'{"message": "You have exceeded a secondary rate limit."}'


def fair(_number: int, _what: str) -> Fault | None:
    return None


@dataclass
class Weather:
    """`calls` lists what was asked, in order, since it was last emptied; `unchanged` those that were answered with 304."""

    app: ASGIApp
    falls: Callable[[int, str], Fault | None] = fair
    calls: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/api/"):
            await self.app(scope, receive, send)
            return
        self.calls.append(f"{scope['method']} {scope['path']}")
        fault = self.falls(len(self.calls), self.calls[-1])
        if fault is None:
            await self.app(scope, receive, self._noting(self.calls[-1], send))
        elif fault in {Fault.LOST_ANSWER, Fault.LOST_HALF, Fault.LOST_ERROR}:
            await self._lose(fault, scope, receive, send)
        elif fault is Fault.UNREACHABLE:
            raise ConnectionAbortedError
        else:
            await _say(send, _STATUS[fault])

    def _noting(self, call: str, send: Send) -> Send:
        async def noted(message: Message) -> None:
            if message.get("status") == _UNCHANGED:
                self.unchanged.append(call)
            await send(message)

        return noted

    async def _lose(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        """The forge does it; what comes back is not what it said."""
        said: list[Message] = []

        async def keep(message: Message) -> None:
            said.append(message)

        await self.app(scope, receive, keep)
        if fault is Fault.LOST_ERROR:
            await _say(send, 500)
            return
        if fault is Fault.LOST_ANSWER:
            raise ConnectionAbortedError
        body = b"".join(message.get("body", b"") for message in said[1:])
        await send(said[0])
        await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
        raise ConnectionAbortedError


async def _say(send: Send, status: int) -> None:
    limited = status in {403, 429}
    body = _LIMITED if limited else b'{"message": "Server Error"}'
    headers: list[tuple[bytes, Any]] = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
    ]
    if limited:
        headers.append((b"retry-after", str(RETRY_AFTER_S).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
