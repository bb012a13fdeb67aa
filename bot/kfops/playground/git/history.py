"""Reading commits, trees and blobs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from kfops.playground.git.bare import Bare

_FORMAT = "%H%x00%T%x00%P%x00%an%x00%ae%x00%aI%x00%cn%x00%ce%x00%cI%x00%B%x01"


@dataclass(frozen=True)
class Signature:
    name: str
    email: str
    date: str  # ISO 8601, with the offset that the commit carries


@dataclass(frozen=True)
class Commit:
    sha: str
    tree: str
    parents: tuple[str, ...]
    author: Signature
    committer: Signature
    message: str


@dataclass(frozen=True)
class Entry:
    """An entry of a tree; `kind` is git's: blob, tree or commit (a submodule)."""

    path: str
    kind: str
    mode: str
    sha: str
    size: int


def commits(
    bare: Bare, *revisions: str, limit: int = 250, oldest_first: bool = True, path: str = ""
) -> list[Commit]:
    """The commits of a revision range, or those of them that touch the path; the `limit` newest."""
    paths = ("--", f":(literal){path}") if path else ("--",)
    raw = bare.run(
        "log", f"--max-count={limit}", f"--format={_FORMAT}", "--topo-order", *revisions, *paths
    ).stdout
    found = [_commit(part) for part in raw.decode(errors="replace").split("\x01") if part.strip()]
    return found[::-1] if oldest_first else found


@lru_cache(maxsize=512)
def commit(bare: Bare, sha: str) -> Commit:
    return commits(bare, sha, limit=1)[0]


def _commit(part: str) -> Commit:
    sha, tree, parents, an, ae, ad, cn, ce, cd, message = part.lstrip("\n").split("\x00", 9)
    return Commit(
        sha=sha,
        tree=tree,
        parents=tuple(parents.split()),
        author=Signature(an, ae, ad),
        committer=Signature(cn, ce, cd),
        message=message.rstrip("\n"),
    )


@lru_cache(maxsize=2048)
def merge_base(bare: Bare, one: str, other: str) -> str | None:
    done = bare.run("merge-base", one, other, ok=(0, 1))
    return done.stdout.decode().strip() or None


@lru_cache(maxsize=2048)
def is_ancestor(bare: Bare, older: str, newer: str) -> bool:
    return bare.run("merge-base", "--is-ancestor", older, newer, ok=(0, 1)).returncode == 0


def count(bare: Bare, revisions: str) -> int:
    return int(bare.text("rev-list", "--count", revisions))


@lru_cache(maxsize=2048)
def ahead_behind(bare: Bare, base: str, head: str) -> tuple[int, int]:
    """How many commits of `head` are not in `base`, and the other way round."""
    behind, ahead = bare.text("rev-list", "--left-right", "--count", f"{base}...{head}").split()
    return int(ahead), int(behind)


@lru_cache(maxsize=512)
def entry(bare: Bare, sha: str, path: str) -> Entry | None:
    """What stands at `path` in the commit; the root is the tree of the commit itself."""
    if not path:
        return Entry("", "tree", "040000", bare.text("rev-parse", f"{sha}^{{tree}}"), 0)
    return next((found for found in _ls(bare, sha, f":(literal){path}") if found.path == path), None)


def children(bare: Bare, tree: Entry, sha: str) -> list[Entry]:
    prefix = f"{tree.path}/" if tree.path else ""
    listed = _ls(bare, f"{sha}:{tree.path}")
    return [Entry(f"{prefix}{one.path}", one.kind, one.mode, one.sha, one.size) for one in listed]


def blob(bare: Bare, sha: str) -> bytes:
    return bare.run("cat-file", "blob", sha).stdout


def _ls(bare: Bare, tree: str, *paths: str) -> list[Entry]:
    raw = bare.run("ls-tree", "-z", "--long", "--full-tree", tree, "--", *paths).stdout.decode(
        errors="replace"
    )
    found = []
    for line in raw.split("\x00"):
        if line:
            facts, path = line.split("\t", 1)
            mode, kind, sha, size = facts.split()
            found.append(Entry(path, kind, mode, sha, 0 if size == "-" else int(size)))
    return found


def archive(bare: Bare, sha: str, prefix: str) -> bytes:
    """The commit's tree as tar.gz under the folder `prefix`."""
    return bare.run("archive", "--format=tar.gz", f"--prefix={prefix}/", sha).stdout
