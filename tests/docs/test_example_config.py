"""kfops.example.yaml says everything, and says the truth."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from pydantic import BaseModel

from kfops.config.check import check
from kfops.config.keys import annotation_at
from kfops.config.load import load, rules_of, work_of
from kfops.config.model import KfopsFile
from kfops.config.schema import schema_text
from kfops.config.tree import read_tree

PATH = Path(__file__).parents[2] / "kfops.example.yaml"
TEXT = PATH.read_text(encoding="utf-8")
TREE = read_tree(TEXT, PATH.name)


def keys(model, path=()):
    """Every key of the model with its path in the example; lists and free names by their first entry there."""
    for name, field in model.model_fields.items():
        here = (*path, name)
        yield here, field
        inner = annotation_at(KfopsFile, step_in(here))
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from keys(inner, step_in(here))


def step_in(path):
    if path[-1] == "build":
        return (*path, 0)
    if path[-1] == "environments":
        return (*path, "staging")
    return path


ALL_KEYS = dict(keys(KfopsFile))


def at(path):
    here = TREE.value
    for part in path:
        here = here[part]
    return here


def comment_of(path):
    return TEXT.splitlines()[TREE.keys[path].line - 1].partition("#")[2].strip()


def test_it_is_understood_without_a_warning():
    file = load(TEXT, filename=PATH.name)
    assert check(file) == ()
    assert work_of(TEXT).pipeline.source == "pipeline.py"
    assert rules_of(TEXT, repository_name="acme/churn").model == "churn"


def test_it_fits_the_schema():
    jsonschema.validate(TREE.value, json.loads(schema_text()))


@pytest.mark.parametrize("path", ALL_KEYS, ids=lambda path: ".".join(map(str, path)))
def test_every_key_stands_there_with_a_comment_or_a_default(path):
    assert path in TREE.keys, f"{'.'.join(map(str, path))} is missing in {PATH.name}"
    field = ALL_KEYS[path]
    default = field.get_default(call_default_factory=True)
    if field.is_required():
        assert "required" in comment_of(path)
    elif default is None or default in ((), {}):
        assert comment_of(path).startswith(
            ("none", "left out", "namespaces", "squash")
        ) or "left out" in comment_of(path)
    elif not isinstance(default, BaseModel):
        whole = KfopsFile.model_validate_json(json.dumps(TREE.value))
        assert value_of(whole, path) == default


def value_of(here, path):
    for part in path:
        here = here[part] if isinstance(here, dict | tuple) else getattr(here, part)
    return here
