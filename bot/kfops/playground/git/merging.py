"""Merging in a bare repository, without a work tree: `merge-tree --write-tree` and `commit-tree`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache

from kfops.playground.git.bare import Bare, GitError
from kfops.playground.git.history import Commit, commits, merge_base


def identity(name: str, email: str, at: datetime, *, author: Commit | None = None) -> dict[str, str]:
    """The environment git needs for a commit made by the forge; a rebased commit keeps its author."""
    return {
        "GIT_AUTHOR_NAME": author.author.name if author else name,
        "GIT_AUTHOR_EMAIL": author.author.email if author else email,
        "GIT_AUTHOR_DATE": author.author.date if author else at.isoformat(),
        "GIT_COMMITTER_NAME": name,
        "GIT_COMMITTER_EMAIL": email,
        "GIT_COMMITTER_DATE": at.isoformat(),
    }


@lru_cache(maxsize=2048)
def merged_tree(bare: Bare, ours: str, theirs: str) -> str | None:
    """The tree of a merge; None where it conflicts or where the histories share nothing."""
    if merge_base(bare, ours, theirs) is None:
        return None
    done = bare.run("merge-tree", "--write-tree", "--no-messages", ours, theirs, ok=(0, 1))
    return done.stdout.decode().split("\n", 1)[0].strip() if done.returncode == 0 else None


def write_commit(bare: Bare, tree: str, parents: list[str], message: str, who: Mapping[str, str]) -> str:
    flags = [flag for parent in parents for flag in ("-p", parent)]
    return bare.text("commit-tree", tree, *flags, stdin=message.encode(), env=who)


def rebased(bare: Bare, base: str, head: str, name: str, email: str, at: datetime) -> str | None:
    """The tip of `head`'s own commits played again on `base`; None where one of them conflicts."""
    tip = base
    for one in commits(bare, "--no-merges", f"{base}..{head}"):
        tree = _picked_tree(bare, tip, one, identity(name, email, at))
        if tree is None:
            return None
        tip = write_commit(bare, tree, [tip], one.message, identity(name, email, at, author=one))
    return tip


def _picked_tree(bare: Bare, tip: str, one: Commit, who: Mapping[str, str]) -> str | None:
    """The tree of a cherry-pick.

    merge-tree finds the merge base by history, so the tip's tree is put into a throw-away commit on top of the
    picked commit's parent: that parent is then the base of the merge, as a cherry-pick needs it.
    """
    tree = bare.text("rev-parse", f"{tip}^{{tree}}")
    try:
        stand_in = write_commit(bare, tree, list(one.parents[:1]), "pick", who)
    except GitError:
        return None
    return merged_tree(bare, stand_in, one.sha)
