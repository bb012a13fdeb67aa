"""Pull requests and reviews."""

from __future__ import annotations

from kfops.playground.forge import Forge
from kfops.playground.git.changes import changes
from kfops.playground.git.history import ahead_behind, merge_base
from kfops.playground.mergeability import mergeability
from kfops.playground.roles import association
from kfops.playground.state import PullRequest, Repository, Review
from kfops.playground.wire.basics import (
    Json,
    moment,
    moment_or_none,
    node_id,
    simple_user,
    simple_user_or_none,
)
from kfops.playground.wire.issues import labels
from kfops.playground.wire.repositories import html_url, repository_url, simple


def base_tip(forge: Forge, repository: Repository, pull: PullRequest) -> str:
    """The commit that the pull request is held against: the base branch's tip while it is open."""
    tip = forge.bare(repository).resolve(f"refs/heads/{pull.base_ref}") if pull.is_open else None
    return tip or pull.base_sha


def pull_simple(forge: Forge, repository: Repository, pull: PullRequest) -> Json:
    api, page = repository_url(forge, repository), html_url(forge, repository)
    url, issue = f"{api}/pulls/{pull.number}", f"{api}/issues/{pull.number}"
    html = f"{page}/pull/{pull.number}"
    assignees = [simple_user(forge, forge.state.users[number]) for number in pull.assignee_ids]
    links = {
        "self": url,
        "html": html,
        "issue": issue,
        "comments": f"{issue}/comments",
        "review_comments": f"{url}/comments",
        "review_comment": f"{api}/pulls/comments{{/number}}",
        "commits": f"{url}/commits",
        "statuses": f"{api}/statuses/{pull.head_sha}",
    }
    return {
        "id": pull.id,
        "node_id": node_id("PullRequest", pull.id),
        "number": pull.number,
        "state": "open" if pull.is_open else "closed",
        "locked": False,
        "active_lock_reason": None,
        "title": pull.title,
        "body": pull.body,
        "user": simple_user(forge, forge.state.users[pull.author_id]),
        "labels": labels(forge, repository, pull),
        "milestone": None,
        "assignee": assignees[0] if assignees else None,
        "assignees": assignees,
        "requested_reviewers": [],
        "requested_teams": [],
        "created_at": moment(pull.created_at),
        "updated_at": moment(pull.updated_at),
        "closed_at": moment_or_none(pull.closed_at),
        "merged_at": moment_or_none(pull.merged_at),
        "merge_commit_sha": pull.merge_sha,
        "draft": pull.draft,
        "author_association": association(forge, repository, pull.author_id),
        "auto_merge": None,
        "head": _side(
            forge,
            forge.state.repositories.get(pull.head_repository_id or -1),
            pull.head_owner_id,
            pull.head_ref,
            pull.head_sha,
        ),
        "base": _side(forge, repository, repository.owner_id, pull.base_ref, pull.base_sha),
        "url": url,
        "html_url": html,
        "diff_url": f"{html}.diff",
        "patch_url": f"{html}.patch",
        "issue_url": issue,
        "comments_url": links["comments"],
        "review_comments_url": links["review_comments"],
        "review_comment_url": links["review_comment"],
        "commits_url": links["commits"],
        "statuses_url": links["statuses"],
        "_links": {key: {"href": value} for key, value in links.items()},
    }


def _side(forge: Forge, repository: Repository | None, owner_id: int, ref: str, sha: str) -> Json:
    owner = forge.state.users[owner_id]
    return {
        "label": f"{owner.login}:{ref}",
        "ref": ref,
        "sha": sha,
        "user": simple_user(forge, owner),
        "repo": simple(forge, repository) if repository is not None else None,
    }


def pull_whole(forge: Forge, repository: Repository, pull: PullRequest, *, fresh: bool = True) -> Json:
    """`fresh` False leaves `mergeable` unknown, as webhooks do: GitHub works it out later."""
    bare = forge.bare(repository)
    base = base_tip(forge, repository, pull)
    common = merge_base(bare, base, pull.head_sha) or base
    files = changes(bare, common, pull.head_sha)
    found = mergeability(forge, repository, pull) if fresh else None
    return {
        **pull_simple(forge, repository, pull),
        "merged": pull.is_merged,
        "mergeable": found.mergeable if found else None,
        "rebaseable": found.mergeable if found else None,
        "mergeable_state": found.state if found else "unknown",
        "merged_by": simple_user_or_none(forge, pull.merged_by_id),
        "comments": len(pull.comment_ids),
        "review_comments": 0,
        "maintainer_can_modify": False,
        "commits": ahead_behind(bare, common, pull.head_sha)[0],
        "additions": sum(file.additions for file in files),
        "deletions": sum(file.deletions for file in files),
        "changed_files": len(files),
    }


def pull_reference(forge: Forge, repository: Repository, pull: PullRequest) -> Json:
    """The little that check runs carry of a pull request."""
    head = forge.state.repositories.get(pull.head_repository_id or -1, repository)

    def side(of: Repository, ref: str, sha: str) -> Json:
        return {
            "ref": ref,
            "sha": sha,
            "repo": {"id": of.id, "url": repository_url(forge, of), "name": of.name},
        }

    return {
        "id": pull.id,
        "number": pull.number,
        "url": f"{repository_url(forge, repository)}/pulls/{pull.number}",
        "head": side(head, pull.head_ref, pull.head_sha),
        "base": side(repository, pull.base_ref, pull.base_sha),
    }


def review(forge: Forge, repository: Repository, pull: PullRequest, one: Review) -> Json:
    html = f"{html_url(forge, repository)}/pull/{pull.number}#pullrequestreview-{one.id}"
    url = f"{repository_url(forge, repository)}/pulls/{pull.number}"
    return {
        "id": one.id,
        "node_id": node_id("PullRequestReview", one.id),
        "user": simple_user(forge, forge.state.users[one.author_id]),
        "body": one.body,
        "state": one.state,
        "html_url": html,
        "pull_request_url": url,
        "author_association": association(forge, repository, one.author_id),
        "_links": {"html": {"href": html}, "pull_request": {"href": url}},
        "submitted_at": moment(one.submitted_at),
        "commit_id": one.commit_sha,
    }
