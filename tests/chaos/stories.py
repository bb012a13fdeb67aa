"""Each workflow as a story: what was there before, what somebody says, and what happens in the middle of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from kfops.domain.facts import DeployFacts, RunFacts, load
from kfops.domain.operation import ROLLOUTS, RUNS
from kfops.domain.rollout import Phase
from kfops.domain.run import RunState
from tests.support.snapshot import Snapshot, put_back, take
from tests.support.world import World, model

Does = Callable[[World, int], None]
When = Callable[[World], bool]


@dataclass(frozen=True)
class Midway:
    """`does` once, at the first step before which `when` is so."""

    when: When
    does: Does


@dataclass(frozen=True)
class Story:
    """On the pull request `number`, in the world of `base`, `by` says `text`."""

    name: str
    base: str
    text: str
    number: int
    by: str = "ana"
    midway: Midway | None = None


def nothing_yet(world: World) -> None:
    """A pull request with a good model, and one whose training outlasts the lease; nothing was ever run."""
    world.pull_request("ana", model(roc_auc=0.82))
    world.approve(1, by="bo")
    world.pull_request("ana", model(roc_auc=0.82, steps={"train": 50.0}))


def slow(world: World) -> None:
    """A pull request whose training takes so long that a check run shows it."""
    world.pull_request("ana", model(roc_auc=0.82, steps={"train": 70.0}))


def trained(world: World) -> None:
    nothing_yet(world)
    _say(world, 1, "/build_run")


def served(world: World) -> None:
    """The first model is in production; a second pull request has been run, a third is bad for some users."""
    trained(world)
    _say(world, 1, "/deploy")
    for number, change in ((3, model(roc_auc=0.85)), (4, model("fails_for_some", roc_auc=0.86))):
        world.pull_request("ana", change)
        world.approve(number, by="bo")
        _say(world, number, "/build_run")


def replaced(world: World) -> None:
    """The second model has taken over."""
    served(world)
    _say(world, 3, "/deploy")


def breaks(world: World) -> None:
    """A pull request whose training fails, and one that does not compile."""
    world.pull_request("ana", model(roc_auc=0.82, fails="train"))
    world.pull_request("ana", {"pipeline.py": "{'steps': {"})


BASES: dict[str, Callable[[World], None]] = {
    one.__name__: one for one in (nothing_yet, slow, trained, served, replaced, breaks)
}


def _say(world: World, number: int, text: str) -> None:
    world.comment(number, text)
    world.settle()


def running(world: World) -> bool:
    """A pipeline is under way."""
    found = [one for one in world.open_operations() if one.kind in RUNS and one.phase == "follow"]
    status = load(RunFacts, found[0].facts).status if found else None
    return status is not None and status.state is RunState.RUNNING


def holding(world: World) -> bool:
    """Users are on the candidate."""
    return _phase(world) is Phase.HOLD


def _phase(world: World) -> Phase | None:
    for one in world.open_operations():
        if one.kind in ROLLOUTS and one.phase == "rollout":
            rollout = load(DeployFacts, one.facts).rollout
            return rollout.phase if rollout else None
    return None


def says(text: str, by: str = "bo") -> Does:
    def act(world: World, number: int) -> None:
        world.comment(number, text, by=by)

    return act


def push(world: World, number: int) -> None:
    world.push(number, {"README.md": f"{world.clock.at}\n"})


def conflict(world: World, _number: int) -> None:
    world.commit_to_main(model(roc_auc=0.81))


def lose_run(world: World, _number: int) -> None:
    world.pipelines.lose(next(reversed(world.pipelines.runs)))


def close(world: World, number: int) -> None:
    world.close(number)


STORIES = (
    Story("build", "nothing_yet", "/build", 1),
    Story("build, then run", "nothing_yet", "/build\n/run", 1),
    Story("first run", "nothing_yet", "/build_run", 1),
    Story("run that takes long", "slow", "/build_run", 1),
    Story("run beside a champion", "served", "/build_run --set seed=7", 3),
    Story("run that fails", "breaks", "/build_run", 1),
    Story("run that does not compile", "breaks", "/build_run", 2),
    Story("run that is lost", "nothing_yet", "/build_run", 2, midway=Midway(running, lose_run)),
    Story("run that is cancelled", "nothing_yet", "/build_run", 2, midway=Midway(running, says("/cancel"))),
    Story("staging deploy", "trained", "/staging_deploy", 1),
    Story("first deploy", "trained", "/deploy", 1),
    Story("deploy beside a champion", "served", "/deploy", 3),
    Story("run, staging and deploy in one comment", "nothing_yet", "/build_run\n/staging_deploy\n/deploy", 1),
    Story("bad model taken back", "served", "/deploy", 4),
    Story("canary aborted", "served", "/deploy", 3, midway=Midway(holding, says("/canary abort"))),
    Story("canary promoted by hand", "served", "/deploy", 3, midway=Midway(holding, says("/canary promote"))),
    Story("deploy cancelled", "served", "/deploy", 3, midway=Midway(holding, says("/cancel"))),
    Story("deploy superseded by a push", "served", "/deploy", 3, midway=Midway(holding, push)),
    Story("deploy that cannot be merged", "served", "/deploy", 3, midway=Midway(holding, conflict)),
    Story("rollback", "replaced", '/rollback production --reason "slow"', 4),
    Story(
        "rollback of a canary under way",
        "served",
        "/deploy",
        3,
        midway=Midway(holding, says('/rollback production --to 1 --reason "slow"')),
    ),
    Story("refused", "trained", "/deploy", 1, by="dan"),
    Story("help and status", "served", "/help\n/status", 3),
    Story(
        "lock, plan and unlock",
        "served",
        '/lock production --reason "x"\n/plan /deploy\n/unlock production',
        3,
    ),
    Story("mistake", "trained", "/depoly", 1),
)
BY_NAME = {one.name: one for one in STORIES}


class Shelf:
    """The worlds that stories begin in, each made once."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world, self._folder = world, folder
        self._made = {"": take(world, folder / "empty")}
        self.played: dict[str, Any] = {}  # how stories end by themselves

    def set_up(self, base: str) -> None:
        """The world is as `base` leaves it, with some time gone by since."""
        put_back(self.world, self.snapshot(base))

    def snapshot(self, base: str) -> Snapshot:
        if base not in self._made:
            put_back(self.world, self._made[""])
            BASES[base](self.world)
            self.world.wait(timedelta(minutes=20))
            self._made[base] = take(self.world, self._folder / base)
        return self._made[base]
