"""What the forge lost: failed deliveries are asked for again, and comments that nobody delivered are found (R3)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol

import structlog

from kfops.command.parse import parse
from kfops.domain.events import Commented
from kfops.domain.pull_request import Comment
from kfops.domain.record import Lock
from kfops.ports.clock import Clock
from kfops.ports.errors import Refused, Unavailable
from kfops.ports.forge import Conversation, Deliveries, PullRequests
from kfops.ports.ledger import Arrival, Inbox, Locks
from kfops.workflow.inbox import arrival_of

EVERY = timedelta(minutes=3)
OVERLAP = timedelta(minutes=5)  # a list may be behind, and clocks differ
GRACE = timedelta(seconds=30)  # until then the webhook may simply be on its way
LOCK = "recovery"
log = structlog.get_logger("kfops.recovery")


class Lost(PullRequests, Conversation, Deliveries, Protocol):
    """Where what was lost can be found."""


class Book(Inbox, Locks, Protocol):
    """Where it is stored, and where replicas agree on who looks."""


@dataclass(frozen=True)
class Recovery:
    """`accept` stores as the webhook's door does. `is_served`: may a repository of this name use the bot (R1)?"""

    forge: Lost
    book: Book
    accept: Callable[[Sequence[Arrival]], None]
    clock: Clock
    is_served: Callable[[str], bool]
    owner: str

    def look(self) -> int:
        """One round, by one of the replicas; how many lost commands were found in comments.

        Each part goes on from its own cursor, so one that fails is tried again next time and holds up no other.
        """
        now = self.clock.now()
        turn = Lock(
            LOCK, self.owner, "looks for what was lost", now, now + EVERY - timedelta(seconds=10), None
        )
        if self.book.acquire(turn).holder != self.owner:
            return 0
        self._from_cursor("deliveries", now, self._ask_again)
        found = 0
        for repository_id, name, _ in self.book.repositories():
            if self.is_served(name):
                look = partial(self._comments, repository_id, now)
                found += self._from_cursor(f"comments:{repository_id}", now, look)
        return found

    def _from_cursor(self, name: str, now: datetime, look: Callable[[datetime], int]) -> int:
        kept = self.book.cursor(name)
        since = datetime.fromisoformat(kept) if kept else now - EVERY
        try:
            found = look(since - OVERLAP)
        except (Unavailable, Refused) as error:
            log.info("not looked", what=name, since=since.isoformat(), error=str(error))
            return 0
        self.book.set_cursor(name, now.isoformat())
        return found

    def _ask_again(self, since: datetime) -> int:
        count = self.forge.redeliver_failed(since)
        if count:
            log.info("asked for failed deliveries", count=count, since=since.isoformat())
        return 0

    def _comments(self, repository_id: int, now: datetime, since: datetime) -> int:
        found = 0
        for comment in self.forge.comments_since(repository_id, since):
            if self._is_lost(repository_id, comment, now):
                log.info("found a lost command", repository=repository_id, comment=comment.id)
                self.accept([self._arrival(repository_id, comment, now)])
                found += 1
        return found

    def _is_lost(self, repository_id: int, comment: Comment, now: datetime) -> bool:
        """A command as it was written: an edited comment may be somebody else's words under its author's name (R4)."""
        number = comment.pull_request
        return (
            number is not None
            and comment.created_at <= now - GRACE
            and comment.updated_at == comment.created_at
            and bool(parse(comment.body))
            and not self.book.knows_comment(repository_id, comment.id)
            and self.forge.pull_request(repository_id, number).is_open
        )

    def _arrival(self, repository_id: int, comment: Comment, now: datetime) -> Arrival:
        repository, number = self.forge.repository(repository_id), comment.pull_request
        if number is None:
            raise ValueError(f"comment {comment.id} belongs to no pull request")
        return arrival_of(
            Commented(repository, None, number, comment),
            name="found",
            delivery_id=f"comment:{repository_id}:{comment.id}",
            body_digest=hashlib.sha256(comment.body.encode()).hexdigest(),
            now=now,
        )
