"""How near two words are: for *did you mean*, of commands, flags and keys."""

from __future__ import annotations

from collections.abc import Iterable

_SHORTEST = 3  # below that every word is near every other
_SHORT = 5
_EDITS = 2
_LONGEST = 40


def distance(one: str, other: str) -> int:
    """Edits that turn `one` into `other`: insert, delete, replace, swap of neighbours (optimal string alignment)."""
    rows = [list(range(len(other) + 1))]
    for i, letter in enumerate(one, 1):
        row = [i]
        for j, theirs in enumerate(other, 1):
            best = min(rows[-1][j] + 1, row[j - 1] + 1, rows[-1][j - 1] + (letter != theirs))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == theirs:
                best = min(best, rows[-2][j - 2] + 1)
            row.append(best)
        rows.append(row)
    return rows[-1][-1]


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The one of `known` that `word` was probably meant to be: 1 edit in a short name, 2 in a longer one."""
    if not _SHORTEST <= len(word) <= _LONGEST:
        return None
    near = [
        (edits, name)
        for name in known
        if len(name) >= _SHORTEST
        and abs(len(name) - len(word)) <= _EDITS
        and (edits := distance(word, name)) <= (1 if len(name) <= _SHORT else _EDITS)
    ]
    return min(near)[1] if near else None
