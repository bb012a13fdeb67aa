"""`make chaos`: every matrix in full, printed as a table. Ends with 1 when anything was lost, doubled or unpinned.

python -m tests.chaos [--crashes everywhere|each_pair|each_named] [--deliveries N] [--only WORDS] [--every N]
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import structlog

from tests.chaos import crashes
from tests.chaos.crashes import Crashed, clean
from tests.chaos.flood import flood
from tests.chaos.interleavings import MEDDLINGS, Tried, meddle, pause, weather
from tests.chaos.shuffled import shuffle
from tests.chaos.stories import BY_NAME, STORIES, Shelf
from tests.support.weather import Fault
from tests.support.world import world

STEERED = ("first run", "staging deploy", "first deploy", "deploy beside a champion")
PAUSED = ("first run", "staging deploy", "first deploy", "deploy beside a champion", "rollback")
SEEDS = 100
EFFECT = "{:<44} {:>6} {:>6} {:>6} {:>8}"
ROW = "{:<44} {:<28} {:>6} {:>6} {:>8} {:>9} {:>7}"


class Table:
    """Rows as they come, and what was not well below each."""

    def __init__(self) -> None:
        self.tried = self.bad = 0
        self._crashed: list[Crashed] = []
        self._say(
            ROW.format("story", "what came in between", "tried", "lost", "doubled", "unpinned", "broken")
        )

    def row(self, name: str, what: str, found: Iterable[Crashed | Tried]) -> None:
        seen = list(found)
        if not seen:
            return
        self._crashed += [one for one in seen if isinstance(one, Crashed)]
        counts = [
            sum(bool(one.lost) for one in seen),
            sum(bool(one.doubled) for one in seen),
            sum(isinstance(one, Tried) and bool(one.unpinned) for one in seen),
            sum(bool(one.wrong if isinstance(one, Crashed) else one.broken) for one in seen),
        ]
        self.line(name, what, len(seen), counts)
        for one in seen:
            if not one.is_well:
                self._say(f"    {one}")

    def line(self, name: str, what: str, tried: int, counts: list[int]) -> None:
        self.tried += tried
        self.bad += sum(counts)
        self._say(ROW.format(name[:44], what[:28], tried, *counts))

    def effects(self) -> None:
        """The deaths once more, by the effect that they came before or after."""
        self._say(EFFECT.format("effect", "before", "after", "lost", "doubled"))
        for name in sorted(
            {point.effect for one in self._crashed for point in (one.after, one.before)} - {"-"}
        ):
            before = [one for one in self._crashed if one.before.effect == name]
            after = [one for one in self._crashed if one.after.effect == name]
            found = {*before, *after}
            lost, doubled = sum(bool(one.lost) for one in found), sum(bool(one.doubled) for one in found)
            self._say(EFFECT.format(name, len(before), len(after), lost, doubled))

    @staticmethod
    def _say(text: str) -> None:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()


def main() -> int:
    asked = _arguments()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    table = Table()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        for name in ("world", "flooded"):
            (place / name).mkdir()
        with world(place / "world", requires=("approval",)) as here:
            (place / "shelf").mkdir()
            shelf = Shelf(here, place / "shelf")
            for name, what, found in _matrices(shelf, asked):
                table.row(name, what, found)
        with world(place / "flooded") as here:
            seen = flood(here, asked.deliveries)
        refused = sum(count for status, count in seen.answers.items() if status != 202)
        lost = seen.lost + seen.distinct - seen.stored
        table.line("a flood", "doubled and shuffled", seen.deliveries, [lost, seen.doubled, 0, refused])
    table.effects()
    sys.stdout.write(f"{table.tried} tried, {table.bad} not well\n")
    return 1 if table.bad else 0


def _matrices(
    shelf: Shelf, asked: argparse.Namespace
) -> Iterator[tuple[str, str, Iterable[Crashed | Tried]]]:
    every = asked.every
    choice = getattr(crashes, asked.crashes)
    for story in STORIES:
        if asked.only in story.name:
            expected = clean(shelf, story)
            places = choice(expected.watch.passed)[::every]
            yield story.name, "a death", crashes.crash(shelf, story, expected, places)
    for name in STEERED:
        if asked.only not in name:
            continue
        story = BY_NAME[name]
        expected = clean(shelf, story)
        steps, calls = (
            range(1, expected.steps + 1, every),
            range(1, expected.calls + 1, every),
        )
        for meddling in MEDDLINGS:
            yield name, meddling.name, meddle(shelf, story, meddling, steps)
        for fault in Fault:
            yield name, f"the forge: {fault}", weather(shelf, story, expected, fault, calls)
    for name in PAUSED:
        if asked.only in name:
            story = BY_NAME[name]
            yield name, "a pause past the lease", pause(shelf, story, clean(shelf, story), every)
    yield "a shuffled post", "every delivery twice", (shuffle(shelf, seed) for seed in range(0, SEEDS, every))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos")
    choices = ["everywhere", "each_pair", "each_named"]
    parser.add_argument("--crashes", default="everywhere", choices=choices, help="where the process dies")
    parser.add_argument("--deliveries", type=int, default=100_000)
    parser.add_argument("--only", default="", help="stories with these words in their name")
    parser.add_argument("--every", type=int, default=1, help="only each N-th place, step and call")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
