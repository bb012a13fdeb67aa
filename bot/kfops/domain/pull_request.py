"""The forge's nouns, as Kfops means them: parsed once at the edge, frozen afterwards."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import IntEnum, StrEnum


@dataclass(frozen=True)
class Actor:
    """Somebody on the forge. `id` is what counts; a login can be renamed and taken by another."""

    id: int
    login: str
    is_human: bool = True


NOBODY = Actor(0, "", is_human=False)  # of whom no delivery told


class Permission(IntEnum):
    """A role on the repository, ordered. UNKNOWN is what an API error leaves: it allows nothing."""

    UNKNOWN = -1
    NONE = 0
    READ = 1
    TRIAGE = 2
    WRITE = 3
    MAINTAIN = 4
    ADMIN = 5


@dataclass(frozen=True)
class Repository:
    id: int
    full_name: str
    default_branch: str
    private: bool = False
    html_url: str = ""


@dataclass(frozen=True)
class PullRequest:
    """A pull request as the forge showed it at one moment."""

    number: int
    title: str
    author: Actor
    is_open: bool
    is_draft: bool
    is_merged: bool
    head_sha: str
    head_ref: str
    head_repository_id: int | None  # None: the fork was deleted
    base_ref: str
    base_sha: str
    mergeable: bool | None  # None: the forge is still working it out
    labels: tuple[str, ...] = ()
    html_url: str = ""
    merge_sha: str | None = None


@dataclass(frozen=True)
class Head:
    """What the last `pull_request` delivery said of a pull request (trust rule R7).

    `changed_at` is the forge's moment, None where a release before knew none; `pushed_at` that of the last push, whose
    sender `sender` is (id 0: no delivery told). `before_sha`: what a push replaced.
    """

    head_sha: str
    base_sha: str
    base_ref: str
    head_repository_id: int | None
    sender: Actor
    received_at: datetime
    changed_at: datetime | None = None
    pushed_at: datetime | None = None
    before_sha: str | None = None

    def then(self, told: Head) -> Head:
        """What is known after one more delivery, which may have been overtaken by those before it.

        The forge's moments have seconds; within one, a push whose result the known one replaced is the earlier.
        Only a push of the known head tells who pushed it: after another delivery with a new head nobody is known to
        have (its push is on its way, got lost, or happened while the pull request was closed).
        """
        is_older = _is_before(told.changed_at, self.changed_at)
        is_replaced = told.changed_at == self.changed_at and told.head_sha == self.before_sha
        known = self if is_older or is_replaced else told
        pushes = [one for one in (told, self) if one.sender.id and one.head_sha == known.head_sha]
        if not pushes:
            return replace(known, sender=NOBODY, pushed_at=None)
        last = self if self in pushes and _is_before(told.pushed_at, self.pushed_at) else pushes[0]
        return replace(known, sender=last.sender, pushed_at=last.pushed_at)


def _is_before(one: datetime | None, other: datetime | None) -> bool:
    return one is not None and other is not None and one < other


class ReviewState(StrEnum):
    APPROVED = "approved"
    CHANGES_REQUESTED = "changes_requested"
    COMMENTED = "commented"
    DISMISSED = "dismissed"
    PENDING = "pending"


@dataclass(frozen=True)
class Review:
    reviewer: Actor
    state: ReviewState
    commit_sha: str
    submitted_at: datetime | None


class CheckState(StrEnum):
    SUCCESS = "success"
    PENDING = "pending"
    FAILURE = "failure"
    MISSING = "missing"


@dataclass(frozen=True)
class Check:
    """A required check and how it stands at one commit; MISSING: nobody reported it yet."""

    name: str
    state: CheckState


@dataclass(frozen=True)
class Comment:
    id: int
    author: Actor
    body: str
    created_at: datetime
    updated_at: datetime
    pull_request: int | None = None


@dataclass(frozen=True)
class Merged:
    sha: str


@dataclass(frozen=True)
class MergeRefused:
    """The forge said no. `is_final` when asking again cannot help without a person."""

    reason: str
    is_final: bool


class Reaction(StrEnum):
    EYES = "eyes"
    ROCKET = "rocket"
    CONFUSED = "confused"
    THUMBS_DOWN = "-1"
