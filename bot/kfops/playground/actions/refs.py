"""What a change of refs means: a push is told, pull requests follow their branches."""

from __future__ import annotations

from kfops.playground.actions import pulls
from kfops.playground.forge import Forge
from kfops.playground.git.history import is_ancestor
from kfops.playground.state import Repository, User
from kfops.playground.webhooks import events

_HEADS = "refs/heads/"


def tell_changes(forge: Forge, repository: Repository, sender: User) -> None:
    """Compares the repository's refs with those last told of, and tells the difference.

    Whoever moved refs calls this: the git door after a push, the REST door, a merge.
    """
    bare = forge.bare(repository)
    now, before = bare.refs(_HEADS, "refs/tags"), repository.known_refs
    repository.known_refs = now
    moved = [ref for ref in {**before, **now} if before.get(ref) != now.get(ref)]
    if not moved:
        return
    repository.pushed_at = repository.updated_at = forge.now()
    if not before and f"{_HEADS}{repository.default_branch}" not in now:
        _adopt_default_branch(forge, repository, moved)
    for ref in moved:
        events.push(forge, repository, ref, before.get(ref), now.get(ref), sender)
    for ref in moved:
        if ref.startswith(_HEADS):
            _follow_head(forge, repository, ref.removeprefix(_HEADS), now.get(ref), sender)
    for ref in moved:
        if ref.startswith(_HEADS):
            _follow_base(forge, repository, ref.removeprefix(_HEADS), now.get(ref), sender)


def _adopt_default_branch(forge: Forge, repository: Repository, moved: list[str]) -> None:
    """The first branch pushed to an empty repository becomes its default, as on GitHub."""
    first = next((ref for ref in moved if ref.startswith(_HEADS)), None)
    if first is not None:
        repository.default_branch = first.removeprefix(_HEADS)
        forge.bare(repository).run("symbolic-ref", "HEAD", first)


def _follow_head(forge: Forge, source: Repository, branch: str, sha: str | None, sender: User) -> None:
    for repository in list(forge.state.repositories.values()):
        for pull in list(repository.pulls.values()):
            if not pull.is_open or (pull.head_repository_id, pull.head_ref) != (source.id, branch):
                continue
            if sha is None:
                pulls.close(forge, repository, pull, sender)
            elif sha != pull.head_sha:
                pulls.synchronize(forge, repository, pull, source, sha, sender)


def _follow_base(forge: Forge, repository: Repository, branch: str, sha: str | None, sender: User) -> None:
    """A base that swallowed a pull request's head merged it; a base that is gone closes it."""
    for pull in list(repository.pulls.values()):
        if not pull.is_open or pull.base_ref != branch:
            continue
        if sha is None:
            pulls.close(forge, repository, pull, sender)
        elif is_ancestor(forge.bare(repository), pull.head_sha, sha):
            pulls.mark_merged(forge, repository, pull, sha, sender)
