"""What the playground knows: plain values, in memory, keyed by number.

Nothing here computes or talks; `actions` change these values, `wire` shows them. Commits and files are not
here: they are in the bare repositories.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from itertools import count
from typing import Any


class Role(IntEnum):
    """A role on a repository, ordered: each may do what the earlier ones may."""

    NONE = 0
    READ = 1
    TRIAGE = 2
    WRITE = 3
    MAINTAIN = 4
    ADMIN = 5

    @property
    def label(self) -> str:
        return self.name.lower()


@dataclass
class User:
    """A person (`User`), an app's own account (`Bot`) or an `Organization`."""

    id: int
    login: str
    token: str
    created_at: datetime
    kind: str = "User"
    site_admin: bool = False
    everywhere: Role = Role.NONE  # a role held on every repository of the playground

    @property
    def email(self) -> str:
        return f"{self.id}+{self.login}@users.noreply.localhost"


@dataclass
class Team:
    id: int
    organization_id: int
    slug: str
    members: dict[int, str] = field(default_factory=dict)  # user id → member | maintainer


@dataclass
class Label:
    id: int
    name: str
    color: str = "ededed"
    description: str | None = None


@dataclass
class ReactionMark:
    id: int
    user_id: int
    content: str
    created_at: datetime


@dataclass
class Comment:
    id: int
    issue_number: int
    author_id: int
    body: str
    created_at: datetime
    updated_at: datetime
    app_id: int | None = None
    reactions: dict[int, ReactionMark] = field(default_factory=dict)


@dataclass
class Review:
    id: int
    author_id: int
    state: str  # APPROVED | CHANGES_REQUESTED | COMMENTED | DISMISSED
    body: str
    commit_sha: str
    submitted_at: datetime


@dataclass
class Issue:
    """One without branches."""

    id: int
    number: int
    title: str
    body: str | None
    author_id: int
    created_at: datetime
    updated_at: datetime
    app_id: int | None = None
    closed_at: datetime | None = None
    closed_by_id: int | None = None
    labels: list[str] = field(default_factory=list)
    comment_ids: list[int] = field(default_factory=list)

    @property
    def is_open(self) -> bool:
        return self.closed_at is None


@dataclass
class PullRequest:
    """An issue with branches. `head_sha` stands still once it is closed."""

    id: int
    issue_id: int
    number: int
    title: str
    body: str | None
    author_id: int
    head_repository_id: int | None
    head_owner_id: int
    head_ref: str
    head_sha: str
    base_ref: str
    base_sha: str
    created_at: datetime
    updated_at: datetime
    draft: bool = False
    closed_at: datetime | None = None
    closed_by_id: int | None = None
    merged_at: datetime | None = None
    merged_by_id: int | None = None
    merge_sha: str | None = None
    labels: list[str] = field(default_factory=list)
    assignee_ids: list[int] = field(default_factory=list)
    comment_ids: list[int] = field(default_factory=list)
    reviews: list[Review] = field(default_factory=list)
    timeline: list[Happening] = field(default_factory=list)

    @property
    def is_open(self) -> bool:
        return self.closed_at is None

    @property
    def is_merged(self) -> bool:
        return self.merged_at is not None


@dataclass
class Happening:
    """A line of the pull-request page that is neither a comment nor a review: labelled, pushed, merged …"""

    at: datetime
    actor_id: int
    kind: str
    detail: str = ""


@dataclass
class CheckSuite:
    id: int
    app_id: int
    head_sha: str
    created_at: datetime


@dataclass
class CheckRun:
    id: int
    suite_id: int
    app_id: int
    name: str
    head_sha: str
    status: str
    started_at: datetime
    conclusion: str | None = None
    completed_at: datetime | None = None
    external_id: str = ""
    details_url: str | None = None
    output: dict[str, Any] = field(default_factory=dict)


@dataclass
class CommitStatus:
    id: int
    sha: str
    context: str
    state: str
    creator_id: int
    created_at: datetime
    description: str | None = None
    target_url: str | None = None


@dataclass
class DeploymentStatus:
    id: int
    state: str
    creator_id: int
    created_at: datetime
    description: str = ""
    environment: str = ""
    environment_url: str = ""
    log_url: str = ""


@dataclass
class Deployment:
    id: int
    sha: str
    ref: str
    task: str
    environment: str
    creator_id: int
    created_at: datetime
    updated_at: datetime
    payload: dict[str, Any] | str = ""
    description: str | None = None
    production: bool = False
    transient: bool = False
    app_id: int | None = None
    statuses: list[DeploymentStatus] = field(default_factory=list)


@dataclass(frozen=True)
class RequiredCheck:
    context: str
    app_id: int | None = None


@dataclass
class Protection:
    """Classic branch protection of one branch."""

    checks: tuple[RequiredCheck, ...] = ()
    strict: bool = False
    approvals: int = 0
    dismiss_stale: bool = False
    enforce_admins: bool = False


@dataclass
class Rule:
    """One rule of a ruleset; `branches` holds plain names, or `~DEFAULT_BRANCH`, or `~ALL`."""

    ruleset_id: int
    kind: str
    parameters: dict[str, Any]
    branches: tuple[str, ...]


@dataclass
class Repository:
    id: int
    owner_id: int
    name: str
    default_branch: str
    created_at: datetime
    updated_at: datetime
    pushed_at: datetime
    private: bool = False
    description: str | None = None
    parent_id: int | None = None
    allow_merge_commit: bool = True
    allow_squash_merge: bool = True
    allow_rebase_merge: bool = True
    delete_branch_on_merge: bool = False
    last_number: int = 0
    roles: dict[int, Role] = field(default_factory=dict)
    labels: dict[str, Label] = field(default_factory=dict)  # by lower-case name
    pulls: dict[int, PullRequest] = field(default_factory=dict)
    issues: dict[int, Issue] = field(default_factory=dict)  # numbered together with the pull requests
    comments: dict[int, Comment] = field(default_factory=dict)
    suites: dict[int, CheckSuite] = field(default_factory=dict)
    check_runs: dict[int, CheckRun] = field(default_factory=dict)
    statuses: list[CommitStatus] = field(default_factory=list)
    deployments: dict[int, Deployment] = field(default_factory=dict)
    protections: dict[str, Protection] = field(default_factory=dict)
    rules: list[Rule] = field(default_factory=list)
    known_refs: dict[str, str] = field(default_factory=dict)  # as of the last time that changes were told

    def thread(self, number: int) -> PullRequest | Issue | None:
        """Whatever has this number, and can be talked in."""
        return self.pulls.get(number) or self.issues.get(number)


@dataclass
class App:
    id: int
    name: str
    slug: str
    owner_id: int
    bot_id: int
    public_key: str
    client_id: str
    created_at: datetime
    permissions: dict[str, str]
    events: list[str]
    hook_id: int | None = None
    client_secret: str = ""


@dataclass
class Installation:
    id: int
    app_id: int
    account_id: int
    created_at: datetime


@dataclass
class InstallationToken:
    installation_id: int
    expires_at: datetime
    permissions: dict[str, str]
    repository_ids: tuple[int, ...] | None  # None: all of the account's


@dataclass
class Hook:
    """`repository_id` None: of the whole playground, or of an app."""

    id: int
    url: str
    secret: str
    created_at: datetime
    repository_id: int | None = None
    app_id: int | None = None
    events: tuple[str, ...] = ("*",)
    active: bool = True


@dataclass
class Delivery:
    id: int
    guid: str
    hook_id: int
    event: str
    action: str | None
    delivered_at: datetime
    headers: dict[str, str]
    body: bytes
    repository_id: int | None
    installation_id: int | None
    redelivery: bool = False
    duration: float = 0.0
    status_code: int = 0
    status: str = "pending"
    answer_headers: dict[str, str] = field(default_factory=dict)
    answer: str = ""


@dataclass
class State:
    users: dict[int, User] = field(default_factory=dict)
    teams: dict[int, Team] = field(default_factory=dict)
    repositories: dict[int, Repository] = field(default_factory=dict)
    apps: dict[int, App] = field(default_factory=dict)
    installations: dict[int, Installation] = field(default_factory=dict)
    installation_tokens: dict[str, InstallationToken] = field(default_factory=dict)
    manifests: dict[str, dict[str, Any]] = field(
        default_factory=dict
    )  # one-time code → what the conversion answers
    sign_in_codes: dict[str, tuple[int, int, str]] = field(
        default_factory=dict
    )  # one-time code → app, user, where it was sent
    user_tokens: dict[str, int] = field(default_factory=dict)  # of people who signed in to an app → user
    hooks: dict[int, Hook] = field(default_factory=dict)
    deliveries: dict[int, Delivery] = field(default_factory=dict)
    revision: int = 0  # grows with every change that a page could show
    _ids: count[int] = field(default_factory=lambda: count(1))

    def next_id(self) -> int:
        """Numbers are never used twice, whatever they name."""
        return next(self._ids)

    def user(self, login: str) -> User | None:
        return next((user for user in self.users.values() if user.login.lower() == login.lower()), None)

    def repository(self, owner: str, name: str) -> Repository | None:
        account = self.user(owner)
        return next(
            (
                found
                for found in self.repositories.values()
                if account and found.owner_id == account.id and found.name.lower() == name.lower()
            ),
            None,
        )

    def owner(self, repository: Repository) -> User:
        return self.users[repository.owner_id]

    def full_name(self, repository: Repository) -> str:
        return f"{self.owner(repository).login}/{repository.name}"
