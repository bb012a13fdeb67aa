"""What happened so far: told as it happens, kept for the report, and held against what the scene expects."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

T = TypeVar("T")


class SceneError(Exception):
    """The scene cannot go on; the text says what was waited for and what was seen last."""


@dataclass(frozen=True)
class Moment:
    """`at_s`: seconds since the scene began."""

    at_s: float
    pull_request: int | None
    what: str


@dataclass(frozen=True)
class Expectation:
    what: str
    holds: bool
    found: str


@dataclass
class Story:
    """The timeline, and each expectation with what was found."""

    say: Callable[[str], object] = print
    began: float = field(default_factory=time.monotonic)
    moments: list[Moment] = field(default_factory=list)
    expectations: list[Expectation] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began

    @property
    def is_as_expected(self) -> bool:
        return bool(self.expectations) and all(one.holds for one in self.expectations)

    def tell(self, what: str, pull_request: int | None = None) -> None:
        moment = Moment(round(self.seconds, 1), pull_request, what)
        self.moments.append(moment)
        place = f"#{pull_request}" if pull_request else "  "
        self.say(f"{moment.at_s:6.1f} s  {place:<3} {what}")

    def expect(self, holds: bool, what: str, found: object = "") -> None:
        self.expectations.append(Expectation(what, holds, str(found)))
        if not holds:
            self.tell(f"NOT AS EXPECTED: {what}; found: {found}")


def wait_for(
    look: Callable[[], T | None], what: str, within_s: float, *, every_s: float = 0.3, last: Callable[[], str]
) -> T:
    """The first thing that `look` finds. SceneError past the deadline, with what `last` has to say."""
    until = time.monotonic() + within_s
    while True:
        found = look()
        if found is not None:
            return found
        if time.monotonic() > until:
            raise SceneError(f"waited {within_s:.0f} s for {what}.\n{last()}")
        time.sleep(every_s)
