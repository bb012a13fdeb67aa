"""Every rule of trust is proved by tests that carry its number."""

from __future__ import annotations

from tests.support.rules import RULES, Carried, carried, gaps, listed


def test_no_rule_is_without_tests():
    assert gaps(carried()) == []


def test_every_rule_is_listed_with_its_tests():
    text = "\n".join(listed(carried()))

    assert all(f"\n{rule} " in f"\n{text}" for rule in RULES)


def test_a_gap_is_told():
    only = Carried("tests/x.py:1", "test_r1_x", ("R1",), allows=True, refuses=False)
    strange = Carried("tests/x.py:1", "test_r99_x", ("R99",), allows=True, refuses=True)
    found = gaps((only, strange))

    assert "R1: no test shows what it stops" in found
    assert "R2: no test carries its number" in found
    assert "R99: there is no such rule" in found
