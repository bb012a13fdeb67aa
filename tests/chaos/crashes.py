"""The crash matrix: every story dies before and after every point, comes up again, and must end as if nothing had been."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tests.chaos.ending import difference
from tests.chaos.playing import Played, at_once, play
from tests.chaos.points import Point, Watch
from tests.chaos.stories import Shelf, Story
from tests.support.world import World

Choice = Callable[[Sequence[Point]], list[int]]
NOTHING = Point("-", 0)


@dataclass(frozen=True)
class Crashed:
    """One story with one death, after the point `after` and before the point `before`."""

    story: str
    after: Point
    before: Point
    lost: tuple[str, ...]
    doubled: tuple[str, ...]
    wrong: tuple[str, ...]

    @property
    def is_well(self) -> bool:
        return not (self.lost or self.doubled or self.wrong)

    def __str__(self) -> str:
        found = [
            *(f"lost {one}" for one in self.lost),
            *(f"doubled {one}" for one in self.doubled),
            *self.wrong,
        ]
        between = f"{self.after.effect} ({self.after.nth}.) and {self.before.effect} ({self.before.nth}.)"
        return f"{self.story}: died between {between}: {'; '.join(found) or 'well'}"


def clean(shelf: Shelf, story: Story) -> Played:
    """The story without a death: what every death is held against. Played once."""
    if story.name not in shelf.played:
        shelf.set_up(story.base)
        played = play(shelf.world, story)
        assert not played.broken, played.broken
        shelf.played[story.name] = played
    found: Played = shelf.played[story.name]
    return found


def everywhere(passed: Sequence[Point]) -> list[int]:
    return list(range(len(passed) + 1))


def each_pair(passed: Sequence[Point]) -> list[int]:
    """Between any two effects that follow one another, the first time and the last: in between it is the same again."""
    pairs = list(enumerate(zip([NOTHING, *passed], [*passed, NOTHING], strict=True)))
    first = {(one.effect, other.effect): number for number, (one, other) in reversed(pairs)}
    last = {(one.effect, other.effect): number for number, (one, other) in pairs}
    return sorted({*first.values(), *last.values()})


def each_named(passed: Sequence[Point]) -> list[int]:
    """Before, within and after each effect that has a name: what is written down before and after it is done."""
    named = [number for number, point in enumerate(passed) if point.effect.startswith("ledger.effect_")]
    return sorted({*named, *(number + 1 for number in named)})


def crash(
    shelf: Shelf,
    story: Story,
    expected: Played,
    places: Sequence[int],
    take_over: Callable[[World], None] = at_once,
) -> Iterator[Crashed]:
    passed = [NOTHING, *expected.watch.passed, NOTHING]
    for place in places:
        shelf.set_up(story.base)
        played = play(shelf.world, story, Watch(dies_after=place), take_over=take_over)
        assert played.deaths == 1, f"{story.name} did not come to {passed[place]}"
        other = [
            pair
            for pair in zip([NOTHING, *played.watch.passed], passed[: place + 1], strict=False)
            if len({*pair}) > 1
        ]
        assert not other, f"a story plays the same each time, and {other[0][0]} came instead of {other[0][1]}"
        found = difference(played.ending, expected.ending)
        wrong = (*found.wrong, *played.broken)
        yield Crashed(story.name, passed[place], passed[place + 1], found.lost, found.doubled, wrong)
