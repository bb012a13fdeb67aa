"""What gates are asked about. A fact that could not be had is UNKNOWN or None and never counts as a yes."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from kfops.domain.pull_request import Actor, Check, Permission, PullRequest, Review
from kfops.domain.record import Lock


class Requirement(StrEnum):
    """What an environment's `requires` may list."""

    STAGING = "staging"
    APPROVAL = "approval"
    OTHER_APPROVAL = "approval-by-another"
    CHECKS = "checks"
    UP_TO_DATE = "up-to-date"


@dataclass(frozen=True)
class Asker:
    """Who asks. `teams` are those of the required teams that they belong to; None: that could not be read.

    `is_trusted_app`: the operator's policy lists this app among those that may give commands.
    """

    actor: Actor
    permission: Permission
    teams: frozenset[str] | None = frozenset()
    is_trusted_app: bool = False


@dataclass(frozen=True)
class Live:
    """The pull request and the comment as they stand now, beside what was pinned.

    `rules_branch`: the branch that the rules come from, the default branch unless the operator names another.
    """

    pull_request: PullRequest
    repository_id: int
    rules_branch: str
    pinned_sha: str | None
    comment_is_unchanged: bool = True
    is_late: bool = False
    is_stale: bool = False
    said_sha: str | None = None
    fork_allowed: bool = False

    @property
    def is_fork(self) -> bool:
        """A fork that was deleted is one too: its head repository is not known any more."""
        return self.pull_request.head_repository_id != self.repository_id


@dataclass(frozen=True)
class Approvals:
    """`last_pusher` None: no delivery told who pushed, so nobody is known not to have."""

    reviews: tuple[Review, ...]
    permissions: dict[int, Permission]  # of the reviewers, by id
    last_pusher: Actor | None


@dataclass(frozen=True)
class DeployFacts:
    """Everything that `/deploy` and `/staging_deploy` are judged by, and judged by again on the way.

    `rules_changed`: the rules are not those under which the deployment began. `needs_ready`: only a pull request into
    the branch of the rules that is no draft may be deployed there.
    """

    environment: str
    is_known_environment: bool
    requires: frozenset[Requirement]
    rules_adopted: bool
    merges: bool
    needs_ready: bool
    run_succeeded: bool
    model_digest: str | None
    failed_gates: tuple[str, ...] = ()
    staging_name: str = "staging"
    staging_digest: str | None = None
    serving_digest: str | None = None
    is_up_to_date: bool | None = None
    checks: tuple[Check, ...] | None = None
    approvals: Approvals | None = None
    changes_workflows: bool = False
    lock: Lock | None = None
    own_lock_holder: str = ""
    policy_refusal: str | None = None
    freeze: str | None = None
    rules_changed: bool = False
    forced: frozenset[str] = field(default_factory=frozenset)
