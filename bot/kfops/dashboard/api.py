"""The same as the pages, as JSON, behind the same door."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from kfops.dashboard import reading
from kfops.dashboard.door import Here

routes = APIRouter(prefix="/api/repositories/{owner}/{name}", tags=["read-only"])
PullRequest = Annotated[int | None, Query(ge=1, le=2**31 - 1)]


@routes.get("/operations")
def operations(
    here: Here, pull_request: PullRequest = None, limit: Annotated[int, Query(ge=1, le=200)] = 50
) -> list[dict[str, Any]]:
    """Newest first."""
    found = here.book.recent(here.repository_id, pull_request=pull_request, limit=limit)
    return [reading.summary(here, one) for one in found]


@routes.get("/operations/{number}")
def operation(here: Here, number: int) -> dict[str, Any]:
    """One operation with what it did outside and its reply in Markdown."""
    return reading.whole(here, reading.operation(here, number))


@routes.get("/revisions")
def revisions(here: Here) -> list[dict[str, Any]]:
    """What serves where."""
    return [reading.served(one) for one in here.book.active_revisions(here.repository_id)]


@routes.get("/audit")
def audit(here: Here, pull_request: PullRequest = None) -> dict[str, Any]:
    """The trail, oldest first; `broken` names the first link that does not hold, if any."""
    return {
        "broken": here.book.verify(here.repository_id),
        "entries": [reading.told(here, one) for one in here.book.trail(here.repository_id, pull_request)],
    }
