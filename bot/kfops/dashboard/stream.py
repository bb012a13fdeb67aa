"""An operation as it moves: looked at in the ledger, sent when it reads differently."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from starlette.concurrency import run_in_threadpool

from kfops.dashboard import reading
from kfops.dashboard.door import NotHere, Place
from kfops.dashboard.render import filled

LOOK_EVERY_S = 1.0
LOOKS = 600  # then the browser asks again


async def changes(here: Place, number: int) -> AsyncIterator[str]:
    """Ends with the operation: an event `over` tells the browser not to come back. Ends as well with the visitor's session
    and with their right to read (R21), both of which are asked at every look.
    """
    sent = ""
    for _ in range(LOOKS):
        try:
            text, is_over = await run_in_threadpool(_look, here, number)
        except NotHere:
            return
        if text != sent:
            yield _event("state", text)
            sent = text
        if is_over:
            yield _event("over", "")
            return
        await asyncio.sleep(LOOK_EVERY_S)


def _look(here: Place, number: int) -> tuple[str, bool]:
    if not here.is_open():
        raise NotHere
    found = reading.operation(here, number)
    text = filled(
        here.seen.dashboard, "moving.html", here=here, operation=found, reply=reading.reply(here, found)
    )
    return text, found.outcome is not None


def _event(name: str, text: str) -> str:
    lines = "\n".join(f"data: {line}" for line in text.splitlines()) or "data:"
    return f"event: {name}\n{lines}\n\n"
