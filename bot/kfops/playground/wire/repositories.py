"""A repository as GitHub shows it: minimal, whole, and as webhooks carry it."""

from __future__ import annotations

from kfops.playground.forge import Forge
from kfops.playground.state import Repository, Role
from kfops.playground.wire.basics import Json, moment, node_id, permissions, simple_user

_TEMPLATES = {
    "archive_url": "/{archive_format}{/ref}",
    "assignees_url": "/assignees{/user}",
    "blobs_url": "/git/blobs{/sha}",
    "branches_url": "/branches{/branch}",
    "collaborators_url": "/collaborators{/collaborator}",
    "comments_url": "/comments{/number}",
    "commits_url": "/commits{/sha}",
    "compare_url": "/compare/{base}...{head}",
    "contents_url": "/contents/{+path}",
    "contributors_url": "/contributors",
    "deployments_url": "/deployments",
    "downloads_url": "/downloads",
    "events_url": "/events",
    "forks_url": "/forks",
    "git_commits_url": "/git/commits{/sha}",
    "git_refs_url": "/git/refs{/sha}",
    "git_tags_url": "/git/tags{/sha}",
    "hooks_url": "/hooks",
    "issue_comment_url": "/issues/comments{/number}",
    "issue_events_url": "/issues/events{/number}",
    "issues_url": "/issues{/number}",
    "keys_url": "/keys{/key_id}",
    "labels_url": "/labels{/name}",
    "languages_url": "/languages",
    "merges_url": "/merges",
    "milestones_url": "/milestones{/number}",
    "notifications_url": "/notifications{?since,all,participating}",
    "pulls_url": "/pulls{/number}",
    "releases_url": "/releases{/id}",
    "stargazers_url": "/stargazers",
    "statuses_url": "/statuses/{sha}",
    "subscribers_url": "/subscribers",
    "subscription_url": "/subscription",
    "tags_url": "/tags",
    "teams_url": "/teams",
    "trees_url": "/git/trees{/sha}",
}


def repository_url(forge: Forge, repository: Repository) -> str:
    return f"{forge.api}/repos/{forge.state.full_name(repository)}"


def html_url(forge: Forge, repository: Repository) -> str:
    return f"{forge.base_url}/{forge.state.full_name(repository)}"


def minimal(forge: Forge, repository: Repository) -> Json:
    api, page = repository_url(forge, repository), html_url(forge, repository)
    return {
        "id": repository.id,
        "node_id": node_id("Repository", repository.id),
        "name": repository.name,
        "full_name": forge.state.full_name(repository),
        "private": repository.private,
        "owner": simple_user(forge, forge.state.owner(repository)),
        "html_url": page,
        "description": repository.description,
        "fork": repository.parent_id is not None,
        "url": api,
        **{key: f"{api}{suffix}" for key, suffix in _TEMPLATES.items()},
    }


def simple(forge: Forge, repository: Repository) -> Json:
    """GitHub's `repository` object: what pull requests and webhooks carry."""
    page = html_url(forge, repository)
    open_pulls = sum(1 for pull in repository.pulls.values() if pull.is_open)
    forks = sum(1 for other in forge.state.repositories.values() if other.parent_id == repository.id)
    return {
        **minimal(forge, repository),
        "created_at": moment(repository.created_at),
        "updated_at": moment(repository.updated_at),
        "pushed_at": moment(repository.pushed_at),
        "git_url": f"{page}.git",
        "ssh_url": f"{page}.git",
        "clone_url": f"{page}.git",
        "svn_url": page,
        "homepage": None,
        "size": 0,
        "stargazers_count": 0,
        "watchers_count": 0,
        "language": None,
        "has_issues": True,
        "has_projects": False,
        "has_downloads": False,
        "has_wiki": False,
        "has_pages": False,
        "has_discussions": False,
        "forks_count": forks,
        "mirror_url": None,
        "archived": False,
        "disabled": False,
        "open_issues_count": open_pulls,
        "license": None,
        "allow_forking": True,
        "is_template": False,
        "web_commit_signoff_required": False,
        "topics": [],
        "visibility": "private" if repository.private else "public",
        "forks": forks,
        "open_issues": open_pulls,
        "watchers": 0,
        "default_branch": repository.default_branch,
    }


def full(forge: Forge, repository: Repository, role: Role) -> Json:
    parent = forge.state.repositories.get(repository.parent_id) if repository.parent_id is not None else None
    family = {"parent": simple(forge, parent), "source": simple(forge, parent)} if parent else {}
    merging = {
        "allow_rebase_merge": repository.allow_rebase_merge,
        "allow_squash_merge": repository.allow_squash_merge,
        "allow_merge_commit": repository.allow_merge_commit,
        "allow_auto_merge": False,
        "allow_update_branch": False,
        "delete_branch_on_merge": repository.delete_branch_on_merge,
        "squash_merge_commit_title": "COMMIT_OR_PR_TITLE",
        "squash_merge_commit_message": "COMMIT_MESSAGES",
        "merge_commit_title": "MERGE_MESSAGE",
        "merge_commit_message": "PR_TITLE",
    }
    return {
        **simple(forge, repository),
        **family,
        **(merging if role >= Role.WRITE else {}),
        "permissions": permissions(role),
        "temp_clone_token": None,
        "network_count": 0,
        "subscribers_count": 0,
    }
