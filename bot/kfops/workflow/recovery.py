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
FURTHER = "deliveries:further"  # since when, and the forge's name of the page to go on with
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
        The cursor moves as far as was read: what was found before the forge went away is not looked for again.
        """
        now = self.clock.now()
        turn = Lock(
            LOCK, self.owner, "looks for what was lost", now, now + EVERY - timedelta(seconds=10), None
        )
        if self.book.acquire(turn).holder != self.owner:
            return 0
        self._part("deliveries", partial(self._deliveries, now))
        found = 0
        for repository_id, name, _ in self.book.repositories():
            if self.is_served(name):
                found += self._part(f"comments:{repository_id}", partial(self._comments, repository_id, now))
        return found

    def _part(self, name: str, look: Callable[[], int]) -> int:
        try:
            return look()
        except (Unavailable, Refused) as error:
            log.info("not looked", what=name, error=str(error))
        except Exception:
            log.exception("not looked", what=name)
        return 0

    def _since(self, name: str, now: datetime) -> datetime:
        """Where the last look ended. The first one's beginning is kept too, until a look succeeds."""
        kept = self.book.cursor(name)
        if kept:
            return datetime.fromisoformat(kept)
        self.book.set_cursor(name, (now - EVERY).isoformat())
        return now - EVERY

    def _deliveries(self, now: datetime) -> int:
        """Newest first. After a long outage one look does not reach the end: the next ones go on where it stopped."""
        kept, _, page = (self.book.cursor(FURTHER) or "").partition(" ")
        since = datetime.fromisoformat(kept) if kept else self._since("deliveries", now) - OVERLAP
        try:
            asked = self.forge.redeliver_failed(since, page)
        except Refused:
            if kept:  # the page may be gone: the next look begins anew
                self.book.set_cursor("deliveries", kept)
                self.book.set_cursor(FURTHER, "")
            raise
        if asked.count:
            log.info("asked for failed deliveries", count=asked.count, since=since.isoformat())
        self.book.set_cursor(FURTHER, f"{since.isoformat()} {asked.further}" if asked.further else "")
        if not kept:
            self.book.set_cursor("deliveries", now.isoformat())
        return 0

    def _comments(self, repository_id: int, now: datetime) -> int:
        name = f"comments:{repository_id}"
        since = read = self._since(name, now)
        found = 0
        try:
            for comment in self.forge.comments_since(repository_id, since - OVERLAP):
                found += self._take(repository_id, comment, now)
                read = max(read, comment.created_at)
            read = now
        finally:
            if read > since:
                self.book.set_cursor(name, read.isoformat())
        return found

    def _take(self, repository_id: int, comment: Comment, now: datetime) -> bool:
        """One that cannot be taken is passed over: it must not hide those behind it."""
        try:
            if not self._is_lost(repository_id, comment, now):
                return False
            log.info("found a lost command", repository=repository_id, comment=comment.id)
            self.accept([self._arrival(repository_id, comment, now)])
        except Unavailable:
            raise
        except Refused as error:
            _passed_over(repository_id, comment, str(error))
            return False
        except Exception:
            log.exception("passed over a comment", repository=repository_id, comment=comment.id)
            return False
        return True

    def _is_lost(self, repository_id: int, comment: Comment, now: datetime) -> bool:
        """A command as it was written: an edited comment may be somebody else's words under its author's name (R4)."""
        number = comment.pull_request
        if number is None or comment.created_at > now - GRACE or not parse(comment.body):
            return False
        if self.book.knows_comment(repository_id, comment.id):
            return False
        if comment.updated_at != comment.created_at:
            _passed_over(repository_id, comment, "edited before it was found")
            return False
        if not self.forge.pull_request(repository_id, number).is_open:
            _passed_over(repository_id, comment, "its pull request is closed")
            return False
        return True

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


def _passed_over(repository_id: int, comment: Comment, why: str) -> None:
    log.info("passed over a comment", repository=repository_id, comment=comment.id, why=why)
