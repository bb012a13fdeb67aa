"""`kfops doctor`: findings as lines and as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from kfops.cli.exits import Exit, Stop


class Finding(Protocol):
    """One thing looked at; `problem` is empty where all is well."""

    @property
    def what(self) -> str: ...

    @property
    def problem(self) -> str: ...

    @property
    def fix(self) -> str: ...

    @property
    def is_grave(self) -> bool: ...


def told(findings: Iterable[Finding]) -> tuple[dict[str, Any], list[str]]:
    """Stop where something keeps the bot from its work, with everything that was found."""
    found = list(findings)
    lines = [line for one in found for line in _lines(one)]
    told = {
        "findings": [
            {"what": one.what, "problem": one.problem, "fix": one.fix, "is_grave": one.is_grave}
            for one in found
        ]
    }
    if any(one.problem and one.is_grave for one in found):
        raise Stop(Exit.ENGINE, *lines, detail=told)
    return told, lines


def _lines(one: Finding) -> list[str]:
    if not one.problem:
        return [f"ok    {one.what}"]
    word = "wrong" if one.is_grave else "note "
    return [f"{word} {one.what}: {one.problem}", *([f"      {one.fix}"] if one.fix else [])]
