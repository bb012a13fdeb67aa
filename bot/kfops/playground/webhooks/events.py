"""Telling the world: each event's payload, and which hooks get it."""

from __future__ import annotations

from kfops.playground.forge import Forge
from kfops.playground.git.bare import ZERO
from kfops.playground.git.changes import EMPTY_TREE, changes
from kfops.playground.git.history import Commit, commit, commits, is_ancestor
from kfops.playground.roles import Caller
from kfops.playground.state import (
    App,
    CheckRun,
    CheckSuite,
    Comment,
    CommitStatus,
    Hook,
    Installation,
    PullRequest,
    Repository,
    Review,
    User,
)
from kfops.playground.wire import checks, issues, pulls
from kfops.playground.wire.basics import Json, moment, node_id, simple_user
from kfops.playground.wire.commits import commit_summary
from kfops.playground.wire.repositories import html_url, repository_url, simple

COMMITS_SHOWN = 20  # in a push, as GitHub's


def emit(forge: Forge, event: str, repository: Repository, sender: User, body: Json) -> None:
    """Queues the event for every hook that wants it, in the order in which things happened."""
    forge.state.revision += 1
    common = {"repository": simple(forge, repository), "sender": simple_user(forge, sender)}
    for hook in list(forge.state.hooks.values()):
        if not hook.active or (hook.repository_id is not None and hook.repository_id != repository.id):
            continue
        if "*" not in hook.events and event not in hook.events:
            continue
        installed = _installation(forge, hook, repository)
        if hook.app_id is not None and installed is None:
            continue
        extra = (
            {"installation": {"id": installed.id, "node_id": node_id("Installation", installed.id)}}
            if installed
            else {}
        )
        forge.outbox.put(
            hook,
            event,
            {**body, **common, **extra},
            repository_id=repository.id,
            installation_id=installed.id if installed else None,
        )


def _installation(forge: Forge, hook: Hook, repository: Repository) -> Installation | None:
    return next(
        (
            one
            for one in forge.state.installations.values()
            if hook.app_id == one.app_id and one.account_id == repository.owner_id
        ),
        None,
    )


def ping(forge: Forge, hook: Hook, app: App | None = None) -> None:
    """Sent once to a new hook."""
    described: Json = {
        "type": "App" if app else "Repository",
        "id": hook.id,
        "name": "web",
        "active": hook.active,
        "events": list(hook.events),
        "config": {"content_type": "json", "insecure_ssl": "0", "url": hook.url},
        "updated_at": moment(hook.created_at),
        "created_at": moment(hook.created_at),
        **({"app_id": app.id} if app else {}),
    }
    repository = forge.state.repositories.get(hook.repository_id or -1)
    extra = {"repository": simple(forge, repository)} if repository else {}
    payload = {"zen": "Keep it logically awesome.", "hook_id": hook.id, "hook": described, **extra}
    forge.outbox.put(hook, "ping", payload, repository_id=hook.repository_id, installation_id=None)


def issue_comment(
    forge: Forge, repository: Repository, action: str, comment: Comment, by: Caller, before: str | None = None
) -> None:
    thread = forge.thread(repository, comment.issue_number)
    changes_made: Json = {"changes": {"body": {"from": before}}} if before is not None else {}
    emit(
        forge,
        "issue_comment",
        repository,
        by.account,
        {
            "action": action,
            "issue": issues.issue(forge, repository, thread),
            "comment": issues.comment(forge, repository, comment),
            **changes_made,
        },
    )


def pull_request(
    forge: Forge, repository: Repository, action: str, pull: PullRequest, sender: User, **more: object
) -> None:
    emit(
        forge,
        "pull_request",
        repository,
        sender,
        {
            "action": action,
            "number": pull.number,
            "pull_request": pulls.pull_whole(forge, repository, pull, fresh=False),
            **more,
        },
    )


def pull_request_review(
    forge: Forge, repository: Repository, action: str, pull: PullRequest, review: Review, sender: User
) -> None:
    shown = {**pulls.review(forge, repository, pull, review), "state": review.state.lower()}
    emit(
        forge,
        "pull_request_review",
        repository,
        sender,
        {"action": action, "review": shown, "pull_request": pulls.pull_simple(forge, repository, pull)},
    )


def check_run(forge: Forge, repository: Repository, action: str, run: CheckRun, sender: User) -> None:
    suite = repository.suites[run.suite_id]
    shown = {
        **checks.check_run(forge, repository, run),
        "check_suite": checks.check_suite(forge, repository, suite),
    }
    emit(forge, "check_run", repository, sender, {"action": action, "check_run": shown})


def check_suite(forge: Forge, repository: Repository, action: str, suite: CheckSuite, sender: User) -> None:
    shown = {
        **checks.check_suite(forge, repository, suite),
        "head_commit": _head_commit(forge, repository, suite.head_sha),
    }
    emit(forge, "check_suite", repository, sender, {"action": action, "check_suite": shown})


def status(forge: Forge, repository: Repository, one: CommitStatus, sender: User) -> None:
    bare = forge.bare(repository)
    branches = [
        {
            "name": name.removeprefix("refs/heads/"),
            "commit": {"sha": sha, "url": f"{repository_url(forge, repository)}/commits/{sha}"},
            "protected": name.removeprefix("refs/heads/") in repository.protections,
        }
        for name, sha in bare.refs("refs/heads").items()
        if sha == one.sha
    ]
    body: Json = {
        "id": one.id,
        "sha": one.sha,
        "name": forge.state.full_name(repository),
        "avatar_url": f"{forge.base_url}/avatars/{one.creator_id}",
        "target_url": one.target_url,
        "context": one.context,
        "description": one.description,
        "state": one.state,
        "commit": commit_summary(forge, repository, commit(bare, one.sha)),
        "branches": branches,
        "created_at": moment(one.created_at),
        "updated_at": moment(one.created_at),
    }
    emit(forge, "status", repository, sender, body)


def push(
    forge: Forge, repository: Repository, ref: str, before: str | None, after: str | None, sender: User
) -> None:
    bare = forge.bare(repository)
    span = (
        ()
        if after is None
        else (f"{before}..{after}",)
        if before
        else (after, "--not", f"--exclude={ref}", "--branches")
    )
    listed = commits(bare, *span, limit=COMMITS_SHOWN) if span else []
    forced = bool(before and after and not is_ancestor(bare, before, after))
    head = _push_commit(forge, repository, commit(bare, after)) if after else None
    old, new = before or ZERO, after or ZERO
    body: Json = {
        "ref": ref,
        "before": old,
        "after": new,
        "created": before is None,
        "deleted": after is None,
        "forced": forced,
        "base_ref": None,
        "compare": f"{html_url(forge, repository)}/compare/{old[:12]}...{new[:12]}",
        "commits": [_push_commit(forge, repository, one) for one in listed],
        "head_commit": head,
        "pusher": {"name": sender.login, "email": sender.email},
    }
    emit(forge, "push", repository, sender, body)


def _push_commit(forge: Forge, repository: Repository, one: Commit) -> Json:
    files = changes(forge.bare(repository), one.parents[0] if one.parents else EMPTY_TREE, one.sha)
    author, committer = forge.author_of(one.author.email), forge.author_of(one.committer.email)
    return {
        "id": one.sha,
        "tree_id": one.tree,
        "distinct": True,
        "message": one.message,
        "timestamp": one.committer.date,
        "url": f"{html_url(forge, repository)}/commit/{one.sha}",
        "author": {
            "name": one.author.name,
            "email": one.author.email,
            **({"username": author.login} if author else {}),
        },
        "committer": {
            "name": one.committer.name,
            "email": one.committer.email,
            **({"username": committer.login} if committer else {}),
        },
        "added": [file.path for file in files if file.status == "added"],
        "removed": [file.path for file in files if file.status == "removed"],
        "modified": [file.path for file in files if file.status not in {"added", "removed"}],
    }


def _head_commit(forge: Forge, repository: Repository, sha: str) -> Json:
    one = commit(forge.bare(repository), sha)
    return {
        "id": one.sha,
        "tree_id": one.tree,
        "message": one.message,
        "timestamp": one.committer.date,
        "author": {"name": one.author.name, "email": one.author.email},
        "committer": {"name": one.committer.name, "email": one.committer.email},
    }
