"""What changed between two commits, file by file."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from kfops.playground.git.bare import Bare

_STATUS = {"A": "added", "M": "modified", "D": "removed", "R": "renamed", "C": "copied", "T": "changed"}
EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"


@dataclass(frozen=True)
class FileChange:
    path: str
    status: str
    additions: int
    deletions: int
    sha: str
    previous_path: str | None = None
    patch: str | None = None  # None: binary, or nothing but a rename


@lru_cache(maxsize=128)
def changes(bare: Bare, base: str, head: str) -> tuple[FileChange, ...]:
    """The changes from `base` to `head`, renames recognised, with their patches."""
    arguments = ("diff", "-M", "--no-color", "--no-ext-diff", "--no-textconv", "--full-index")
    listed = bare.run(*arguments, "--raw", "--numstat", "-z", base, head).stdout
    fields = listed.decode(errors="replace").split("\x00")
    patches = _patches(bare.run(*arguments, base, head).stdout.decode(errors="replace"))
    raw: list[tuple[str, str, str, str | None]] = []
    position = 0
    while fields[position].startswith(":"):
        _, _, before, after, status = fields[position].split()
        letter = status[0]
        is_moved = letter in "RC"
        previous = fields[position + 1] if is_moved else None
        path = fields[position + 2 if is_moved else position + 1]
        raw.append((letter, before if letter == "D" else after, path, previous))
        position += 3 if is_moved else 2
    counts = _counts(fields[position:])
    found: list[FileChange] = []
    for letter, sha, path, previous in raw:
        added, deleted = counts.get(path, (0, 0))
        patch = patches[len(found)] if len(found) < len(patches) else None
        status = _STATUS.get(letter, "changed")
        found.append(FileChange(path, status, added, deleted, sha, previous, patch))
    return tuple(found)


def _counts(fields: list[str]) -> dict[str, tuple[int, int]]:
    """Reads `--numstat -z`: "added TAB deleted TAB path", a rename with an empty path and two more fields."""
    counts = {}
    position = 0
    while position < len(fields) and fields[position]:
        added, deleted, path = fields[position].split("\t", 2)
        if not path:
            path = fields[position + 2]
            position += 2
        counts[path] = (int(added) if added != "-" else 0, int(deleted) if deleted != "-" else 0)
        position += 1
    return counts


def _patches(text: str) -> list[str | None]:
    """The hunks of each file, in git's order, which is that of `--raw`."""
    parts: list[list[str]] = []
    hunk_seen = False
    for line in text.split("\n"):
        if line.startswith("diff --git "):
            parts.append([])
            hunk_seen = False
        elif parts and (hunk_seen or line.startswith("@@ ")):
            hunk_seen = True
            parts[-1].append(line)
    return ["\n".join(lines).rstrip("\n") if lines else None for lines in parts]
