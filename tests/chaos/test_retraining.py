"""A retraining by schedule, with the bot dying at each of its effects: begun once, trained once, told in one issue."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property

import pytest

from kfops.config.policy import OPEN_POLICY
from kfops.domain.operation import Kind, Outcome
from kfops.workflow.scheduling import EVERY, Scheduling
from tests.chaos.points import Died, Watch
from tests.support.model_repository import CONFIG
from tests.support.snapshot import Snapshot, put_back, take
from tests.support.world import World, model, world

HOURLY = "schedule: {retrain: 0 * * * *}\n"
# Whatever is done outside, and what begins it; the ledger's other writes are in every operation's matrix.
EFFECTS = (
    "ledger.accept",
    "ledger.set_cursor",
    "ledger.pin",
    "pipelines.submit",
    "models.record",
    "forge.create_issue",
    "ledger.effect_done issue",
    "forge.edit_issue",
    "ledger.append",
)


@dataclass
class Scene:
    world: World
    before: Snapshot

    @cached_property
    def passed(self) -> list[str]:
        """The effects of a retraining that nothing comes in between, in their order; held against its ending."""
        watch = Watch()
        assert self.play(watch) == 0
        assert self.seen() == ENDING
        return [one.effect for one in watch.passed]

    def play(self, watch: Watch) -> int:
        """From the schedule's moment until nothing is open; how often the process died."""
        put_back(self.world, self.before)
        deaths, here = 0, self.world
        here.ports = watch.over(here.ports)
        while True:
            try:
                self._until_begun(f"bot-{here.worker}")
                here.settle()
            except Died:
                deaths += 1
                here.restart()
                here.ledger.end_leases()
                here.ports = watch.over(here.ports)
            else:
                return deaths

    def _until_begun(self, owner: str) -> None:
        """As a bot does: every 20 seconds, until there is nothing to begin any more."""
        here, begun = self.world, False
        look = Scheduling(here.ports.forge, here.ports.ledger, here.clock, OPEN_POLICY, owner).look
        while not begun:
            here.wait(EVERY)
            begun = look() == 0 and any(one.kind is Kind.RETRAIN for one in here.operations())

    def seen(self) -> dict[str, object]:
        here = self.world
        kinds = [(one.kind, one.outcome) for one in here.operations()]
        trail = here.ledger.trail(here.repository.id)
        bodies = [one.body or "" for one in here.repository.issues.values()]
        return {
            "operations": kinds,
            "runs": len(here.pipelines.runs),
            "versions": here.models.registered,
            "trail": [one.action for one in trail],
            "trail's fault": here.ledger.verify(here.repository.id),
            "issues": len(bodies),
            "told as succeeded": [body.count("✅ `retraining` succeeded") for body in bodies],
        }


@pytest.fixture(scope="module")
def scene(tmp_path_factory) -> Iterator[Scene]:
    with world(tmp_path_factory.mktemp("world"), config=CONFIG + HOURLY) as made:
        made.pull_request("ana", model())
        Scheduling(made.forge, made.ledger, made.clock, OPEN_POLICY, "bot-0").look()
        made.wait(timedelta(minutes=59, seconds=30))
        yield Scene(made, take(made, tmp_path_factory.mktemp("shelf") / "before"))


ENDING = {
    "operations": [(Kind.RETRAIN, Outcome.SUCCEEDED)],
    "runs": 1,
    "versions": 1,
    "trail": ["retrain"],
    "trail's fault": None,
    "issues": 1,
    "told as succeeded": [1],
}


@pytest.mark.parametrize("effect", EFFECTS)
@pytest.mark.parametrize("place", ["before", "after"])
def test_it_ends_the_same_whenever_the_process_dies(scene, effect, place):
    last = max(number for number, one in enumerate(scene.passed) if one == effect)
    assert scene.play(Watch(dies_after=last + (place == "after"))) == 1
    assert scene.seen() == ENDING
