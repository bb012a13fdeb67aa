"""May this happen now? Pure: facts in, `Proceed` or the first `Reject` out.

A fact that could not be had is UNKNOWN or None and never counts as a yes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from kfops.domain.pull_request import (
    Actor,
    Check,
    CheckState,
    Permission,
    PullRequest,
    Review,
    ReviewState,
)
from kfops.domain.record import Lock
from kfops.rules.reasons import ReasonCode


@dataclass(frozen=True)
class Proceed:
    pass


@dataclass(frozen=True)
class Reject:
    """A refusal as the person sees it: the rule, what was found, what was expected, and a line that mends it."""

    code: ReasonCode
    sentence: str
    found: str = ""
    expected: str = ""
    fix: str = ""


Decision = Proceed | Reject


class Requirement(StrEnum):
    """What an environment's `requires` may list."""

    STAGING = "staging"
    APPROVAL = "approval"
    CHECKS = "checks"
    UP_TO_DATE = "up-to-date"


@dataclass(frozen=True)
class Asker:
    """Who asks. `teams` are those of the required teams that they belong to."""

    actor: Actor
    permission: Permission
    teams: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Needed:
    """What a command needs of its author: a role, or one of the named teams."""

    permission: Permission = Permission.WRITE
    teams: tuple[str, ...] = ()


@dataclass(frozen=True)
class Live:
    """The pull request and the comment as they stand now, beside what was pinned."""

    pull_request: PullRequest
    repository_id: int
    default_branch: str
    pinned_sha: str | None
    comment_is_unchanged: bool = True
    is_late: bool = False
    is_recovered_late: bool = False
    said_sha: str | None = None
    fork_allowed: bool = False


@dataclass(frozen=True)
class Approvals:
    reviews: tuple[Review, ...]
    permissions: dict[int, Permission]  # of the reviewers, by id
    last_pusher: Actor | None


@dataclass(frozen=True)
class DeployFacts:
    """Everything that `/deploy` and `/staging_deploy` are judged by."""

    environment: str
    is_known_environment: bool
    requires: frozenset[Requirement]
    rules_adopted: bool
    merges: bool
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
    forced: frozenset[str] = field(default_factory=frozenset)


def who(asker: Asker, needed: Needed, command: str) -> Iterator[Reject]:
    """R5, R6: a person, with the role or in a team, as the forge says now."""
    if not asker.actor.is_human:
        yield Reject(
            ReasonCode.NOT_HUMAN, f"`{command}` was written by an app.", asker.actor.login, "a person"
        )
    if needed.teams:
        if not asker.teams:
            teams = ", ".join(needed.teams)
            yield Reject(
                ReasonCode.PERMISSION_DENIED,
                f"`{command}` is for members of {teams}.",
                f"{asker.actor.login} is in none of them",
                f"membership of {teams}",
                f"Ask a member of {teams} to comment `{command}`.",
            )
        return
    if asker.permission is Permission.UNKNOWN:
        yield Reject(
            ReasonCode.PERMISSION_UNKNOWN,
            f"The role of {asker.actor.login} on this repository could not be read.",
            "unknown",
            needed.permission.name.lower(),
            "Try again in a minute.",
        )
    elif asker.permission < needed.permission:
        role = needed.permission.name.lower()
        yield Reject(
            ReasonCode.PERMISSION_DENIED,
            f"`{command}` needs the role `{role}` on this repository.",
            f"{asker.actor.login} has `{asker.permission.name.lower()}`",
            f"`{role}` or higher",
            f"Ask somebody with the role `{role}` to comment `{command}`.",
        )


def still(live: Live) -> Iterator[Reject]:
    """R5, R7, R8: open, and the commit is the one that was meant."""
    pull = live.pull_request
    if not pull.is_open:
        yield Reject(ReasonCode.CLOSED, "This pull request is closed.", "closed", "open", "Reopen it first.")
    if live.pinned_sha and pull.head_sha != live.pinned_sha:
        yield Reject(
            ReasonCode.SUPERSEDED,
            "A push changed this pull request after the command was written.",
            pull.head_sha[:7],
            live.pinned_sha[:7],
            "Comment the command again.",
        )
    if live.said_sha and not pull.head_sha.startswith(live.said_sha):
        yield Reject(
            ReasonCode.SHA_MISMATCH,
            "`--sha` names another commit than the head of this pull request.",
            pull.head_sha[:7],
            live.said_sha[:7],
            f"`--sha {pull.head_sha[:12]}`",
        )


def irreversible(live: Live) -> Iterator[Reject]:
    """What holds only for steps that cannot be undone (R3, R5, R7, R9)."""
    if not live.comment_is_unchanged:
        yield Reject(
            ReasonCode.COMMENT_CHANGED,
            "The comment was edited or deleted after it was read.",
            fix="Comment again.",
        )
    if live.is_recovered_late:
        yield Reject(
            ReasonCode.TOO_LATE,
            "This command was found more than 15 minutes after it was written.",
            fix="Comment it again if it is still meant.",
        )
    if live.is_late and not live.said_sha:
        sha = live.pull_request.head_sha
        yield Reject(
            ReasonCode.NEEDS_SHA,
            "No notice of this pull request had arrived before the command, so the commit it meant is not known.",
            "no pinned commit",
            "`--sha`",
            f"`--sha {sha[:12]}`",
        )
    if live.pull_request.head_repository_id != live.repository_id:
        yield Reject(
            ReasonCode.FORK,
            "The head of this pull request is in a fork, and forks are never deployed.",
            "a fork",
            "a branch of this repository",
            "Push the branch to this repository and open a pull request from it.",
        )


def run(live: Live, asker: Asker, needed: Needed, command: str) -> Decision:
    return _first(who(asker, needed, command), still(live), _fork(live))


def deploy(live: Live, asker: Asker, needed: Needed, facts: DeployFacts, command: str) -> Decision:
    return _first(
        who(asker, needed, command),
        still(live),
        irreversible(live),
        _environment(facts),
        _model(facts),
        _pull_request(live, facts) if facts.merges else iter(()),
        _required(live, facts),
    )


def merge(live: Live) -> Decision:
    """Read again just before the merge: the base moving is no obstacle, a push is."""
    return _first(still(live), irreversible(live))


def steer(asker: Asker, needed: Needed, command: str) -> Decision:
    return _first(who(asker, needed, command))


def rollback(
    asker: Asker, needed: Needed, lock: Lock | None, own_holder: str, *, has_revision: bool, revision: str
) -> Decision:
    """R20: skips order, CI and review; never the lock or the check."""
    missing = Reject(
        ReasonCode.NO_REVISION,
        "There is no such recorded revision to go back to.",
        revision,
        "a revision that served before",
        "`/status` lists them.",
    )
    return _first(
        who(asker, needed, "/rollback"),
        iter(()) if has_revision else iter((missing,)),
        _lock(lock, own_holder),
    )


def _first(*checks: Iterator[Reject]) -> Decision:
    for check in checks:
        for reject in check:
            return reject
    return Proceed()


def _fork(live: Live) -> Iterator[Reject]:
    if live.pull_request.head_repository_id != live.repository_id and not live.fork_allowed:
        yield Reject(
            ReasonCode.FORK_NEEDS_OK,
            "The head of this pull request is in a fork.",
            "not allowed yet",
            "`/ok-to-test` at this commit, by somebody who may write",
            f"`/ok-to-test {live.pull_request.head_sha}`",
        )


def _environment(facts: DeployFacts) -> Iterator[Reject]:
    if not facts.rules_adopted:
        yield Reject(
            ReasonCode.RULES_NOT_ADOPTED,
            "There is no `kfops.yaml` on the default branch yet, so nothing says what may be deployed.",
            "no rules",
            "`kfops.yaml` on the default branch",
            "Merge this file first; runs work meanwhile.",
        )
    if facts.policy_refusal:
        yield Reject(ReasonCode.POLICY, facts.policy_refusal, fix="Ask the operator of Kfops.")
    if not facts.is_known_environment:
        yield Reject(
            ReasonCode.ENVIRONMENT_UNKNOWN,
            f"`kfops.yaml` on the default branch names no environment `{facts.environment}`.",
            facts.environment,
            "a name under deployment.environments",
        )
    yield from _lock(facts.lock, facts.own_lock_holder)


def _lock(lock: Lock | None, own_holder: str) -> Iterator[Reject]:
    if lock and lock.holder != own_holder:
        why = f": {lock.reason}" if lock.reason else ""
        yield Reject(
            ReasonCode.LOCKED,
            f"{lock.holder} holds this environment{why}.",
            f"locked since {lock.since:%Y-%m-%d %H:%M} UTC",
            "unlocked",
            "`/unlock " + lock.key.rsplit(":", 1)[-1] + "`"
            if lock.operation_id is None
            else "Wait for it to end.",
        )


def _model(facts: DeployFacts) -> Iterator[Reject]:
    if not facts.run_succeeded or not facts.model_digest:
        yield Reject(
            ReasonCode.NO_RUN,
            "No run of this very commit has succeeded.",
            "no model",
            "a succeeded run",
            "`/build_run`",
        )
    if facts.failed_gates and "gates" not in facts.forced:
        yield Reject(
            ReasonCode.METRIC_GATE,
            "The metrics do not pass `evidence.gates`.",
            "; ".join(facts.failed_gates),
            "every gate passed",
        )
    if facts.serving_digest and facts.serving_digest == facts.model_digest and not facts.merges:
        yield Reject(
            ReasonCode.ALREADY_SERVING,
            f"This very model serves in {facts.environment} already.",
            facts.serving_digest[:12],
        )


def _pull_request(live: Live, facts: DeployFacts) -> Iterator[Reject]:
    pull = live.pull_request
    if pull.is_draft:
        yield Reject(ReasonCode.DRAFT, "This pull request is a draft.", "draft", "ready for review")
    if pull.base_ref != live.default_branch:
        yield Reject(
            ReasonCode.BASE_NOT_ALLOWED,
            "Only pull requests into the default branch are deployed.",
            pull.base_ref,
            live.default_branch,
            "Change the base of this pull request.",
        )
    if pull.mergeable is not True:
        yield Reject(
            ReasonCode.NOT_MERGEABLE,
            "This pull request cannot be merged as it stands.",
            "conflicts" if pull.mergeable is False else "the forge has not worked it out yet",
            "mergeable",
            f"Merge `{pull.base_ref}` into `{pull.head_ref}` and resolve the conflicts."
            if pull.mergeable is False
            else "Try again in a minute.",
        )
    if facts.changes_workflows:
        yield Reject(
            ReasonCode.WORKFLOW_CHANGE,
            "This pull request changes `.github/workflows/`, and such a change is merged by a person.",
            fix="Put that change into a pull request of its own.",
        )


def _required(live: Live, facts: DeployFacts) -> Iterator[Reject]:
    pull = live.pull_request
    if (
        Requirement.UP_TO_DATE in facts.requires
        and "up-to-date" not in facts.forced
        and not facts.is_up_to_date
    ):
        yield Reject(
            ReasonCode.OUT_OF_DATE,
            f"The head lacks commits of `{pull.base_ref}`.",
            "unknown" if facts.is_up_to_date is None else "behind",
            "up to date",
            f"Merge `{pull.base_ref}` into `{pull.head_ref}`, then `/build_run`.",
        )
    if Requirement.CHECKS in facts.requires and "checks" not in facts.forced:
        if facts.checks is None:
            yield Reject(
                ReasonCode.CHECKS_NOT_GREEN, "The required checks could not be read.", "unknown", "green"
            )
        for check in facts.checks or ():
            if check.state is not CheckState.SUCCESS:
                yield Reject(
                    ReasonCode.CHECKS_NOT_GREEN,
                    f"The required check `{check.name}` is not green.",
                    check.state.value,
                    CheckState.SUCCESS.value,
                )
    if Requirement.APPROVAL in facts.requires and "approval" not in facts.forced:
        reason = why_not_approved(pull, facts.approvals)
        if reason:
            yield Reject(
                ReasonCode.NOT_APPROVED,
                "No approval of this commit counts.",
                reason,
                "an approval of this commit by somebody who may write, other than its author and its last pusher",
                "Ask a colleague for a review of this commit.",
            )
    if (
        Requirement.STAGING in facts.requires
        and "staging" not in facts.forced
        and facts.staging_digest != facts.model_digest
    ):
        yield Reject(
            ReasonCode.NOT_IN_STAGING,
            f"This model does not serve in `{facts.staging_name}`.",
            (facts.staging_digest or "nothing")[:12],
            (facts.model_digest or "")[:12],
            f"`/{facts.staging_name}_deploy`",
        )


def why_not_approved(pull: PullRequest, approvals: Approvals | None) -> str:
    """R6, R8b: empty when an approval counts; else what is wrong with those that there are."""
    if approvals is None:
        return "the reviews could not be read"
    latest: dict[int, Review] = {}
    for review in approvals.reviews:
        if review.state in {ReviewState.APPROVED, ReviewState.CHANGES_REQUESTED, ReviewState.DISMISSED}:
            latest[review.reviewer.id] = review
    for review in latest.values():
        if review.state is ReviewState.CHANGES_REQUESTED:
            return f"{review.reviewer.login} asked for changes"
    approved = [review for review in latest.values() if review.state is ReviewState.APPROVED]
    reasons = [_why_not_counted(pull, approvals, review) for review in approved]
    return "" if "" in reasons else "; ".join(reasons) or "no approval"


def _why_not_counted(pull: PullRequest, approvals: Approvals, review: Review) -> str:
    login = review.reviewer.login
    if review.commit_sha != pull.head_sha:
        return f"{login} approved {review.commit_sha[:7]}, not this commit"
    if review.reviewer.id == pull.author.id:
        return f"{login} wrote it"
    if approvals.last_pusher and review.reviewer.id == approvals.last_pusher.id:
        return f"{login} pushed last"
    if approvals.permissions.get(review.reviewer.id, Permission.UNKNOWN) < Permission.WRITE:
        return f"{login} may not write here"
    return ""
