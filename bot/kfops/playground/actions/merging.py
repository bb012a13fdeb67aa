"""Merging a pull request, for real, in the bare repository."""

from __future__ import annotations

from kfops.playground.actions import pulls
from kfops.playground.actions.refs import tell_changes
from kfops.playground.errors import Refusal, forbidden
from kfops.playground.forge import Forge
from kfops.playground.git.bare import Bare, GitError
from kfops.playground.git.changes import changes
from kfops.playground.git.history import commits, merge_base
from kfops.playground.git.merging import identity, merged_tree, rebased, write_commit
from kfops.playground.mergeability import mergeability
from kfops.playground.roles import Caller, caller_role, require
from kfops.playground.state import PullRequest, Repository, Role, User

_BLOCKING = frozenset({"unknown", "dirty", "draft", "blocked", "behind"})


def merge(
    forge: Forge,
    repository: Repository,
    pull: PullRequest,
    by: Caller,
    *,
    method: str = "merge",
    sha: str | None = None,
    title: str | None = None,
    message: str | None = None,
) -> str:
    """Merges and answers the new commit of the base branch.

    409 where the head is not `sha`, 405 where a conflict, a rule or the pull request's state stands in the way,
    403 for callers without write access.
    """
    user = require(repository, by, Role.WRITE, scopes=("contents",))
    if pull.is_open and sha is not None and sha != pull.head_sha:
        raise Refusal(409, "Head branch was modified. Review and try the merge again.")
    allowed = {
        "merge": repository.allow_merge_commit,
        "squash": repository.allow_squash_merge,
        "rebase": repository.allow_rebase_merge,
    }
    if not allowed.get(method, False):
        named = {"merge": "Merge commits", "squash": "Squash merges", "rebase": "Rebase merges"}.get(
            method, method
        )
        raise Refusal(405, f"{named} are not allowed on this repository.")
    found = mergeability(forge, repository, pull)
    protection = repository.protections.get(pull.base_ref)
    overrides = (
        found.state in {"blocked", "behind"}
        and caller_role(repository, by) >= Role.ADMIN
        and not (protection is not None and protection.enforce_admins)
    )
    if found.state in _BLOCKING and not overrides:
        raise Refusal(405, found.reason or "Pull Request is not mergeable")
    _workflows_allowed(forge, repository, pull, by)
    return _merge(forge, repository, pull, user, method, title, message)


def _merge(
    forge: Forge,
    repository: Repository,
    pull: PullRequest,
    user: User,
    method: str,
    title: str | None,
    message: str | None,
) -> str:
    bare, ref = forge.bare(repository), f"refs/heads/{pull.base_ref}"
    base = bare.refs(ref)[ref]
    made = _commit(forge, bare, pull, user, base, method, title, message)
    if made is None:
        raise Refusal(
            405, "This branch can't be rebased" if method == "rebase" else "Pull Request is not mergeable"
        )
    try:
        bare.update_ref(ref, made, base)
    except GitError:
        raise Refusal(409, "Base branch was modified. Review and try the merge again.") from None
    pull.base_sha = base
    pulls.mark_merged(forge, repository, pull, made, user)
    if repository.delete_branch_on_merge and pull.head_repository_id == repository.id:
        bare.delete_ref(f"refs/heads/{pull.head_ref}")
    tell_changes(forge, repository, user)
    return made


def _commit(
    forge: Forge,
    bare: Bare,
    pull: PullRequest,
    user: User,
    base: str,
    method: str,
    title: str | None,
    message: str | None,
) -> str | None:
    now = forge.now()
    if method == "rebase":
        return rebased(bare, base, pull.head_sha, user.login, user.email, now)
    tree = merged_tree(bare, base, pull.head_sha)
    if tree is None:
        return None
    who = identity(user.login, user.email, now)
    if method == "squash":
        author = forge.state.users[pull.author_id]
        who |= {"GIT_AUTHOR_NAME": author.login, "GIT_AUTHOR_EMAIL": author.email}
        listed = commits(bare, "--no-merges", f"{base}..{pull.head_sha}")
        told = "\n\n".join(f"* {one.message}" for one in listed) if len(listed) > 1 else ""
        text = _text(title or f"{pull.title} (#{pull.number})", told if message is None else message)
        return write_commit(bare, tree, [base], text, who)
    owner = forge.state.users[pull.head_owner_id].login
    text = _text(
        title or f"Merge pull request #{pull.number} from {owner}/{pull.head_ref}",
        pull.title if message is None else message,
    )
    return write_commit(bare, tree, [base, pull.head_sha], text, who)


def _text(title: str, body: str) -> str:
    return f"{title}\n\n{body}\n" if body else f"{title}\n"


def _workflows_allowed(forge: Forge, repository: Repository, pull: PullRequest, by: Caller) -> None:
    """An app without the `workflows` permission cannot merge changes to GitHub Actions."""
    if by.installation is None or by.permissions.get("workflows") == "write":
        return
    bare = forge.bare(repository)
    base = bare.resolve(f"refs/heads/{pull.base_ref}") or pull.base_sha
    for file in changes(bare, merge_base(bare, base, pull.head_sha) or base, pull.head_sha):
        if file.path.startswith(".github/workflows/"):
            raise forbidden(
                f"refusing to allow a GitHub App to create or update workflow `{file.path}` without `workflows` permission"
            )
