"""The schema that editors use is the model's own."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from tests.unit.test_config_load import SMALLEST, VALUES, WHOLE

from kfops.config.errors import ConfigError
from kfops.config.load import load
from kfops.config.model import KfopsFile
from kfops.config.schema import documentation, schema, schema_text
from kfops.config.tree import read_tree

STORED = Path(__file__).parents[2] / "config_schema" / "kfops.schema.json"


def test_stored_schema_is_not_stale():
    assert STORED.read_text(encoding="utf-8") == schema_text(), "run `make schema`"


def test_schema_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(schema())


def test_every_key_is_explained():
    described = [schema(), *schema()["$defs"].values()]
    missing = [
        key
        for one in described
        for key, content in one.get("properties", {}).items()
        if not content.get("description")
    ]
    assert missing == []
    assert documentation()["Canary"]["hold"] == "The shortest that a step lasts."


def errors_of(text):
    validator = jsonschema.Draft202012Validator(json.loads(schema_text()))
    return list(validator.iter_errors(read_tree(text, "kfops.yaml").value))


@pytest.mark.parametrize("text", [SMALLEST, WHOLE])
def test_what_we_understand_the_schema_allows(text):
    load(text)
    assert errors_of(text) == []


# What a schema cannot know: two keys read together, and sums of what one pattern allows.
BEYOND_A_SCHEMA = {
    "no timeout",
    "falling steps",
    "cron",
    "cron of four",
    "cron with a step of nothing",
    "cron of a day that never comes",
    "cron with seconds",
    "cron with a name",
    "replicas",
    "two of one namespace",
    "staging before itself",
    "staging that is not there",
    "target that is ignored",
    "image twice",
}


@pytest.mark.parametrize("name", [name for name in VALUES if name not in BEYOND_A_SCHEMA])
def test_what_we_refuse_the_schema_refuses(name):
    text = SMALLEST + VALUES[name][0] + "\n"
    with pytest.raises(ConfigError):
        load(text)
    assert errors_of(text)


def test_defaults_in_the_schema_are_the_models():
    defaults = schema()["$defs"]["Canary"]["properties"]
    smallest = KfopsFile.model_validate_json(json.dumps(read_tree(SMALLEST, "").value))
    dumped = smallest.model_dump(mode="json")["deployment"]["canary"]
    assert {key: content["default"] for key, content in defaults.items()} == dumped
