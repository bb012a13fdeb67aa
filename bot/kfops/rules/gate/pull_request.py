"""The pull request and the comment as they stand now (R3, R5, R7, R8, R9, R10)."""

from __future__ import annotations

from collections.abc import Iterator

from kfops.rules.gate.decision import Reject
from kfops.rules.gate.facts import Live
from kfops.rules.reasons import ReasonCode


def still(live: Live) -> Iterator[Reject]:
    """R7, R8: open, and the commit is the one that was meant."""
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


def unchanged(live: Live) -> Iterator[Reject]:
    """R5: the comment still says what was read."""
    if not live.comment_is_unchanged:
        yield Reject(
            ReasonCode.COMMENT_CHANGED,
            "The comment was edited or deleted after it was read.",
            "another comment, or none",
            "the comment as it was read",
            "Comment the command again.",
        )


def fresh(*, is_stale: bool) -> Iterator[Reject]:
    """R3: found soon after it was written; only for what cannot be undone."""
    if is_stale:
        yield Reject(
            ReasonCode.TOO_LATE,
            "This command was found more than 15 minutes after it was written.",
            "a webhook that was lost, or came late",
            "a command of the last 15 minutes",
            "Comment it again if it is still meant.",
        )


def pinned(live: Live) -> Iterator[Reject]:
    """R7: the commit was known when the comment came, or the comment names it."""
    if live.is_late and not live.said_sha:
        yield Reject(
            ReasonCode.NEEDS_SHA,
            "No notice of this pull request had arrived before the command, so the commit it meant is not known.",
            "no pinned commit",
            "`--sha`",
            f"`/deploy --sha {live.pull_request.head_sha[:12]}`",
        )


def no_fork(live: Live) -> Iterator[Reject]:
    """R9: whatever `/ok-to-test` allowed."""
    if live.is_fork:
        yield Reject(
            ReasonCode.FORK,
            "The head of this pull request is in a fork, and forks are never deployed.",
            "a fork",
            "a branch of this repository",
            "Push the branch to this repository and open a pull request from it.",
        )


def allowed_fork(live: Live) -> Iterator[Reject]:
    """R9: a fork's code runs only at the commit that a writer allowed."""
    if live.is_fork and not live.fork_allowed:
        yield Reject(
            ReasonCode.FORK_NEEDS_OK,
            "The head of this pull request is in a fork.",
            "not allowed yet",
            "`/ok-to-test` at this commit, by somebody who may write",
            f"`/ok-to-test {live.pull_request.head_sha}`",
        )


def ready(live: Live) -> Iterator[Reject]:
    """R10: no draft, and into the branch that the rules come from."""
    pull = live.pull_request
    if pull.is_draft:
        yield Reject(
            ReasonCode.DRAFT,
            "This pull request is a draft.",
            "draft",
            "ready for review",
            "Mark it as ready for review.",
        )
    if pull.base_ref != live.rules_branch:
        yield Reject(
            ReasonCode.BASE_NOT_ALLOWED,
            "Only pull requests into the branch that the rules come from are deployed.",
            pull.base_ref,
            live.rules_branch,
            f"Change the base of this pull request to `{live.rules_branch}`.",
        )


def mergeable(live: Live, *, changes_workflows: bool) -> Iterator[Reject]:
    """Before the canary begins: a merge that the forge will refuse anyway is no reason to move traffic."""
    pull = live.pull_request
    if pull.mergeable is not True:
        has_conflicts = pull.mergeable is False
        yield Reject(
            ReasonCode.NOT_MERGEABLE,
            "This pull request cannot be merged as it stands.",
            "conflicts" if has_conflicts else "the forge has not worked it out yet",
            "mergeable",
            f"Merge `{pull.base_ref}` into `{pull.head_ref}` and resolve the conflicts."
            if has_conflicts
            else "Try again in a minute.",
        )
    if changes_workflows:
        yield Reject(
            ReasonCode.WORKFLOW_CHANGE,
            "This pull request changes `.github/workflows/`, and such a change is merged by a person.",
            "a changed workflow",
            "no change there",
            "Put that change into a pull request of its own.",
        )
