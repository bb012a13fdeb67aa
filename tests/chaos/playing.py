"""Playing a story to its end, through deaths and whatever else happens on the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kfops.workflow import closing
from tests.chaos.ending import Ending, ending
from tests.chaos.invariants import Invariants
from tests.chaos.points import Defect, Died, Watch
from tests.chaos.stories import Story
from tests.support.world import World

Act = Callable[[World, int], None]


@dataclass(frozen=True)
class Played:
    ending: Ending
    broken: tuple[str, ...]
    watch: Watch
    steps: int
    deaths: int
    calls: int  # to the forge


def quiet(_world: World, _step: int) -> None:
    """Nothing happens."""


def nothing_else(_world: World) -> None:
    """It is over."""


def swept(world: World) -> None:
    """What is looked at once more after the end has been."""
    world.turn(closing.AGAIN)
    world.sweep()


def at_once(world: World) -> None:
    """A bot that is the only one need not wait for the leases of the one before."""
    world.ledger.end_leases()


def when_the_lease_is_over(_world: World) -> None:
    """As another replica does."""


def play(
    world: World,
    story: Story,
    watch: Watch | None = None,
    act: Act = quiet,
    take_over: Callable[[World], None] = at_once,
    afterwards: Callable[[World], None] = nothing_else,
) -> Played:
    """`act` is called before each step of the whole story, with its number; `story.midway` at its own moment. What has a
    defect outside of a step is left to the next worker, as `Workers` does.
    """
    watch = watch or Watch()
    invariants = Invariants(world)
    waiting = story.midway
    steps = deaths = 0
    world.unwatched, world.ports = world.ports, watch.over(world.ports)
    world.comment(story.number, story.text, by=story.by)
    while True:
        try:
            for _ in world.walk():
                steps += 1
                invariants.look()
                if waiting and waiting.when(world):
                    waiting.does(world, story.number)
                    waiting = None
                act(world, steps)
            break
        except Died:
            deaths += 1
            world.restart()
            take_over(world)
            world.unwatched, world.ports = world.ports, watch.over(world.ports)
        except Defect:
            continue
    afterwards(world)
    invariants.end()
    return Played(ending(world), tuple(invariants.broken), watch, steps, deaths, len(world.weather.calls))
