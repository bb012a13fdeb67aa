"""Overrides of the whole file, for one's own machine: `--config-override FILE`, then `--set a.b=c`.

Both leave every other key alone. Each value remembers where it came from, so a message about it names the `--set`
or the override file, not a line of kfops.yaml.
"""

from __future__ import annotations

from typing import Any

from kfops.command.identifiers import shown
from kfops.command.model import Assignments
from kfops.command.nearness import nearest
from kfops.config.errors import ConfigError, ConfigProblem, Path, Position, dotted
from kfops.config.keys import annotation_at, is_section, known_keys
from kfops.config.model import KfopsFile
from kfops.config.tree import Tree, read_tree

_PARAMETERS: Path = ("pipeline", "parameters")


def merge(base: Tree, over: Tree) -> Tree:
    """`over` laid upon `base`: keys are joined, lists and single values replaced whole."""
    value = _joined(base.value, over.value)
    return Tree(
        base.source,
        value,
        {**base.keys, **over.keys},
        {**base.values, **over.values},
        (base.quotes - over.values.keys()) | over.quotes,
    )


def assign(tree: Tree, assignments: Assignments) -> Tree:
    """Each `a.b=c` in order; raises ConfigError. A bare name that is no key of the file is a pipeline parameter."""
    for name, text in assignments:
        tree = _assigned(tree, name, text)
    return tree


def _assigned(tree: Tree, name: str, text: str) -> Tree:
    path = _path(tree, name)
    place = Position(f"--set {name}={text}", line=0)
    _check(path, place)
    value: Any = text if annotation_at(KfopsFile, path) is str else _value(text, place)
    whole: Any = _replaced(tree.value, path, value, place)
    return Tree(
        tree.source,
        whole,
        {**tree.keys, path: place},
        {**{known: at for known, at in tree.values.items() if known[: len(path)] != path}, path: place},
        tree.quotes - {path},
    )


def _path(tree: Tree, name: str) -> Path:
    parts: list[str | int] = []
    here: Any = tree.value
    for part in name.split("."):
        index = int(part) if isinstance(here, list) and part.isascii() and part.isdigit() else part
        parts.append(index)
        here = _inside(here, index)
    path = tuple(parts)
    if len(path) == 1 and (path[0] not in KfopsFile.model_fields or is_section(KfopsFile, path)):
        return (*_PARAMETERS, *path)
    return path


def _inside(here: Any, part: str | int) -> Any:
    if isinstance(here, dict):
        return here.get(part)
    if isinstance(here, list) and isinstance(part, int) and part < len(here):
        return here[part]
    return None


def _check(path: Path, place: Position) -> None:
    """Says of an unknown key what is known beside it, before the model says it of the whole."""
    if path[: len(_PARAMETERS)] == _PARAMETERS:
        return
    for length in range(1, len(path) + 1):
        known = known_keys(KfopsFile, path[: length - 1])
        part = path[length - 1]
        if known and part not in known:
            near = nearest(str(part), known)
            hint = f"Did you mean {near}?" if near else ""
            expected = f"one of {', '.join(known)}"
            problem = ConfigProblem(
                place, dotted(path[:length]), "there is no such key", shown(str(part)), expected, hint
            )
            raise ConfigError((problem,))


def _value(text: str, place: Position) -> Any:
    """A value as it would stand in the file: `5`, `true`, `[5, 50]`, `text`."""
    try:
        return read_tree(f"value: {text}", place.source).value["value"]
    except ConfigError:
        return text


def _replaced(here: Any, path: Path, value: Any, place: Position) -> Any:
    if not path:
        return value
    part, rest = path[0], path[1:]
    if isinstance(here, list) and isinstance(part, int):
        if part >= len(here):
            problem = ConfigProblem(place, "", "the list is shorter", str(part), f"0 to {len(here) - 1}")
            raise ConfigError((problem,))
        return [
            _replaced(one, rest, value, place) if index == part else one for index, one in enumerate(here)
        ]
    content = here if isinstance(here, dict) else {}
    return {**content, part: _replaced(content.get(part), rest, value, place)}


def _joined(base: Any, over: Any) -> Any:
    if isinstance(base, dict) and isinstance(over, dict):
        return {**base, **{key: _joined(base.get(key), value) for key, value in over.items()}}
    return over


def overridden(
    content: bytes | str | None,
    *,
    filename: str,
    override: tuple[bytes | str | None, str] | None = None,
    assignments: Assignments = (),
) -> Tree:
    """The file with its overrides, not yet typed: `load_tree` does that. `override`: content and name."""
    tree = read_tree(content, filename)
    if override:
        tree = merge(tree, read_tree(*override))
    return assign(tree, assignments)
