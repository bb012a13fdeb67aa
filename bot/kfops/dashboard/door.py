"""Who may see what: one authoriser for pages and API (R21), the one that commands ask too (R6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from kfops.dashboard.session import Cookies
from kfops.domain.pull_request import Actor, Permission
from kfops.ports.clock import Clock
from kfops.ports.errors import Refused, Unavailable
from kfops.ports.forge import Access
from kfops.ports.ledger import Ledger
from kfops.ports.visitors import Visitors


@dataclass(frozen=True)
class Dashboard:
    """What the pages need. `page_url` is the forge's, `url` the bot's own, both without a slash at the end."""

    book: Ledger
    access: Access
    visitors: Visitors
    cookies: Cookies
    clock: Clock
    url: str
    page_url: str
    secrets: tuple[str, ...] = ()


class NotSignedIn(Exception):  # noqa: N818
    """Nobody in particular asks; the forge is asked who they are."""


class NotHere(Exception):  # noqa: N818
    """There is no such thing, or this visitor may not know of it: the two look alike."""


@dataclass(frozen=True)
class Visit:
    """One request of somebody whom the forge named."""

    dashboard: Dashboard
    request: Request
    visitor: Actor

    @property
    def csrf(self) -> str:
        return self.dashboard.cookies.csrf(self.request)

    def may_read(self, repository_id: int) -> bool:
        """Asked live, at most a minute old; what the forge does not answer is a no."""
        try:
            return self.dashboard.access.permission(repository_id, self.visitor) >= Permission.READ
        except (Unavailable, Refused):
            return False


def visit(request: Request) -> Visit:
    dashboard: Dashboard = request.app.state.dashboard
    visitor = dashboard.cookies.visitor(request)
    if visitor is None:
        raise NotSignedIn
    return Visit(dashboard, request, visitor)


Seen = Annotated[Visit, Depends(visit)]


@dataclass(frozen=True)
class Place:
    """A repository that this visitor may read."""

    seen: Visit
    repository_id: int
    name: str

    def is_open(self) -> bool:
        """Still: the visitor is signed in and may read it. For what goes on after its request was let in."""
        visitor = self.seen.dashboard.cookies.visitor(self.seen.request)
        return visitor == self.seen.visitor and self.seen.may_read(self.repository_id)

    @property
    def book(self) -> Ledger:
        return self.seen.dashboard.book

    @property
    def address(self) -> str:
        return f"{self.seen.dashboard.page_url}/{self.name}"


def place(seen: Seen, owner: str, name: str) -> Place:
    wanted = f"{owner}/{name}".lower()
    for identity, full_name, _ in seen.dashboard.book.repositories():
        if full_name.lower() == wanted and seen.may_read(identity):
            return Place(seen, identity, full_name)
    raise NotHere


Here = Annotated[Place, Depends(place)]
