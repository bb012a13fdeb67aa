"""What a gate says: go on, or the first thing that stands in the way."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kfops.rules.reasons import ReasonCode


@dataclass(frozen=True)
class Proceed:
    pass


@dataclass(frozen=True)
class Reject:
    """A refusal as the person sees it: the rule, what was found, what was expected, and a line that mends it."""

    code: ReasonCode
    sentence: str
    found: str = ""
    expected: str = ""
    fix: str = ""


Decision = Proceed | Reject


def first(*checks: Iterable[Reject]) -> Decision:
    """The checks are lazy: none is asked after the first that refuses."""
    for check in checks:
        for reject in check:
            return reject
    return Proceed()
