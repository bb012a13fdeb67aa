"""Commits, comparisons, refs, branches and files."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from urllib.parse import quote

from kfops.playground.forge import Forge
from kfops.playground.git.changes import EMPTY_TREE, FileChange, changes
from kfops.playground.git.history import Commit, Entry, Signature, ahead_behind, commit, commits, merge_base
from kfops.playground.state import Protection, Repository
from kfops.playground.wire.basics import Json, node_id, simple_user
from kfops.playground.wire.repositories import html_url, minimal, repository_url

FILE_LIMIT = 300  # files in a comparison, as GitHub's first page has it
CONTENT_LIMIT = 1_000_000  # bytes
KINDS = {"blob": "file", "tree": "dir", "commit": "submodule"}


def _signature(one: Signature) -> Json:
    return {"name": one.name, "email": one.email, "date": one.date.replace("+00:00", "Z")}


def commit_summary(forge: Forge, repository: Repository, one: Commit) -> Json:
    api, page = repository_url(forge, repository), html_url(forge, repository)
    author, committer = forge.author_of(one.author.email), forge.author_of(one.committer.email)
    return {
        "sha": one.sha,
        "node_id": node_id("Commit", one.sha),
        "url": f"{api}/commits/{one.sha}",
        "html_url": f"{page}/commit/{one.sha}",
        "comments_url": f"{api}/commits/{one.sha}/comments",
        "commit": {
            "url": f"{api}/git/commits/{one.sha}",
            "author": _signature(one.author),
            "committer": _signature(one.committer),
            "message": one.message,
            "comment_count": 0,
            "tree": {"sha": one.tree, "url": f"{api}/git/trees/{one.tree}"},
            "verification": {
                "verified": False,
                "reason": "unsigned",
                "signature": None,
                "payload": None,
                "verified_at": None,
            },
        },
        "author": simple_user(forge, author) if author else None,
        "committer": simple_user(forge, committer) if committer else None,
        "parents": [
            {"sha": sha, "url": f"{api}/commits/{sha}", "html_url": f"{page}/commit/{sha}"}
            for sha in one.parents
        ],
    }


def commit_whole(forge: Forge, repository: Repository, sha: str) -> Json:
    """With files and numbers, against its first parent."""
    bare = forge.bare(repository)
    one = commit(bare, sha)
    files = changes(bare, one.parents[0] if one.parents else EMPTY_TREE, sha)
    added, deleted = sum(file.additions for file in files), sum(file.deletions for file in files)
    return {
        **commit_summary(forge, repository, one),
        "stats": {"total": added + deleted, "additions": added, "deletions": deleted},
        "files": [changed_file(forge, repository, file, sha) for file in files[:FILE_LIMIT]],
    }


def changed_file(forge: Forge, repository: Repository, file: FileChange, sha: str) -> Json:
    api, page, path = repository_url(forge, repository), html_url(forge, repository), quote(file.path)
    return {
        "sha": file.sha,
        "filename": file.path,
        "status": file.status,
        "additions": file.additions,
        "deletions": file.deletions,
        "changes": file.additions + file.deletions,
        "blob_url": f"{page}/blob/{sha}/{path}",
        "raw_url": f"{page}/raw/{sha}/{path}",
        "contents_url": f"{api}/contents/{path}?ref={sha}",
        **({"patch": file.patch} if file.patch is not None else {}),
        **({"previous_filename": file.previous_path} if file.previous_path is not None else {}),
    }


def comparison(
    forge: Forge, repository: Repository, base: str, head: str, named: str, page: tuple[int, int]
) -> tuple[Json, int]:
    """A comparison and its number of commits; `page` is (offset, limit) into them; files are on the first page."""
    bare = forge.bare(repository)
    ahead, behind = ahead_behind(bare, base, head)
    common = merge_base(bare, base, head) or base
    status = "diverged" if ahead and behind else "ahead" if ahead else "behind" if behind else "identical"
    offset, limit = page
    listed = commits(bare, f"{base}..{head}", limit=max(ahead, 1))[offset : offset + limit]
    files = changes(bare, common, head)[:FILE_LIMIT] if offset == 0 else ()
    url, html = (
        f"{repository_url(forge, repository)}/compare/{named}",
        f"{html_url(forge, repository)}/compare/{named}",
    )
    return {
        "url": url,
        "html_url": html,
        "permalink_url": f"{html_url(forge, repository)}/compare/{base[:7]}...{head[:7]}",
        "diff_url": f"{html}.diff",
        "patch_url": f"{html}.patch",
        "base_commit": commit_summary(forge, repository, commit(bare, base)),
        "merge_base_commit": commit_summary(forge, repository, commit(bare, common)),
        "status": status,
        "ahead_by": ahead,
        "behind_by": behind,
        "total_commits": ahead,
        "commits": [commit_summary(forge, repository, one) for one in listed],
        "files": [changed_file(forge, repository, file, head) for file in files],
    }, ahead


def git_ref(forge: Forge, repository: Repository, ref: str, sha: str, kind: str = "commit") -> Json:
    api = repository_url(forge, repository)
    return {
        "ref": ref,
        "node_id": node_id("Ref", f"{repository.id}:{ref}"),
        "url": f"{api}/git/{ref}",
        "object": {"type": kind, "sha": sha, "url": f"{api}/git/{kind}s/{sha}"},
    }


def branch_summary(forge: Forge, repository: Repository, name: str, sha: str) -> Json:
    url = f"{repository_url(forge, repository)}/commits/{sha}"
    return {"name": name, "commit": {"sha": sha, "url": url}, "protected": name in repository.protections}


def branch(forge: Forge, repository: Repository, name: str, sha: str) -> Json:
    url = f"{repository_url(forge, repository)}/branches/{name}"
    protected = repository.protections.get(name)
    return {
        "name": name,
        "commit": commit_whole(forge, repository, sha),
        "_links": {"self": url, "html": f"{html_url(forge, repository)}/tree/{name}"},
        "protected": protected is not None,
        "protection": {
            "enabled": protected is not None,
            "required_status_checks": {
                "enforcement_level": "non_admins" if protected and protected.checks else "off",
                "contexts": [one.context for one in protected.checks] if protected else [],
                "checks": [{"context": one.context, "app_id": one.app_id} for one in protected.checks]
                if protected
                else [],
            },
        },
        "protection_url": f"{url}/protection",
    }


def protection(forge: Forge, repository: Repository, name: str, one: Protection) -> Json:
    url = f"{repository_url(forge, repository)}/branches/{name}/protection"
    shown: Json = {
        "url": url,
        "enforce_admins": {"url": f"{url}/enforce_admins", "enabled": one.enforce_admins},
        "required_signatures": {"url": f"{url}/required_signatures", "enabled": False},
        "required_linear_history": {"enabled": False},
        "allow_force_pushes": {"enabled": False},
        "allow_deletions": {"enabled": False},
        "block_creations": {"enabled": False},
        "required_conversation_resolution": {"enabled": False},
        "lock_branch": {"enabled": False},
        "allow_fork_syncing": {"enabled": False},
    }
    if one.checks or one.strict:
        shown["required_status_checks"] = {
            "url": f"{url}/required_status_checks",
            "strict": one.strict,
            "contexts": [check.context for check in one.checks],
            "contexts_url": f"{url}/required_status_checks/contexts",
            "checks": [{"context": check.context, "app_id": check.app_id} for check in one.checks],
        }
    if one.approvals or one.dismiss_stale:
        shown["required_pull_request_reviews"] = {
            "url": f"{url}/required_pull_request_reviews",
            "dismiss_stale_reviews": one.dismiss_stale,
            "require_code_owner_reviews": False,
            "require_last_push_approval": False,
            "required_approving_review_count": one.approvals,
        }
    return shown


def content(forge: Forge, repository: Repository, one: Entry, ref: str) -> Json:
    """An entry of a tree, without what is in it."""
    api, page, path = repository_url(forge, repository), html_url(forge, repository), quote(one.path)
    url = f"{api}/contents/{path}?ref={quote(ref, safe='')}"
    kind = "symlink" if one.mode == "120000" else KINDS[one.kind]
    place = {"file": "blobs", "symlink": "blobs", "dir": "trees", "submodule": "trees"}[kind]
    git = None if kind == "submodule" else f"{api}/git/{place}/{one.sha}"
    html = f"{page}/{'tree' if kind == 'dir' else 'blob'}/{ref}/{path}"
    raw = f"{page}/raw/{ref}/{path}" if place == "blobs" else None
    return {
        "type": kind,
        "name": one.path.rsplit("/", 1)[-1],
        "path": one.path,
        "sha": one.sha,
        "size": one.size,
        "url": url,
        "html_url": html,
        "git_url": git,
        "download_url": raw,
        "_links": {"self": url, "git": git, "html": html},
    }


def content_file(forge: Forge, repository: Repository, one: Entry, ref: str, data: bytes) -> Json:
    """Above 1 MB GitHub leaves the content out (`encoding: none`); the raw media type still has it."""
    small = len(data) <= CONTENT_LIMIT
    return {
        **content(forge, repository, one, ref),
        "content": base64.encodebytes(data).decode() if small else "",
        "encoding": "base64" if small else "none",
    }


def combined_status(
    forge: Forge, repository: Repository, sha: str, statuses: Sequence[Json], total: int, state: str
) -> Json:
    api = repository_url(forge, repository)
    return {
        "state": state,
        "statuses": list(statuses),
        "sha": sha,
        "total_count": total,
        "repository": minimal(forge, repository),
        "commit_url": f"{api}/commits/{sha}",
        "url": f"{api}/commits/{sha}/status",
    }
