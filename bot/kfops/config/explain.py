"""A refusal of the model, said to a person: place, found, expected, *did you mean*."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from kfops.command.identifiers import shown
from kfops.command.nearness import nearest
from kfops.config.errors import ConfigProblem, Path, Position, dotted
from kfops.config.keys import known_keys
from kfops.config.tree import Tree

_EXPECTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": "text (in quotes where it looks like a number)",
    "tuple_type": "a list: [one, another]",
    "dict_type": "keys and values",
    "model_type": "keys and values",
    "greater_than": "more than {gt}",
    "greater_than_equal": "{ge} or more",
    "less_than": "less than {lt}",
    "less_than_equal": "{le} or less",
    "too_short": "at least {min_length} of them",
    "too_long": "at most {max_length} of them",
    "literal_error": "{expected}",
    "kfops": "{expected}",
}


def explain(wrong: ValidationError, model: type[BaseModel], tree: Tree) -> tuple[ConfigProblem, ...]:
    """In the order of the text."""
    problems = [_problem(error, model, tree) for error in wrong.errors(include_url=False)]
    return tuple(
        sorted(problems, key=lambda one: (one.position.source, one.position.line, one.position.column))
    )


def _problem(error: Mapping[str, Any], model: type[BaseModel], tree: Tree) -> ConfigProblem:
    path: Path = tuple(part for part in error["loc"] if part != "[key]")
    match error["type"]:
        case "missing":
            return _missing(path, tree)
        case "extra_forbidden":
            return _unknown(path, model, tree)
        case kind:
            context: Mapping[str, Any] = error.get("ctx", {})
            expected = _EXPECTED.get(kind, error["msg"].removeprefix("Input should be ")).format_map(context)
            found = found_text(error["input"])
            place = tree.key_place(path) if error["loc"][-1:] == ("[key]",) else tree.place(path)
            if "at" in context:
                place = Position(place.source, place.line, place.column + context["at"] + tree.quoted(path))
                found = shown(str(error["input"])[context["at"] :] or "the end")
            message = "a wrong name" if error["loc"][-1:] == ("[key]",) else "a wrong value"
            return ConfigProblem(place, dotted(path), message, found, expected, _hint(error, context))


def _hint(error: Mapping[str, Any], context: Mapping[str, Any]) -> str:
    if error["type"] == "literal_error" and isinstance(error["input"], str):
        choices = [choice.strip(" '") for choice in str(context["expected"]).replace(" or ", ",").split(",")]
        near = nearest(error["input"], choices)
        return f"Did you mean {near}?" if near else ""
    return str(context.get("hint", ""))


def _missing(path: Path, tree: Tree) -> ConfigProblem:
    around = tree.key_place(path[:-1]) if path[:-1] else Position(tree.source)
    return ConfigProblem(around, dotted(path), "this key is missing", "nothing", f"the key {path[-1]}")


def _unknown(path: Path, model: type[BaseModel], tree: Tree) -> ConfigProblem:
    known = known_keys(model, path[:-1])
    name = str(path[-1])
    near = nearest(name.lower().replace("-", "_"), known)
    return ConfigProblem(
        tree.key_place(path),
        dotted(path),
        "there is no such key",
        shown(name),
        f"one of {', '.join(known)}" if known else "no keys here",
        f"Did you mean {near}?" if near else "",
    )


def found_text(value: Any) -> str:
    """A value as it looks in YAML's flow style, short."""
    match value:
        case None:
            return "nothing"
        case str():
            return shown(value)
        case _:
            return shown(json.dumps(value, ensure_ascii=False))
