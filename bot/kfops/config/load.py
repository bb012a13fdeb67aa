"""Bytes of `kfops.yaml` to its meaning, with every problem at once and its place in the text."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from kfops.config.consistency import rules_contradictions, work_contradictions
from kfops.config.errors import ConfigError, ConfigProblem
from kfops.config.explain import explain
from kfops.config.meaning import Rules, Work
from kfops.config.model import RULE_KEYS, WORK_KEYS, KfopsFile
from kfops.config.rules import RulesHalf
from kfops.config.tree import Tree, read_tree
from kfops.config.understand import default_rules, rules_meant, work_meant

FILENAME = "kfops.yaml"
Model = TypeVar("Model", bound=BaseModel)
_READ = lru_cache(maxsize=64)  # the same few files are read at every step of every operation


def load(content: bytes | str | None, *, filename: str = FILENAME) -> KfopsFile:
    """The whole file as typed; raises ConfigError with everything that is wrong."""
    return load_tree(read_tree(content, filename))


def load_tree(tree: Tree) -> KfopsFile:
    return typed(tree, KfopsFile, rules_contradictions, work_contradictions)


@_READ
def work_of(content: bytes | str | None, *, filename: str = FILENAME) -> Work:
    """The work half, from the pull request's commit. The whole file must be right: it is what will be merged."""
    return work_meant(load(content, filename=filename))


@_READ
def rules_of(content: bytes | str | None, *, repository_name: str, filename: str = FILENAME) -> Rules:
    """The rules half, from the default branch; None: the file is not there yet, and the defaults hold.

    A broken work half there does not matter: it is what a pull request may be about to mend.
    """
    if content is None:
        return default_rules(repository_name)
    return rules_meant(typed(_half(read_tree(content, filename), WORK_KEYS), RulesHalf, rules_contradictions))


def rules_edited(pull_request: bytes | str | None, default_branch: bytes | str | None) -> tuple[str, ...]:
    """The rules, as dotted keys, that differ between the two files; they count once they are merged.

    Defaults count as written, so spelling one out is no edit. Raises ConfigError for the pull request's file; where
    the default branch has no rules, or none that can be read, every section that the pull request writes is new.
    """
    ours = _rules_as_typed(pull_request)
    try:
        theirs = _rules_as_typed(default_branch)
    except ConfigError:
        written = read_tree(pull_request, FILENAME).value
        return tuple(key for key in RULE_KEYS if key in written)
    return tuple(key for name in RULE_KEYS for key in _differences(ours[name], theirs[name], name))


def typed(tree: Tree, model: type[Model], *checks: Callable[[Any, Tree], Iterable[ConfigProblem]]) -> Model:
    """The tree as the model types it; raises ConfigError. JSON mode: what is no number must not become one."""
    try:
        found = model.model_validate_json(json.dumps(tree.value))
    except ValidationError as wrong:
        raise ConfigError(explain(wrong, model, tree)) from wrong
    problems = tuple(problem for check in checks for problem in check(found, tree))
    if problems:
        raise ConfigError(problems)
    return found


def _half(tree: Tree, without: Iterable[str]) -> Tree:
    kept = {key: value for key, value in tree.value.items() if key not in without}
    return Tree(tree.source, kept, tree.keys, tree.values, tree.quotes)


def _rules_as_typed(content: bytes | str | None) -> dict[str, Any]:
    tree = _half(read_tree(content, FILENAME), WORK_KEYS)
    return typed(tree, RulesHalf, rules_contradictions).model_dump(mode="json")


def _differences(ours: Any, theirs: Any, path: str) -> list[str]:
    """Down to the leaves; a section that only one side has is named as a whole."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return [
            found
            for key in {**theirs, **ours}
            for found in _differences(ours.get(key), theirs.get(key), f"{path}.{key}")
        ]
    return [] if ours == theirs else [path]
