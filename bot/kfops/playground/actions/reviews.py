"""Reviews and their dismissal."""

from __future__ import annotations

from kfops.playground.actions.pulls import note
from kfops.playground.errors import Refusal, not_found
from kfops.playground.forge import Forge
from kfops.playground.roles import Caller, require
from kfops.playground.state import PullRequest, Repository, Review, Role
from kfops.playground.webhooks import events

_STATES = {"APPROVE": "APPROVED", "REQUEST_CHANGES": "CHANGES_REQUESTED", "COMMENT": "COMMENTED"}


def create(
    forge: Forge,
    repository: Repository,
    pull: PullRequest,
    by: Caller,
    *,
    event: str,
    body: str = "",
    commit: str | None = None,
) -> Review:
    """A submitted review of `commit` (the head by default). One's own pull request cannot be approved."""
    user = require(repository, by, Role.READ, scopes=("pull_requests",))
    if event not in _STATES:
        raise Refusal(
            422, "Unprocessable Entity", ["Variable $event is not APPROVE, REQUEST_CHANGES or COMMENT"]
        )
    if event != "COMMENT" and user.id == pull.author_id:
        word = "approve" if event == "APPROVE" else "request changes on"
        raise Refusal(422, "Unprocessable Entity", [f"Can not {word} your own pull request"])
    if event != "APPROVE" and not body.strip():
        raise Refusal(422, "Unprocessable Entity", ["Body is required for this review"])
    sha = commit or pull.head_sha
    if forge.bare(repository).resolve(sha) != sha:
        raise Refusal(422, "Unprocessable Entity", ["The commit is not part of the pull request"])
    review = Review(forge.state.next_id(), user.id, _STATES[event], body, sha, forge.now())
    pull.reviews.append(review)
    pull.updated_at = review.submitted_at
    events.pull_request_review(forge, repository, "submitted", pull, review, user)
    return review


def dismiss(
    forge: Forge, repository: Repository, pull: PullRequest, review_id: int, message: str, by: Caller
) -> Review:
    user = require(repository, by, Role.WRITE, scopes=("pull_requests",))
    found = next((review for review in pull.reviews if review.id == review_id), None)
    if found is None:
        raise not_found()
    if found.state not in {"APPROVED", "CHANGES_REQUESTED"}:
        raise Refusal(422, "Unprocessable Entity", ["Can not dismiss a commented or dismissed review"])
    found.state = "DISMISSED"
    note(forge, pull, user, "dismissed", message)
    events.pull_request_review(forge, repository, "dismissed", pull, found, user)
    return found
