"""What the pull-request page shows, gathered from the state."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from kfops.playground.actions.checks import latest_statuses
from kfops.playground.forge import Forge
from kfops.playground.git.changes import FileChange, changes
from kfops.playground.git.history import Commit, commits, merge_base
from kfops.playground.mergeability import Mergeability, mergeability, requirements
from kfops.playground.page.markdown import render
from kfops.playground.roles import association
from kfops.playground.state import Comment, PullRequest, Repository, User
from kfops.playground.wire.pulls import base_tip

EMOJI = {
    "+1": "👍", "-1": "👎", "laugh": "😄", "hooray": "🎉", "confused": "😕", "heart": "❤️", "rocket": "🚀", "eyes": "👀"
}  # fmt: skip
_COMMIT_LIMIT = 250


@dataclass(frozen=True)
class Moment:
    """One thing in the conversation: a comment, a review, or a line such as "labelled"."""

    at: datetime
    kind: str
    actor: User
    anchor: str = ""
    html: str = ""
    detail: str = ""
    edited: bool = False
    standing: str = ""
    reactions: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class CheckLine:
    name: str
    state: str
    detail: str
    url: str | None
    required: bool


@dataclass(frozen=True)
class DeploymentLine:
    environment: str
    state: str
    detail: str
    url: str
    at: datetime


@dataclass(frozen=True)
class PullView:
    pull: PullRequest
    author: User
    moments: list[Moment]
    checks: list[CheckLine]
    deployments: list[DeploymentLine]
    merging: Mergeability
    files: tuple[FileChange, ...]
    commits: list[Commit]

    @property
    def state(self) -> str:
        if self.pull.is_merged:
            return "merged"
        if not self.pull.is_open:
            return "closed"
        return "draft" if self.pull.draft else "open"


def pull_view(forge: Forge, repository: Repository, pull: PullRequest) -> PullView:
    bare = forge.bare(repository)
    base = base_tip(forge, repository, pull)
    listed = commits(bare, f"{base}..{pull.head_sha}", limit=_COMMIT_LIMIT)
    return PullView(
        pull=pull,
        author=forge.state.users[pull.author_id],
        moments=_moments(forge, repository, pull),
        checks=_checks(repository, pull),
        deployments=_deployments(
            repository, {one.sha for one in listed} | {pull.head_sha, pull.merge_sha or ""}
        ),
        merging=mergeability(forge, repository, pull),
        files=changes(bare, merge_base(bare, base, pull.head_sha) or base, pull.head_sha),
        commits=listed,
    )


def _moments(forge: Forge, repository: Repository, pull: PullRequest) -> list[Moment]:
    users, named = forge.state.users, forge.state.full_name(repository)
    said = [_comment(forge, repository, repository.comments[number], named) for number in pull.comment_ids]
    reviewed = [
        Moment(
            at=review.submitted_at,
            kind=f"review-{review.state.lower()}",
            actor=users[review.author_id],
            anchor=f"pullrequestreview-{review.id}",
            html=render(review.body, named) if review.body else "",
            detail=review.commit_sha[:7],
        )
        for review in pull.reviews
    ]
    happened = [Moment(one.at, one.kind, users[one.actor_id], detail=one.detail) for one in pull.timeline]
    return sorted([*said, *reviewed, *happened], key=lambda one: one.at)


def _comment(forge: Forge, repository: Repository, comment: Comment, named: str) -> Moment:
    counted: dict[str, int] = {}
    for mark in comment.reactions.values():
        counted[mark.content] = counted.get(mark.content, 0) + 1
    return Moment(
        at=comment.created_at,
        kind="comment",
        actor=forge.state.users[comment.author_id],
        anchor=f"issuecomment-{comment.id}",
        html=render(comment.body, named),
        edited=comment.updated_at > comment.created_at,
        standing=association(repository=repository, forge=forge, user_id=comment.author_id).lower(),
        reactions=tuple((EMOJI[content], count) for content, count in counted.items()),
    )


def _checks(repository: Repository, pull: PullRequest) -> list[CheckLine]:
    required = {one.context for one in requirements(repository, pull.base_ref).checks}
    runs = {
        (run.app_id, run.name): run for run in repository.check_runs.values() if run.head_sha == pull.head_sha
    }
    made = [
        CheckLine(
            run.name,
            run.conclusion or run.status,
            str(run.output.get("title") or ""),
            run.details_url,
            run.name in required,
        )
        for run in runs.values()
    ]
    made += [
        CheckLine(one.context, one.state, one.description or "", one.target_url, one.context in required)
        for one in latest_statuses(repository, pull.head_sha)
    ]
    seen = {one.name for one in made}
    return [
        *made,
        *(
            CheckLine(name, "expected", "Waiting to be reported", None, True)
            for name in sorted(required - seen)
        ),
    ]


def _deployments(repository: Repository, shas: set[str]) -> list[DeploymentLine]:
    """The newest of each environment, newest first."""
    newest: dict[str, DeploymentLine] = {}
    for one in repository.deployments.values():
        if one.sha in shas:
            last = one.statuses[-1] if one.statuses else None
            newest[one.environment] = DeploymentLine(
                environment=one.environment,
                state=last.state if last else "pending",
                detail=(last.description if last else "") or one.description or "",
                url=last.environment_url if last else "",
                at=one.updated_at,
            )
    return sorted(newest.values(), key=lambda one: one.at, reverse=True)
