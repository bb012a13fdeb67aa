"""Reason codes: the code, the documentation and the tests know the same ones."""

from __future__ import annotations

import ast
from functools import lru_cache
from pathlib import Path

import pytest

from kfops.config.overrides import Wrong
from kfops.config.who import Who
from kfops.domain.operation import Kind
from kfops.domain.pull_request import Permission
from kfops.rules.gate import floor
from kfops.rules.reasons import MEANING, ReasonCode, reasons_table

ROOT = Path(__file__).parents[2]


@lru_cache(maxsize=1)
def expected_by_tests() -> frozenset[str]:
    """Codes that a test outside of this folder expects: as a value, as ReasonCode.NAME, or quoted in a reply."""
    found = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        if path.parent.name == "docs":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value.strip("`"))
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                found.add(node.attr.lower() if node.value.id == "ReasonCode" else "")
    return frozenset(found)


def named_in_code() -> frozenset[str]:
    """Codes that something in the bot gives; the enum itself and its meanings do not count."""
    found = set()
    for path in (ROOT / "bot" / "kfops").rglob("*.py"):
        if path.name != "reasons.py":
            for node in ast.walk(ast.parse(path.read_text())):
                if (
                    isinstance(node, ast.Attribute)
                    and isinstance(node.value, ast.Name)
                    and node.value.id == "ReasonCode"
                ):
                    found.add(node.attr.lower())
    return frozenset(found | {one.value for one in Wrong})


def test_the_readme_lists_every_code_with_its_meaning():
    assert reasons_table().strip() in (ROOT / "README.md").read_text()


def test_every_code_has_a_meaning():
    assert list(MEANING) == list(ReasonCode)


def test_every_code_is_given_somewhere_and_no_other():
    assert named_in_code() == {code.value for code in ReasonCode}


@pytest.mark.parametrize("code", ReasonCode, ids=str)
def test_a_test_expects_every_code(code):
    assert code.value in expected_by_tests(), f"no test expects {code.value}"


def test_r9_who_lets_a_fork_run_is_told_as_the_gate_has_it():
    assert floor(Kind.OK_TO_TEST) == (Who(Permission.WRITE),)
    assert "somebody who may write says /ok-to-test" in MEANING[ReasonCode.FORK_NEEDS_OK]
