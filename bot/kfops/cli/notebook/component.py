"""A notebook as one KFP component: its cells become the body of a function, its parameters the function's."""

from __future__ import annotations

import ast
import io
import json
import keyword
import textwrap
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kfops.cli.exits import Exit, Stop
from kfops.cli.notebook.cells import Cell, Role, read, wrong
from kfops.cli.notebook.names import check_names
from kfops.cli.notebook.order import ordered

MADE = '"""Made from '  # by which a file of this command's is known
_TYPES = (bool, int, float, str, list, dict)


@dataclass(frozen=True)
class Parameter:
    name: str
    value: object
    cell: int


@dataclass(frozen=True)
class Asked:
    """`outputs`: artifacts that the notebook writes to `OUTPUT_path`; `packages`: what the step installs."""

    notebook: Path
    name: str
    outputs: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    image: str = "python:3.11-slim"


def component(asked: Asked) -> str:
    """The file's text; Stop says which cell does not do."""
    _named(asked)
    cells = read(asked.notebook)
    parameters = tuple(
        one for cell in cells if cell.role is Role.PARAMETERS for one in _parameters(asked, cell)
    )
    _distinct(asked, parameters)
    metrics = tuple(
        name for cell in cells if cell.role is Role.METRICS for name in _metrics(asked.notebook, cell)
    )
    body = [cell for role in (Role.IMPORTS, Role.FUNCTIONS) for cell in cells if cell.role is role]
    blocks = ordered(asked.notebook, cells)
    if not blocks:
        raise Stop(
            Exit.CONFIGURATION, f"{asked.notebook.name}: no cell is tagged block:NAME; nothing is left to do"
        )
    body += blocks
    text = _written(asked, parameters, metrics, body)
    check_names(asked.notebook, asked.name, text, cells)
    return text


def _named(asked: Asked) -> None:
    for word, what in ((asked.name, "--name"), *((one, "--output") for one in asked.outputs)):
        if not word.isidentifier() or keyword.iskeyword(word):
            raise Stop(Exit.USAGE, f"{what} {word}: expected a Python name")


def _parameters(asked: Asked, cell: Cell) -> Iterator[Parameter]:
    for statement in cell.tree.body:
        match statement:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=value)
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
            ):
                yield Parameter(name, _literal(asked.notebook, cell, name, value), cell.number)
            case _:
                said = f"`{ast.unparse(statement).splitlines()[0]}` is no `name = value`"
                hint = "A pipeline-parameters cell holds nothing else; tag it `functions` otherwise."
                raise wrong(asked.notebook, cell.number, said, hint, statement.lineno)


def _literal(notebook: Path, cell: Cell, name: str, value: ast.expr) -> object:
    try:
        found: object = ast.literal_eval(value)
    except ValueError:
        said = f"the value of `{name}` is computed: `{ast.unparse(value)}`"
        raise wrong(notebook, cell.number, said, "Write the value itself.", value.lineno) from None
    if type(found) not in _TYPES:
        said = f"the value of `{name}` is {found!r}"
        hint = "Expected a number, text, True, False, a list or a dict, by which the parameter gets its type."
        raise wrong(notebook, cell.number, said, hint, value.lineno)
    return found


def _distinct(asked: Asked, parameters: Sequence[Parameter]) -> None:
    seen: dict[str, int] = {}
    for one in parameters:
        if one.name in seen:
            said = f"`{one.name}` is a parameter already, by cell {seen[one.name]}"
            raise wrong(asked.notebook, one.cell, said)
        if one.name in {"metrics", *asked.outputs}:
            said = f"`{one.name}` is the name of an output"
            raise wrong(asked.notebook, one.cell, said, "Give the parameter another name.")
        seen[one.name] = one.cell
    for output in asked.outputs:
        if f"{output}_path" not in seen:
            raise Stop(
                Exit.USAGE,
                f"--output {output}: {asked.notebook.name} has no parameter `{output}_path`",
                f"Write `{output}_path = ...` in its pipeline-parameters cell, and have the notebook write there.",
            )


def _metrics(notebook: Path, cell: Cell) -> Iterator[str]:
    """Names that stand for themselves, or that are printed."""
    for statement in cell.tree.body:
        match statement:
            case ast.Expr(value=ast.Name(id=name)):
                yield name
            case ast.Expr(value=ast.Call(func=ast.Name(id="print"), args=args)) if all(
                isinstance(one, ast.Name) for one in args
            ):
                yield from (one.id for one in args if isinstance(one, ast.Name))
            case _:
                said = f"`{ast.unparse(statement).splitlines()[0]}` is no metric"
                hint = "A pipeline-metrics cell holds names of numbers, bare or as print(name)."
                raise wrong(notebook, cell.number, said, hint, statement.lineno)


def _written(
    asked: Asked, parameters: Sequence[Parameter], metrics: Sequence[str], body: Sequence[Cell]
) -> str:
    paths = {f"{one}_path" for one in asked.outputs}
    signature = [f"{one}: dsl.Output[dsl.Artifact]," for one in asked.outputs]
    signature += ["metrics: dsl.Output[dsl.Metrics],"] if metrics else []
    signature += [
        f"{one.name}: {type(one.value).__name__} = {one.value!r},"
        for one in parameters
        if one.name not in paths
    ]
    settings = [f"base_image={_quoted(asked.image)}", "install_kfp_package=False"]
    settings += [f"packages_to_install=[{', '.join(map(_quoted, asked.packages))}]"] if asked.packages else []
    lines = [
        f'{MADE}{asked.notebook.name} by `kfc from-notebook`: change the notebook, then make it anew."""',
        "",
        "from kfp import dsl",
        "",
        "",
        f"@dsl.component({', '.join(settings)})",
        f"def {asked.name}(",
        *(f"    {one}" for one in signature),
        "):",
        f'    """{asked.notebook.stem}, as a step."""',
        *(f"    {one}_path = {one}.path" for one in asked.outputs),
        *(["    _handed_over = metrics  # the notebook may call something else so"] if metrics else []),
    ]
    for cell in body:
        told = f"block:{cell.block}" if cell.block else cell.role.value
        lines += ["", f"    # cell {cell.number}, {told}", *_indented(cell.source)]
    lines += _told(metrics)
    return "\n".join(lines) + "\n"


def _told(metrics: Sequence[str]) -> list[str]:
    if not metrics:
        return []
    found = ", ".join(f"{_quoted(name)}: float({name})" for name in dict.fromkeys(metrics))
    return [
        "",
        "    # pipeline-metrics",
        "    import json as _json",
        "",
        f"    _found = {{{found}}}",
        "    for _name, _value in _found.items():",
        "        _handed_over.log_metric(_name, _value)",
        '    with open(_handed_over.path, "w") as _file:',
        "        _json.dump(_found, _file)",
    ]


def _quoted(text: str) -> str:
    return json.dumps(text)


def _indented(source: str) -> list[str]:
    """Four columns in; but for lines inside of a longer string, which would be another string then."""
    kept: set[int] = set()
    begun = 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        name = tokenize.tok_name[token.type]
        if name == "FSTRING_START":
            begun = token.start[0]
        if name in {"STRING", "FSTRING_END"}:
            kept.update(range((begun if name == "FSTRING_END" else token.start[0]) + 1, token.end[0] + 1))
    lines = source.rstrip().splitlines()
    return [
        line if number in kept else textwrap.indent(line, "    ")
        for number, line in enumerate(lines, start=1)
    ]
