"""Reading and ending a pull request."""

from __future__ import annotations

from kfops.adapters.github import wire
from kfops.adapters.github.answer import FORBIDDEN, NOT_FOUND, Answer
from kfops.adapters.github.auth import Purpose
from kfops.adapters.github.client import REPOSITORY, Client
from kfops.domain.pull_request import Merged, MergeRefused, PullRequest, Repository, Review
from kfops.ports.errors import Refused, Unavailable

PULL = f"{REPOSITORY}/pulls/{{pull_number}}"
_MOST_FILES = 3000  # what GitHub lists of a pull request
# Sentences of a 405 or 409 that a moment later may not be said again.
_PASSING = ("base branch was modified", "is expected", "is pending", "in progress", "try again")


class GitHubPulls:
    def __init__(self, client: Client) -> None:
        self.client = client

    def repository(self, repository_id: int) -> Repository:
        found = wire.repository(self.client.send("GET", REPOSITORY, repository_id).accepted())
        if found.id != repository_id:
            # The repository was renamed, and another one has taken its old name.
            self.client.forget(repository_id)
            found = wire.repository(self.client.send("GET", REPOSITORY, repository_id).accepted())
        if found.id != repository_id:
            raise Refused(f"{found.full_name} is repository {found.id}, not {repository_id}")
        self.client.remember(repository_id, found.full_name)
        return found

    def pull_request(self, repository_id: int, number: int) -> PullRequest:
        """Refused where there is no such pull request."""
        answer = self.client.send("GET", PULL, repository_id, pull_number=number)
        found = answer.accepted()
        base = found["base"].get("repo") or {}
        if base.get("id", repository_id) != repository_id:
            self.client.forget(repository_id)
            raise Unavailable(
                f"the name of repository {repository_id} now belongs to another; it is looked up anew"
            )
        return wire.pull_request(found)

    def reviews(self, repository_id: int, number: int) -> tuple[Review, ...]:
        found = self.client.every(f"{PULL}/reviews", repository_id, pull_number=number)
        return tuple(wire.review(one) for one in found)

    def branch_head(self, repository_id: int, branch: str) -> str:
        template = f"{REPOSITORY}/branches/{{branch}}"
        found = self.client.send("GET", template, repository_id, branch=branch).accepted()
        return str(found["commit"]["sha"])

    def is_up_to_date(self, repository_id: int, base_ref: str, head_sha: str) -> bool:
        template = f"{REPOSITORY}/compare/{{basehead}}"
        span = f"{base_ref}...{head_sha}"
        found = self.client.send(
            "GET", template, repository_id, query={"per_page": 1}, basehead=span
        ).accepted()
        return int(found["behind_by"]) == 0

    def changed_files(self, repository_id: int, number: int) -> tuple[str, ...]:
        """Old names of moved files included. Refused where GitHub does not list them all."""
        found = self.client.every(f"{PULL}/files", repository_id, pull_number=number)
        if len(found) >= _MOST_FILES:
            raise Refused(
                f"pull request {number} changes {_MOST_FILES} files or more, and GitHub lists no more than that",
                fix="split the pull request",
            )
        named = [str(one[key]) for one in found for key in ("filename", "previous_filename") if one.get(key)]
        return tuple(dict.fromkeys(named))

    def merge(
        self, repository_id: int, number: int, *, sha: str, method: str, title: str
    ) -> Merged | MergeRefused:
        """Asked again after a crash, it finds its own merge: merged, with the same head."""
        # A rebase writes no commit of its own that could carry the title.
        named = {} if method == "rebase" else {"commit_title": title}
        body = {"sha": sha, "merge_method": method, **named}
        template = f"{PULL}/merge"
        answer = self.client.send(
            "PUT", template, repository_id, Purpose.MERGE, body=body, pull_number=number
        )
        if answer.is_success:
            return Merged(str(answer.data["sha"]))
        if answer.status == NOT_FOUND:
            return MergeRefused(
                f"there is no pull request {number}, or the bot may not merge it", is_final=True
            )
        if answer.status == FORBIDDEN:
            return MergeRefused(answer.message, is_final=True)
        return refusal_of(answer, self.pull_request(repository_id, number), sha)


def refusal_of(answer: Answer, now: PullRequest, sha: str) -> Merged | MergeRefused:
    """What a refused merge means, seen beside the pull request as it is now."""
    if now.is_merged and now.head_sha == sha and now.merge_sha:
        return Merged(now.merge_sha)
    if not now.is_open:
        return MergeRefused(
            "the pull request is merged at another commit" if now.is_merged else "it is closed", True
        )
    if now.head_sha != sha:
        return MergeRefused(f"the head is {now.head_sha[:7]} by now, not {sha[:7]}", is_final=True)
    said = answer.message or f"GitHub answered {answer.status}"
    is_passing = any(words in said.lower() for words in _PASSING)
    # "Head branch was modified" with an unmoved head, or mergeability not worked out yet: GitHub lags behind itself.
    lags = "head branch was modified" in said.lower() or (now.mergeable is None and not now.is_draft)
    return MergeRefused(said, is_final=not (is_passing or lags))
