"""Which approvals count (R6, R8b)."""

from __future__ import annotations

from kfops.domain.pull_request import Actor, Permission, PullRequest, Review, ReviewState
from kfops.rules.gate.facts import Approvals

_OPINIONS = frozenset({ReviewState.APPROVED, ReviewState.CHANGES_REQUESTED, ReviewState.DISMISSED})


def why_not_approved(pull: PullRequest, approvals: Approvals | None, asker: Actor | None = None) -> str:
    """Empty when an approval counts; else what is wrong with those that there are.

    `asker`: the one who asks for the deployment, where their own approval must not count.
    """
    if approvals is None:
        return "the reviews could not be read"
    latest: dict[int, Review] = {}
    for review in approvals.reviews:
        if review.state in _OPINIONS:
            latest[review.reviewer.id] = review
    for review in latest.values():
        if review.state is ReviewState.CHANGES_REQUESTED and _may_write(approvals, review):
            return f"{review.reviewer.login} asked for changes"
    approved = [review for review in latest.values() if review.state is ReviewState.APPROVED]
    reasons = [_why_not_counted(pull, approvals, review, asker) for review in approved]
    return "" if "" in reasons else "; ".join(reasons) or "no approval"


def _why_not_counted(pull: PullRequest, approvals: Approvals, review: Review, asker: Actor | None) -> str:
    login, reviewer = review.reviewer.login, review.reviewer.id
    if review.commit_sha != pull.head_sha:
        return f"{login} approved {review.commit_sha[:7]}, not this commit"
    if reviewer == pull.author.id:
        return f"{login} wrote it"
    if approvals.last_pusher is None:
        return f"{login} may have pushed last: who did is not known"
    if reviewer == approvals.last_pusher.id:
        return f"{login} pushed last"
    if asker is not None and reviewer == asker.id:
        return f"{login} asks for the deployment"
    if not review.reviewer.is_human:
        return f"{login} is an app"
    if not _may_write(approvals, review):
        return f"{login} may not write here"
    return ""


def _may_write(approvals: Approvals, review: Review) -> bool:
    return approvals.permissions.get(review.reviewer.id, Permission.UNKNOWN) >= Permission.WRITE
