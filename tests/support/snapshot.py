"""A world as it is at one moment, to come back to: what lies in its folder, and what its engines hold in memory."""

from __future__ import annotations

import copy
import shutil
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from tests.support.people import REPOSITORY
from tests.support.world import World

from kfops.playground.state import State


@dataclass(frozen=True)
class Snapshot:
    folder: Path
    memory: dict[str, Any] = field(repr=False)


def take(world: World, folder: Path) -> Snapshot:
    """The bot's process restarts on the way, so that the ledger's file is whole."""
    world.ledger.close()
    shutil.copytree(world.folder, folder)
    world.restart()
    return Snapshot(folder, _copied(_memory(world)))


def put_back(world: World, snapshot: Snapshot) -> None:
    """The world is as it was then; its bot has just come up."""
    world.ledger.close()
    shutil.rmtree(world.folder)
    shutil.copytree(snapshot.folder, world.folder)
    memory = _copied(snapshot.memory)
    playground = world.playground
    playground.state = memory["state"]
    playground.outbox._state = memory["state"]
    world.repository = playground.repository(REPOSITORY)
    world.mail[:] = memory["mail"]
    world.weather.calls.clear()
    world.is_mail_held = False
    world.clock.at = memory["at"]
    world.asked, world.failed = memory["asked"]
    world.pipelines.runs = memory["runs"]
    world.models.restore(memory["models"])
    world.serving_engine.restore(memory["serving"])
    world.restart()


def _memory(world: World) -> dict[str, Any]:
    return {
        "state": world.playground.state,
        "mail": world.mail,
        "at": world.clock.at,
        "asked": (world.asked, world.failed),
        "runs": world.pipelines.runs,
        "models": world.models.held(),
        "serving": world.serving_engine.held(),
    }


def _copied(memory: dict[str, Any]) -> dict[str, Any]:
    state: State = memory["state"]
    # Python is about to stop copying counters: this one goes on from the next number.
    following = state.next_id()
    state._ids = count(following)
    return copy.deepcopy(memory, {id(state._ids): count(following)})
