"""Labels, comments, reactions and the issue side of a pull request."""

from __future__ import annotations

from collections import Counter

from kfops.playground.forge import Forge
from kfops.playground.roles import association
from kfops.playground.state import Comment, Issue, Label, PullRequest, ReactionMark, Repository
from kfops.playground.wire.apps import app_or_none
from kfops.playground.wire.basics import (
    Json,
    moment,
    moment_or_none,
    node_id,
    simple_user,
    simple_user_or_none,
)
from kfops.playground.wire.repositories import html_url, repository_url

REACTIONS = ("+1", "-1", "laugh", "hooray", "confused", "heart", "rocket", "eyes")


def label(forge: Forge, repository: Repository, one: Label) -> Json:
    return {
        "id": one.id,
        "node_id": node_id("Label", one.id),
        "url": f"{repository_url(forge, repository)}/labels/{one.name}",
        "name": one.name,
        "color": one.color,
        "default": False,
        "description": one.description,
        "archived_at": None,
        "archived_by": None,
    }


def labels(forge: Forge, repository: Repository, thread: PullRequest | Issue) -> list[Json]:
    return [label(forge, repository, repository.labels[name.lower()]) for name in thread.labels]


def reactions(url: str, marks: dict[int, ReactionMark]) -> Json:
    counted = Counter(mark.content for mark in marks.values())
    return {
        "url": f"{url}/reactions",
        "total_count": len(marks),
        **{name: counted[name] for name in REACTIONS},
    }


def reaction(forge: Forge, mark: ReactionMark) -> Json:
    return {
        "id": mark.id,
        "node_id": node_id("Reaction", mark.id),
        "user": simple_user_or_none(forge, mark.user_id),
        "content": mark.content,
        "created_at": moment(mark.created_at),
    }


def comment(forge: Forge, repository: Repository, one: Comment) -> Json:
    api = repository_url(forge, repository)
    url = f"{api}/issues/comments/{one.id}"
    kind = "pull" if one.issue_number in repository.pulls else "issues"
    return {
        "id": one.id,
        "node_id": node_id("IssueComment", one.id),
        "url": url,
        "html_url": f"{html_url(forge, repository)}/{kind}/{one.issue_number}#issuecomment-{one.id}",
        "issue_url": f"{api}/issues/{one.issue_number}",
        "user": simple_user(forge, forge.state.users[one.author_id]),
        "created_at": moment(one.created_at),
        "updated_at": moment(one.updated_at),
        "author_association": association(forge, repository, one.author_id),
        "body": one.body,
        "reactions": reactions(url, one.reactions),
        "performed_via_github_app": app_or_none(forge, one.app_id),
    }


def issue(forge: Forge, repository: Repository, one: PullRequest | Issue) -> Json:
    """An issue; or a pull request seen as one."""
    api = repository_url(forge, repository)
    is_pull = isinstance(one, PullRequest)
    page = f"{html_url(forge, repository)}/{'pull' if is_pull else 'issues'}/{one.number}"
    url = f"{api}/issues/{one.number}"
    assignees = [simple_user(forge, forge.state.users[number]) for number in getattr(one, "assignee_ids", ())]
    return {
        "id": one.issue_id if isinstance(one, PullRequest) else one.id,
        "node_id": node_id("PullRequest" if is_pull else "Issue", one.id),
        "url": url,
        "repository_url": api,
        "labels_url": f"{url}/labels{{/name}}",
        "comments_url": f"{url}/comments",
        "events_url": f"{url}/events",
        "html_url": page,
        "number": one.number,
        "state": "open" if one.is_open else "closed",
        "state_reason": None,
        "title": one.title,
        "body": one.body,
        "user": simple_user(forge, forge.state.users[one.author_id]),
        "labels": labels(forge, repository, one),
        "assignee": assignees[0] if assignees else None,
        "assignees": assignees,
        "milestone": None,
        "locked": False,
        "active_lock_reason": None,
        "comments": len(one.comment_ids),
        "created_at": moment(one.created_at),
        "updated_at": moment(one.updated_at),
        "closed_at": moment_or_none(one.closed_at),
        "closed_by": simple_user_or_none(forge, one.closed_by_id),
        "author_association": association(forge, repository, one.author_id),
        "reactions": reactions(url, {}),
        "timeline_url": f"{url}/timeline",
        "performed_via_github_app": None if isinstance(one, PullRequest) else app_or_none(forge, one.app_id),
    } | (_of_pull(one, f"{api}/pulls/{one.number}", page) if isinstance(one, PullRequest) else {})


def _of_pull(pull: PullRequest, url: str, page: str) -> Json:
    return {
        "draft": pull.draft,
        "pull_request": {
            "url": url,
            "html_url": page,
            "diff_url": f"{page}.diff",
            "patch_url": f"{page}.patch",
            "merged_at": moment_or_none(pull.merged_at),
        },
    }
