"""Names that a notebook's cells use, once they are a function."""

from __future__ import annotations

import ast
import builtins
import symtable
from collections.abc import Iterator, Sequence
from pathlib import Path

from kfops.cli.exits import Exit, Stop
from kfops.cli.notebook.cells import Cell, wrong


def check_names(notebook: Path, component: str, text: str, cells: Sequence[Cell]) -> None:
    """Nothing is used that no taken cell defines: in a notebook it may be there from an hour ago.

    `text`: of the file with the function `component`, made of the cells. Stop says which cell does not do.
    """
    try:
        table = symtable.symtable(text, f"{component}.py", "exec")
    except SyntaxError as error:
        raise _misplaced(notebook, cells, error) from error
    function = next(one for one in table.get_children() if one.get_name() == component)
    for name in _free(function):
        if not hasattr(builtins, name) and name != "dsl":
            number, line = _first_use(cells, name)
            said = f"`{name}` is used, and no cell that is taken defines it"
            raise wrong(
                notebook,
                number,
                said,
                "Is it defined in a cell that is tagged `skip`, or was it once?",
                line,
            )


def _misplaced(notebook: Path, cells: Sequence[Cell], error: SyntaxError) -> Stop:
    """What Python allows in a module and not in a function: `from x import *`, `from __future__ …`."""
    for cell in cells:
        for node in ast.walk(cell.tree):
            if isinstance(node, ast.ImportFrom) and (
                node.module == "__future__" or node.names[0].name == "*"
            ):
                said = f"`{ast.unparse(node)}` cannot stand in a step"
                return wrong(notebook, cell.number, said, "Import what is used, by name.", node.lineno)
    return Stop(Exit.CONFIGURATION, f"{notebook.name}: as a step this is not Python: {error.msg}")


def _free(table: symtable.SymbolTable) -> Iterator[str]:
    """Names that nothing inside of the function binds."""
    for symbol in table.get_symbols():
        if symbol.is_global() and symbol.is_referenced() and not symbol.is_declared_global():
            yield symbol.get_name()
    for inner in table.get_children():
        yield from _free(inner)


def _first_use(cells: Sequence[Cell], name: str) -> tuple[int, int | None]:
    for cell in cells:
        for node in ast.walk(cell.tree):
            if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load):
                return cell.number, node.lineno
    return cells[-1].number, None
