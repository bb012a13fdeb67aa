"""The matrices as shares of work: each can be played by any process that has a world, in any order, and once.

A share is one story with one kind of thing in between, at some of the places. What became of it is a `Result` that
can be written down, so that what was interrupted goes on where it was.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from kfops.ports.errors import Unavailable
from tests.chaos import crashes
from tests.chaos.crashes import Crashed, clean, crash
from tests.chaos.interleavings import MEDDLINGS, Tried, calls_of, meddle, pause, strike, weather, writes_of
from tests.chaos.playing import Played, at_once, when_the_lease_is_over
from tests.chaos.points import Defect
from tests.chaos.shuffled import shuffle
from tests.chaos.stories import BY_NAME, STORIES, Shelf, Story
from tests.support.weather import Fault

STEERED = ("first run", "staging deploy", "first deploy", "deploy beside a champion")
PAUSED = (*STEERED, "rollback")
STRUCK = ("first run", "run that takes long", "deploy beside a champion", "canary aborted", "rollback")
LONG = ("run that takes long",)  # most of it is the same second again and again
ENGINES = ("pipelines", "serving", "models")
DEATH, LATE = "a death", "a death, taken over late"
PAUSE, POST = "a pause past the lease", "every delivery twice"
SHUFFLED = "a shuffled post"
SEEDS = 100
AT_ONCE = 20  # cases in one share
AWAY, DEFECT = "an engine is away", "a defect"
ERRORS: dict[str, type[Exception]] = {AWAY: Unavailable, DEFECT: Defect}
STRIDES = {AWAY: 2, DEFECT: 4}  # of their many calls only each so many
TAKE_OVER = {DEATH: at_once, LATE: when_the_lease_is_over}


@dataclass(frozen=True)
class Share:
    """`places`: of deaths, steps, calls or writes of the story, or seeds of the post."""

    story: str
    what: str
    places: tuple[int, ...]

    @property
    def name(self) -> str:
        return f"{self.story}|{self.what}|{','.join(map(str, self.places))}"


@dataclass(frozen=True)
class Result:
    """`effects`: for each death the effect after which and the one before which it came, and whether all was well."""

    tried: int
    lost: int
    doubled: int
    unpinned: int
    broken: int
    told: tuple[str, ...]  # what was not well, as sentences
    effects: tuple[tuple[str, str, bool, bool], ...] = ()


def plan(shelf: Shelf, *, everywhere: str, only: str, every: int) -> Iterator[Share]:
    """`everywhere`: the choice of `crashes` by which deaths are placed."""
    choice: Callable[..., list[int]] = getattr(crashes, everywhere)
    for story in (one for one in STORIES if only in one.name):
        yield from _deaths(story, clean(shelf, story), choice, every)
    for name in (one for one in STEERED if only in one):
        expected = clean(shelf, BY_NAME[name])
        for meddling in MEDDLINGS:
            yield from _shares(name, meddling.name, range(1, expected.steps + 1, every))
        for fault in Fault:
            yield from _shares(name, _of_weather(fault), range(1, expected.calls + 1, every))
    for name in (one for one in PAUSED if only in one):
        yield from _shares(name, PAUSE, writes_of(clean(shelf, BY_NAME[name]))[::every])
    for name in (one for one in STRUCK if only in one):
        expected = clean(shelf, BY_NAME[name])
        for what, calls in ((AWAY, calls_of(expected, ENGINES)), (DEFECT, calls_of(expected))):
            yield from _shares(name, what, calls[:: every * STRIDES[what]])
    if only in SHUFFLED:
        yield from _shares(SHUFFLED, POST, range(0, SEEDS, every))


def _deaths(story: Story, expected: Played, choice: Callable[..., list[int]], every: int) -> Iterator[Share]:
    passed = expected.watch.passed
    places = crashes.each_pair(passed) if story.name in LONG else choice(passed)
    yield from _shares(story.name, DEATH, places[::every])
    if story.midway is None:
        yield from _shares(story.name, LATE, crashes.each_named(passed)[::every])


def play(shelf: Shelf, share: Share) -> Result:
    """One that comes to no end at all is told too, and holds up no other."""
    seen: list[Crashed | Tried] = []
    for place in share.places:
        try:
            seen += _played(shelf, share, [place])
        except Exception:  # noqa: BLE001 - whatever it is, it is what was looked for
            told = traceback.format_exc(limit=-4)
            seen.append(Tried(share.story, f"{share.what} at {place}", broken=(told,)))
    return Result(
        len(seen),
        sum(bool(one.lost) for one in seen),
        sum(bool(one.doubled) for one in seen),
        sum(isinstance(one, Tried) and bool(one.unpinned) for one in seen),
        sum(bool(one.wrong if isinstance(one, Crashed) else one.broken) for one in seen),
        tuple(str(one) for one in seen if not one.is_well),
        tuple(
            (one.after.effect, one.before.effect, bool(one.lost), bool(one.doubled))
            for one in seen
            if isinstance(one, Crashed)
        ),
    )


def _played(shelf: Shelf, share: Share, places: Sequence[int]) -> Iterable[Crashed | Tried]:
    if share.what == POST:
        return (shuffle(shelf, seed) for seed in places)
    story = BY_NAME[share.story]
    expected = clean(shelf, story)
    if share.what in TAKE_OVER:
        return crash(shelf, story, expected, places, TAKE_OVER[share.what])
    if share.what == PAUSE:
        return pause(shelf, story, expected, places)
    if share.what in ERRORS:
        return strike(shelf, story, expected, ERRORS[share.what], places)
    for meddling in MEDDLINGS:
        if share.what == meddling.name:
            return meddle(shelf, story, meddling, places)
    fault = next(one for one in Fault if share.what == _of_weather(one))
    return weather(shelf, story, expected, fault, places)


def _of_weather(fault: Fault) -> str:
    return f"the forge: {fault}"


def _shares(story: str, what: str, places: Iterable[int]) -> Iterator[Share]:
    coming = iter(places)
    while taken := tuple(islice(coming, AT_ONCE)):
        yield Share(story, what, taken)
