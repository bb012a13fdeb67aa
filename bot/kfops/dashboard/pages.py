"""The pages: what serves where, what is under way and what was, one operation as it moves, the audit trail."""

from __future__ import annotations

from fastapi import APIRouter, Response
from fastapi.responses import StreamingResponse

from kfops.dashboard import reading
from kfops.dashboard.door import Here, NotHere, Seen
from kfops.dashboard.render import STATIC, page, static
from kfops.dashboard.stream import changes

routes = APIRouter(prefix="/dashboard", include_in_schema=False)


@routes.get("/")
def home(seen: Seen) -> Response:
    book = seen.dashboard.book
    shown = [
        (name, book.active_revisions(identity), len(book.open_operations(identity)))
        for identity, name, _ in book.repositories()
        if seen.may_read(identity)
    ]
    return page(seen, "home.html", repositories=sorted(shown))


@routes.get("/static/{name}")
def asset(name: str) -> Response:
    if name not in STATIC:
        raise NotHere
    return Response(static(name), media_type=f"{STATIC[name]}; charset=utf-8")


@routes.get("/{owner}/{name}")
def repository(here: Here, pull_request: int | None = None) -> Response:
    return page(
        here.seen,
        "repository.html",
        here=here,
        pull_request=pull_request,
        revisions=here.book.active_revisions(here.repository_id),
        locks=[(reading.environment_of(one), one) for one in reading.locks(here)],
        operations=here.book.recent(here.repository_id, pull_request=pull_request),
    )


@routes.get("/{owner}/{name}/operations/{number}")
def operation(here: Here, number: int) -> Response:
    found = reading.operation(here, number)
    return page(here.seen, "operation.html", here=here, operation=found, reply=reading.reply(here, found))


@routes.get("/{owner}/{name}/operations/{number}/changes")
async def moving(here: Here, number: int) -> Response:
    """Server-sent events (HTML Living Standard, 9.2): the operation's part of the page, whenever it changes."""
    return StreamingResponse(changes(here, number), media_type="text/event-stream")


@routes.get("/{owner}/{name}/audit")
def audit(here: Here, pull_request: int | None = None) -> Response:
    return page(
        here.seen,
        "audit.html",
        here=here,
        pull_request=pull_request,
        broken=here.book.verify(here.repository_id),
        entries=list(reversed(here.book.trail(here.repository_id, pull_request))),
    )
