"""Catalogue, JSON, identifiers, durations: what stands around the parser."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.test_command_parse import MISREAD, UNDERSTOOD

from kfops.cli.desk import assignments
from kfops.cli.exits import Stop
from kfops.command import identifiers, model, serialise
from kfops.command.catalog import ENTRIES, entry_of, find, keys_needed
from kfops.command.duration import LONGEST, format_duration, parse_duration
from kfops.command.identifiers import InvalidValue
from kfops.command.nearness import distance, nearest
from kfops.command.parse import parse, parse_line
from kfops.command.table import commands_table
from kfops.config.errors import ConfigError
from kfops.config.load import rules_of
from kfops.domain.operation import Kind
from kfops.domain.pull_request import Permission

COMMANDS = get_args(model.Command)


def test_every_command_has_an_entry_and_every_entry_a_command():
    assert [one.kind for one in COMMANDS if one.kind] == [entry.kind for entry in sorted(ENTRIES, key=_order)]
    assert {entry.kind for entry in ENTRIES} == set(Kind) - {Kind.MISTAKE, Kind.RETRAIN}


def _order(entry):
    return [one.kind for one in COMMANDS].index(entry.kind)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_examples_are_understood(entry):
    for example in entry.examples:
        command = parse_line(example)
        assert not isinstance(command, model.Problem), example
        assert entry_of(command) is entry


def test_names_with_underscore_and_hyphen_are_equal():
    assert find("build-run") is find("build_run")
    assert find("build-run").aliases == ("build-run",)
    assert find("ok_to_test").name == "ok-to-test"
    assert find("Build_run") is None


def test_usage_lines():
    usages = {entry.name: entry.usage for entry in ENTRIES}
    assert usages["build_run"] == "/build_run [--set NAME=VALUE]…"
    assert usages["deploy"] == '/deploy [ENV] [--run ID] [--sha SHA] [--force[=GATE,…]] [--reason "…"]'
    assert usages["rollback"] == '/rollback [ENV] [--to REVISION] --reason "…"'
    assert usages["lock"] == '/lock ENV --reason "…" [--for DURATION]'


def test_r6_who_by_default():
    roles = {entry.name: entry.permission for entry in ENTRIES}
    assert roles["deploy"] is Permission.MAINTAIN
    assert roles["canary"] is Permission.MAINTAIN
    assert {roles[name] for name in ("build", "run", "build_run", "staging_deploy", "rollback")} == {
        Permission.WRITE
    }
    assert {roles[name] for name in ("help", "status", "plan")} == {Permission.READ}


def test_r19_force_needs_a_role_of_its_own():
    forced = model.Deploy(force=(model.Skip.CHECKS,), reason="x")
    assert keys_needed(forced) == ("deploy", "force")
    assert keys_needed(model.Deploy()) == ("deploy",)
    assert keys_needed(model.CanaryControl(model.CanaryAction.STATUS)) == ()
    assert keys_needed(model.CanaryControl(model.CanaryAction.ABORT)) == ("deploy",)


def test_r19_nothing_that_guards_who_or_what_can_be_forced():
    assert {skip.value for skip in model.Skip} == {"up-to-date", "checks", "approval", "staging", "gates"}


@pytest.mark.parametrize("text", [row[0] for row in (*UNDERSTOOD.values(), *MISREAD.values())])
def test_json_there_and_back(text):
    for value in parse(text):
        stored = json.dumps(serialise.to_json(value))
        assert serialise.from_json(json.loads(stored)) == value


REFUSED = {
    "nothing": {},
    "unknown kind": {"kind": "explode"},
    "kind that is no text": {"kind": ["deploy"]},
    "unknown field": {"kind": "deploy", "shell": "rm"},
    "missing field": {"kind": "rollback"},
    "environment that is no identifier": {"kind": "deploy", "environment": "$(id)"},
    "environment that is no text": {"kind": "deploy", "environment": 3},
    "environment that is nothing": {"kind": "deploy", "environment": None},
    "sha": {"kind": "ok_to_test", "sha": "HEAD"},
    "sha with a line end": {"kind": "ok_to_test", "sha": "0" * 40 + "\n"},
    "set that is no list": {"kind": "run", "set": {"a": "1"}},
    "set of three": {"kind": "run", "set": [["a", "1", "2"]]},
    "set of a number": {"kind": "run", "set": [["a", 1]]},
    "control characters": {"kind": "run", "set": [["a", "\x1b[2J"]]},
    "bidi override": {"kind": "run", "set": [["a", "\u202eevil"]]},
    "force without a reason": {"kind": "deploy", "force": ["checks"]},
    "force of the lock": {"kind": "deploy", "force": ["lock"], "reason": "x"},
    "force that is text": {"kind": "deploy", "force": "checks", "reason": "x"},
    "action": {"kind": "canary", "action": "explode"},
    "operation": {"kind": "cancel", "operation": "42"},
    "operation that is a boolean": {"kind": "cancel", "operation": True},
    "negative operation": {"kind": "cancel", "operation": -1},
    "length": {"kind": "lock", "environment": "p", "reason": "x", "for_": 7200},
    "plan of a plan": {"kind": "plan", "command": {"kind": "plan", "command": {"kind": "help"}}},
    "plan of nothing": {"kind": "plan", "command": None},
    "plan of something wrong": {"kind": "plan", "command": {"kind": "deploy", "environment": ".."}},
}


@pytest.mark.parametrize("stored", REFUSED.values(), ids=REFUSED)
def test_r4_what_is_read_back_passes_the_same_checks(stored):
    with pytest.raises(InvalidValue):
        serialise.from_json(stored)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(
    st.sampled_from(list(Kind)),
    st.dictionaries(st.sampled_from(["set", "run", "to", "command", "for_", "sha"]), _JSON),
)
@settings(max_examples=200, deadline=None)
def test_reading_back_gives_a_command_or_says_what_is_wrong(kind, fields):
    try:
        command = serialise.from_json({"kind": kind.value, **fields})
    except InvalidValue:
        return
    assert serialise.from_json(serialise.to_json(command)) == command


@pytest.mark.parametrize("name", ["a", "A", "0", "a.b_c-d", "a" * 63])
def test_r4_identifiers(name):
    assert identifiers.is_identifier(name)


@pytest.mark.parametrize(
    "name", ["", "-a", ".a", "_a", "a" * 64, "a b", "a/b", "é", "а", "a\n", "a\x00", "１"]
)
def test_r4_what_is_no_identifier(name):
    assert not identifiers.is_identifier(name)


@pytest.mark.parametrize("name", ["-a", ".a", "_a", "a" * 64, "a/b", "é", "а", "a\x00", "１"])
def test_r4_every_door_has_the_same_idea_of_a_name(name):
    """The comment, the command line, the configuration, and what is read back from the ledger."""
    assert isinstance(parse_line(f"/unlock {name}"), model.Problem)
    with pytest.raises(Stop):
        assignments([f"{name}=1"])
    with pytest.raises(ConfigError):
        rules_of(json.dumps({"model": "m", "overridable": [name]}), repository_name="acme/m")
    with pytest.raises(identifiers.InvalidValue):
        serialise.from_json({"kind": "unlock", "environment": name})


@pytest.mark.parametrize("name", ["", "A", "1a", "a-", "-a", "a.b", "a_b", "a" * 64, "a\n"])
def test_what_is_no_dns_label(name):
    assert not identifiers.is_dns_label(name)


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("500ms", timedelta(milliseconds=500)),
        ("30s", timedelta(seconds=30)),
        ("5m", timedelta(minutes=5)),
        ("2h", timedelta(hours=2)),
        ("7d", timedelta(days=7)),
        ("1h30m", timedelta(minutes=90)),
        ("0s", timedelta()),
        ("366d", LONGEST),
    ],
)
def test_durations(text, length):
    assert parse_duration(text) == length


@pytest.mark.parametrize(
    "text", ["", "5", "5 m", "-5m", "5min", "m", "30m1h", "1.5h", "5M", "５m", "367d", "5m\n"]
)
def test_what_is_no_duration(text):
    assert parse_duration(text) is None


@given(st.integers(0, 366 * 24 * 3600 * 1000))
def test_durations_there_and_back(milliseconds):
    length = timedelta(milliseconds=milliseconds)
    assert parse_duration(format_duration(length)) == length


def test_distance_counts_a_swap_as_one():
    assert distance("deplyo", "deploy") == 1
    assert distance("kitten", "sitting") == 3
    assert distance("", "abc") == 3


def test_short_words_are_near_nothing():
    assert nearest("q", ["a"]) is None
    assert nearest("statsu", ["status", "staging"]) == "status"
    assert nearest("x" * 100_000, ["status"]) is None


def test_table_has_a_row_for_each_command():
    lines = commands_table().splitlines()
    assert len(lines) == len(ENTRIES) + 2
    assert all(line.count("|") == 4 for line in lines)
    assert "| `/status` | what runs, what serves where" in commands_table()
