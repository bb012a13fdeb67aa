"""Every call that may change something outside or in the ledger is a point; at any of them the process may die.

What only reads is listed; whatever else a port has is a point. So a new effect is in the matrix by itself. Between two
points nothing changes, so to die after the one and before the other is the same death: a story with n points has
n + 1 places to die at.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any

from kfops.domain.operation import Operation
from kfops.workflow.context import Ports

READS = {
    "forge": (
        "repository pull_request reviews is_up_to_date changed_files permission in_team comment comments_since"
        " find_comment find_issue branch_head find_deployment labelled required_checks file checkout remember close calls client"
    ),
    "ledger": (
        "operation open_operations signals head runs revisions fork_allowed held trail verify next_due cursor"
        " repositories knows_comment renew close database"
        " active_revisions locks recent clock_offset"
    ),
    "environments": "packages packages_of",
    "images": "find",
    "pipelines": "compile find status outputs",
    "models": "adopt version_of by_alias fetch",
    "scoring": "compare questions judge",
    "serving": "observe ask url",
    "traffic": "counts standstill",
    "store": "path",
    "clock": "now",
}


UNFAILING = frozenset({"clock.now", "ledger.claim"})


class Defect(KeyError):  # noqa: N818 - as it is called here
    """What nobody foresaw."""


class Died(BaseException):
    """kill -9, as far as one process can play it on itself: nothing catches this."""


@dataclass(frozen=True)
class Point:
    """`effect`: the port's method, with the name of the effect that it writes down; `nth` of that name in the story."""

    effect: str
    nth: int


@dataclass
class Watch:
    """Notes the points that are passed; ends the process, or lets it `sleep`, once: after so many of them.

    `dies_upon`: or after the first whose name begins so.
    """

    passed: list[Point] = field(default_factory=list)
    dies_after: int | None = None
    dies_upon: str = "nothing"
    pauses_after: int | None = None
    sleep: Callable[[], None] = lambda: None
    strikes_at: int | None = None
    strikes_with: type[Exception] = KeyError
    calls: list[str] = field(default_factory=list)  # every one that can fail, reading or not
    unclaimed: set[str] = field(default_factory=set)  # what was called without the claim of an operation
    _seen: Counter[str] = field(default_factory=Counter)

    def pass_by(self, effect: str, do: Callable[[], Any]) -> Any:
        self._or_die(len(self.passed))
        self._seen[effect] += 1
        self.passed.append(Point(effect, self._seen[effect]))
        result = do()
        if effect.startswith(self.dies_upon):
            self.dies_after, self.dies_upon = len(self.passed), "nothing"
        self._or_die(len(self.passed))
        return result

    def come_to(self, call: str) -> None:
        """Before each call; the clock does not fail, and who claims nothing has nothing to lose."""
        if call in UNFAILING:
            return
        self.calls.append(call)
        if len(self.calls) == self.strikes_at:
            raise self.strikes_with(f"the {self.strikes_at}. call, {call}")

    def _or_die(self, number: int) -> None:
        if number == self.dies_after:
            self.dies_after = None
            raise Died
        if number == self.pauses_after:
            self.pauses_after = None
            self.sleep()

    def over(self, ports: Ports) -> Ports:
        """The same ports, watched."""
        found = {one.name: getattr(ports, one.name) for one in fields(ports)}
        return Ports(**{name: Watched(name, port, self) if port else None for name, port in found.items()})


class Watched:
    """A port, whose every call that is no read goes by the watch."""

    def __init__(self, name: str, port: Any, watch: Watch) -> None:
        self._name, self._port, self._watch = name, port, watch
        self._reads = frozenset(READS[name].split())

    def __getattr__(self, method: str) -> Any:
        found = getattr(self._port, method)
        if not callable(found):
            return found

        def call(*given: Any, **named: Any) -> Any:
            effect = f"{self._name}.{method}"
            self._watch.come_to(effect)
            if method in self._reads:
                return found(*given, **named)
            if method in {"effect_about", "effect_done"}:
                effect = f"{effect} {given[1]}"
            if not any(isinstance(one, Operation) for one in (*given, *named.values())):
                self._watch.unclaimed.add(effect)
            return self._watch.pass_by(effect, lambda: found(*given, **named))

        return call
