"""A patch as rows with line numbers."""

from __future__ import annotations

import re
from dataclasses import dataclass

_HUNK = re.compile(r"@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@")
ROW_LIMIT = 3_000  # rows of one file that a page shows


@dataclass(frozen=True)
class Row:
    kind: str  # hunk | same | added | removed | note
    old: int | None
    new: int | None
    text: str


def rows(patch: str) -> list[Row]:
    made: list[Row] = []
    old = new = 0
    for line in patch.split("\n"):
        if len(made) >= ROW_LIMIT:
            return [*made, Row("note", None, None, "… the rest of this file is not shown here")]
        hunk = _HUNK.match(line)
        if hunk:
            old, new = int(hunk[1]), int(hunk[2])
            made.append(Row("hunk", None, None, line))
        elif line.startswith("+"):
            made.append(Row("added", None, new, line[1:]))
            new += 1
        elif line.startswith("-"):
            made.append(Row("removed", old, None, line[1:]))
            old += 1
        elif line.startswith("\\"):
            made.append(Row("note", None, None, line[2:]))
        else:
            made.append(Row("same", old, new, line[1:]))
            old, new = old + 1, new + 1
    return made
