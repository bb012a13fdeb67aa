"""What the bot needs of the host of pull requests.

Small protocols, by need. Every method may raise `Unavailable` or `Refused`; "not there" is an answer
(`None`), never an exception. Repositories are named by their numeric id: a renamed repository is the same one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from kfops.domain.pull_request import (
    Actor,
    Check,
    Comment,
    Merged,
    MergeRefused,
    Permission,
    PullRequest,
    Reaction,
    Repository,
    Review,
)


class PullRequests(Protocol):
    """Reading and ending a pull request."""

    def repository(self, repository_id: int) -> Repository: ...

    def pull_request(self, repository_id: int, number: int) -> PullRequest: ...

    def reviews(self, repository_id: int, number: int) -> tuple[Review, ...]:
        """All reviews, oldest first, all pages."""
        ...

    def branch_head(self, repository_id: int, branch: str) -> str:
        """The commit that the branch points to now. Refused when there is no such branch."""
        ...

    def is_up_to_date(self, repository_id: int, base_ref: str, head_sha: str) -> bool:
        """Does the head contain every commit of the base branch as it stands now?"""
        ...

    def changed_files(self, repository_id: int, number: int) -> tuple[str, ...]: ...

    def merge(
        self, repository_id: int, number: int, *, sha: str, method: str, title: str
    ) -> Merged | MergeRefused:
        """Merge if the head is still `sha` (trust rule R8)."""
        ...


class Access(Protocol):
    """Who may do what. Asked live."""

    def permission(self, repository_id: int, actor: Actor) -> Permission:
        """The actor's `role_name`; UNKNOWN when the answer's numeric id is another's (R6)."""
        ...

    def in_team(self, repository_id: int, team: str, actor: Actor) -> bool: ...


class Conversation(Protocol):
    """Comments, reactions and labels."""

    def comment(self, repository_id: int, comment_id: int) -> Comment | None: ...

    def comments_since(self, repository_id: int, since: datetime) -> Iterator[Comment]:
        """Comments of all the repository's pull requests created at or after `since`, oldest first, as they are read.

        Unavailable may come after some of them.
        """
        ...

    def find_comment(self, repository_id: int, number: int, marker: str) -> int | None:
        """The id of the bot's *own* comment that contains `marker` (R12)."""
        ...

    def create_comment(self, repository_id: int, number: int, body: str) -> int: ...

    def edit_comment(self, repository_id: int, comment_id: int, body: str) -> None: ...

    def keep_one_comment(self, repository_id: int, number: int, marker: str, keep: int) -> None:
        """Delete the bot's *own* comments that contain `marker`, but this one (R12). Idempotent."""
        ...

    def react(self, repository_id: int, comment_id: int, reaction: Reaction) -> None:
        """Put the bot's reaction on a comment, beside what is there. Idempotent."""
        ...

    def set_labels(
        self, repository_id: int, number: int, *, add: Sequence[str] = (), remove: Sequence[str] = ()
    ) -> None:
        """Idempotent. Labels that do not exist yet are made."""
        ...

    def labelled(self, repository_id: int, label: str) -> tuple[int, ...]:
        """Numbers of the pull requests, open or not, that carry the label."""
        ...


class Issues(Protocol):
    """Issues of the bot's own, where it tells what belongs to no pull request."""

    def find_issue(self, repository_id: int, label: str, marker: str) -> int | None:
        """The number of the bot's *own* issue, open or not, with the label, whose body contains `marker` (R12)."""
        ...

    def create_issue(self, repository_id: int, *, title: str, body: str, label: str) -> int:
        """Its number. A label that does not exist yet is made."""
        ...

    def edit_issue(self, repository_id: int, number: int, body: str) -> bool:
        """Whether it is still there; a person may have deleted it."""
        ...


class CheckConclusion(StrEnum):
    SUCCESS = "success"
    FAILURE = "failure"
    CANCELLED = "cancelled"
    NEUTRAL = "neutral"
    ACTION_REQUIRED = "action_required"


class DeploymentState(StrEnum):
    IN_PROGRESS = "in_progress"
    SUCCESS = "success"
    FAILURE = "failure"
    INACTIVE = "inactive"


@dataclass(frozen=True)
class CheckReport:
    """A check run to be shown; `conclusion` None while it is under way."""

    name: str
    head_sha: str
    title: str
    summary: str
    external_id: str
    conclusion: CheckConclusion | None = None
    details_url: str | None = None


class Statuses(Protocol):
    """Check runs and deployments: what others' tools read of the bot's work."""

    def required_checks(self, repository_id: int, base_ref: str, sha: str) -> tuple[Check, ...]:
        """Required checks of branch protection *and* rulesets, without the bot's own, newest per (app, name) (R16)."""
        ...

    def report_check(self, repository_id: int, report: CheckReport) -> int | None:
        """Create or update by `external_id`; None where the credentials cannot write check runs (a plain token)."""
        ...

    def create_deployment(self, repository_id: int, *, sha: str, environment: str, external_id: str) -> int:
        """Creates, or finds by `external_id` kept in the deployment's payload."""
        ...

    def find_deployment(
        self, repository_id: int, *, sha: str, environment: str, external_id: str
    ) -> int | None:
        """The one that `create_deployment` made under this `external_id`."""
        ...

    def deployment_status(
        self,
        repository_id: int,
        deployment_id: int,
        state: DeploymentState,
        *,
        description: str,
        environment_url: str | None,
    ) -> None: ...


class Source(Protocol):
    """Files of the repository at an exact commit."""

    def file(self, repository_id: int, path: str, ref: str) -> bytes | None: ...

    def checkout(self, repository_id: int, sha: str, into: Path) -> None:
        """The tree of `sha` in the empty folder `into`, without `.git` and without links that leave it.

        Fetched by sha and verified (R7); credentials go in headers only (R17).
        """
        ...


@dataclass(frozen=True)
class Redelivered:
    """`further`: the page to go on with; empty where all was read."""

    count: int
    further: str = ""


class Deliveries(Protocol):
    """Webhooks that got lost (R3). Apart from `Forge`: a workflow has no use for it."""

    def redeliver_failed(self, since: datetime, page: str = "") -> Redelivered:
        """Ask for each delivery that failed at or after `since` once more. `page`: where an earlier look stopped."""
        ...


class Forge(PullRequests, Access, Conversation, Issues, Statuses, Source, Protocol):
    """All of it; what an adapter implements."""
