"""What the forge told the bot, as far as the bot cares. Only `Commented` can become a command (R4)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from kfops.domain.pull_request import NOBODY, Actor, Comment, Head, Repository

_PUSHES = frozenset({"opened", "synchronize"})


@dataclass(frozen=True)
class Commented:
    """A new comment on an open pull request. The forge does not say at which commit (R7)."""

    repository: Repository
    installation_id: int | None
    pull_request: int
    comment: Comment


@dataclass(frozen=True)
class PullRequestChanged:
    """Anything that happened to a pull request, with what it is now.

    `updated_at` is the forge's: deliveries overtake one another, and the later one counts. `sender` pushed only
    where `is_push`; a label's sender is not the last pusher.
    """

    repository: Repository
    installation_id: int | None
    number: int
    action: str
    sender: Actor
    author: Actor
    head_sha: str
    head_repository_id: int | None  # None: the fork was deleted
    base_ref: str
    base_sha: str
    is_open: bool
    is_merged: bool
    updated_at: datetime
    before_sha: str | None = None  # of a push onto the branch

    @property
    def is_push(self) -> bool:
        return self.action in _PUSHES

    def head(self, received_at: datetime) -> Head:
        """Only a push makes its sender the last pusher (R6)."""
        return Head(
            head_sha=self.head_sha,
            base_sha=self.base_sha,
            base_ref=self.base_ref,
            head_repository_id=self.head_repository_id,
            sender=self.sender if self.is_push else NOBODY,
            received_at=received_at,
            changed_at=self.updated_at,
            pushed_at=self.updated_at if self.is_push else None,
            before_sha=self.before_sha,
        )


@dataclass(frozen=True)
class Poked:
    """Something that operations under way may be waiting for.

    `pull_requests` is empty where the forge names none (a status, a check of a fork); `commit_sha` may tell then.
    `reason`: the forge's name for the event.
    """

    repository: Repository
    installation_id: int | None
    pull_requests: tuple[int, ...]
    commit_sha: str | None
    reason: str


Event = Commented | PullRequestChanged | Poked
