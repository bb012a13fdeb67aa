"""A notebook's code cells with what their tags make of them, in Kale's words.

    imports               what the whole notebook imports
    functions             functions and values that every block may use
    pipeline-parameters   `name = literal`: the component's parameters, with their types and defaults
    pipeline-metrics      names of numbers, bare or printed, which the component hands over
    block:NAME            a step of the work (`step:NAME` is the same); several cells may have one name
    prev:NAME[;NAME]      blocks that come before this one
    skip                  not taken: a look at the data, a plot

A cell without tags belongs to the cell before it. Texts and raw cells say nothing here.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from kfops.cli.exits import Exit, Stop
from kfops.command.nearness import nearest

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}", re.IGNORECASE | re.ASCII)
_MAGIC = re.compile(r"^\s*(?:%|!|\?|\w+\?\s*$)")
_LARGEST = 64 << 20


class Role(StrEnum):
    IMPORTS = "imports"
    FUNCTIONS = "functions"
    PARAMETERS = "pipeline-parameters"
    METRICS = "pipeline-metrics"
    BLOCK = "block"
    SKIP = "skip"


@dataclass(frozen=True)
class Cell:
    """`number` counts all cells from 1, as they stand in the notebook."""

    number: int
    role: Role
    source: str
    tree: ast.Module
    block: str = ""
    after: tuple[str, ...] = ()


def wrong(notebook: Path, number: int, said: str, hint: str = "", line: int | None = None) -> Stop:
    where = f"{notebook.name}: cell {number}{f', line {line}' if line else ''}"
    lines = (f"{where}: {said}", *([hint] if hint else []))
    return Stop(Exit.CONFIGURATION, *lines, detail={"cell": number, "line": line})


def read(notebook: Path) -> tuple[Cell, ...]:
    """Those that are taken, in the notebook's order. Stop names the cell that cannot be."""
    return tuple(cell for cell in _cells(notebook, _document(notebook)) if cell.role is not Role.SKIP)


def _document(notebook: Path) -> Any:
    try:
        import nbformat
    except ModuleNotFoundError as error:
        raise Stop(Exit.ENGINE, "Reading notebooks needs nbformat: pip install 'kfops[local]'.") from error
    if not notebook.is_file():
        raise Stop(Exit.USAGE, f"{notebook}: there is no such file")
    if notebook.stat().st_size > _LARGEST:
        raise Stop(Exit.USAGE, f"{notebook} is larger than {_LARGEST >> 20} MiB; clear its outputs")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # cells without ids, which nobody here asks for
            found = nbformat.read(notebook, as_version=4)  # type: ignore[no-untyped-call]
            nbformat.validate(found)
    except (
        nbformat.ValidationError,
        nbformat.reader.NotJSONError,
        ValueError,
        KeyError,
        AttributeError,
        TypeError,
    ) as error:
        said = str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__
        raise Stop(Exit.CONFIGURATION, f"{notebook} is no Jupyter notebook: {said}") from error
    return found


def _cells(notebook: Path, document: Any) -> Iterator[Cell]:
    before: Cell | None = None
    for number, found in enumerate(document.cells, start=1):
        source = str(found.source)
        if found.cell_type != "code" or not source.strip():
            continue
        tags = [str(one) for one in found.metadata.get("tags", ())]
        before = _cell(notebook, number, source, tags, before)
        yield before


def _cell(notebook: Path, number: int, source: str, tags: list[str], before: Cell | None) -> Cell:
    role, block, after = _meant(notebook, number, tags, before)
    if role is Role.SKIP:
        return Cell(number, role, source, ast.Module([], []))
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        raise _not_python(notebook, number, source, error) from error
    return Cell(number, role, source, tree, block, after)


def _not_python(notebook: Path, number: int, source: str, error: SyntaxError) -> Stop:
    for line, text in enumerate(source.splitlines(), start=1):
        if _MAGIC.match(text):
            hint = "Tag the cell `skip`, or take the line out; packages are named with --package."
            return wrong(notebook, number, f"`{text.strip()}` is for notebooks only", hint, line)
    return wrong(notebook, number, f"this is not Python: {error.msg}", line=error.lineno)


def _meant(
    notebook: Path, number: int, tags: list[str], before: Cell | None
) -> tuple[Role, str, tuple[str, ...]]:
    roles: list[tuple[Role, str]] = []
    after: list[str] = []
    for tag in tags:
        kind, colon, names = tag.partition(":")
        if kind == "prev" and colon:
            after += [_name(notebook, number, one) for one in names.split(";")]
        elif kind in {"block", "step"} and colon:
            roles.append((Role.BLOCK, _name(notebook, number, names)))
        elif tag in {one.value for one in Role if one is not Role.BLOCK}:
            roles.append((Role(tag), ""))
        else:
            raise wrong(notebook, number, f"there is no tag {tag!r}", _did_you_mean(tag))
    if len(roles) > 1:
        said = " and ".join(f"{role}:{name}" if name else role for role, name in roles)
        raise wrong(notebook, number, f"it cannot be {said}", "Split the cell, or take a tag out.")
    if roles:
        role, block = roles[0]
    elif before is not None:
        role, block = before.role, before.block
    else:
        hint = f"Tag it {', '.join(one.value for one in Role if one is not Role.BLOCK)} or block:NAME."
        raise wrong(notebook, number, "it has no tag, and there is no cell before it to belong to", hint)
    if after and role is not Role.BLOCK:
        raise wrong(notebook, number, "`prev:` is for blocks", "Tag it block:NAME, too.")
    return role, block, tuple(after)


def _name(notebook: Path, number: int, text: str) -> str:
    if not _NAME.fullmatch(text):
        hint = "Letters, digits, '-' and '_', beginning with a letter."
        raise wrong(notebook, number, f"{text!r} is no name of a block", hint)
    return text


def _did_you_mean(tag: str) -> str:
    kind, colon, name = tag.partition(":")
    known = ["block", "step", "prev"] if colon else [one.value for one in Role if one is not Role.BLOCK]
    near = nearest(kind.lower().replace("_", "-"), known)
    if near:
        return f"Did you mean {near}{colon}{name}?"
    return f"Known are {', '.join(one.value for one in Role if one is not Role.BLOCK)}, block:NAME and prev:NAME."
