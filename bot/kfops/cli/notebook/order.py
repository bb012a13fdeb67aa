"""In which order the blocks of a notebook are done: as `prev:` says, and as they stand where it says nothing."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from kfops.cli.notebook.cells import Cell, Role, wrong


def ordered(notebook: Path, cells: Sequence[Cell]) -> list[Cell]:
    """The blocks' cells. Stop for a `prev:` that names no block, or that goes round in a circle."""
    blocks: dict[str, list[Cell]] = {}
    for cell in cells:
        if cell.role is Role.BLOCK:
            blocks.setdefault(cell.block, []).append(cell)
    needs = {name: _needs(notebook, name, found, blocks.keys()) for name, found in blocks.items()}
    done: list[str] = []
    while len(done) < len(blocks):
        ready = next((name for name in blocks if name not in done and needs[name] <= set(done)), None)
        if ready is None:
            circle = [name for name in blocks if name not in done]
            said = f"the blocks {', '.join(circle)} wait for each other"
            raise wrong(notebook, blocks[circle[0]][0].number, said, "Take a `prev:` out.")
        done.append(ready)
    return [cell for name in done for cell in blocks[name]]


def _needs(notebook: Path, name: str, cells: Sequence[Cell], known: Collection[str]) -> set[str]:
    found: set[str] = set()
    for cell in cells:
        for before in cell.after:
            if before not in known:
                hint = f"There are {', '.join(sorted(known))}."
                raise wrong(notebook, cell.number, f"`prev:{before}` names no block", hint)
            if before != name:
                found.add(before)
    return found
