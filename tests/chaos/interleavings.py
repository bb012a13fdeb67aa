"""What may come in between: a push, a role or an approval taken away, a comment changed, bad weather, a pause.

Each is played at every step (or call, or write) of a story. Afterwards everything has ended, nothing is doubled, the
invariants hold, nothing outside is about another commit than the one that was pinned, and what was taken away before
the merge is a merge that did not happen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from kfops.domain.operation import ROLLOUTS, RUNS
from kfops.playground.state import Role
from tests.chaos.ending import difference
from tests.chaos.playing import Played, play, swept
from tests.chaos.points import Watch
from tests.chaos.stories import Shelf, Story, says
from tests.support.weather import Fault, fair
from tests.support.world import World


@dataclass(frozen=True)
class Tried:
    """One story with one thing in between. `unpinned`: effects outside about another commit than the pinned one."""

    story: str
    what: str
    lost: tuple[str, ...] = ()
    doubled: tuple[str, ...] = ()
    unpinned: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()

    @property
    def is_well(self) -> bool:
        return not (self.lost or self.doubled or self.unpinned or self.broken)

    def __str__(self) -> str:
        found = [
            *(f"lost {one}" for one in self.lost),
            *(f"doubled {one}" for one in self.doubled),
            *(f"unpinned {one}" for one in self.unpinned),
            *self.broken,
        ]
        return f"{self.story}, {self.what}: {'; '.join(found) or 'well'}"


@dataclass(frozen=True)
class Meddling:
    """`does` something to the pull request, or to the comment that was written. `forbids_merge` when it comes before."""

    name: str
    does: Callable[[World, Story], None]
    forbids_merge: bool = True


def _push(world: World, story: Story) -> None:
    if world.pull(story.number).is_open:
        world.push(story.number, {"README.md": "pushed\n"})


def _demote(world: World, story: Story) -> None:
    world.give(story.by, Role.READ)
    world.clock.at += timedelta(seconds=61)  # a role is believed for a minute


def _disapprove(world: World, story: Story) -> None:
    for review in world.pull(story.number).reviews:
        if review.state == "APPROVED":
            world.dismiss(story.number, review.id)


def _edit(world: World, story: Story) -> None:
    world.edit_comment(_command_of(world, story), "Never mind.", by=story.by)


def _delete(world: World, story: Story) -> None:
    world.delete_comment(_command_of(world, story), by=story.by)


def _command_of(world: World, story: Story) -> int:
    return max(one.id for one in world.repository.comments.values() if one.body == story.text)


MEDDLINGS = (
    Meddling("a push", _push),
    Meddling("the role taken away", _demote),
    Meddling("the approval dismissed", _disapprove),
    Meddling("the comment edited", _edit),
    Meddling("the comment deleted", _delete),
    Meddling("a cancel", lambda world, story: says("/cancel")(world, story.number), forbids_merge=False),
)


def meddle(shelf: Shelf, story: Story, meddling: Meddling, steps: Sequence[int]) -> Iterator[Tried]:
    for step in steps:
        shelf.set_up(story.base)
        early: list[bool] = []

        def act(world: World, now: int, at: int = step, early: list[bool] = early) -> None:
            if now == at:
                early.append(not world.pull(story.number).is_merged)
                meddling.does(world, story)

        played = play(shelf.world, story, act=act)
        broken = list(played.broken)
        if not early:
            broken.append("it never came to this step")
        if early == [True] and meddling.forbids_merge and shelf.world.pull(story.number).is_merged:
            broken.append("merged all the same")
        yield Tried(
            story.name,
            f"{meddling.name} at step {step}",
            unpinned=unpinned(shelf.world),
            broken=tuple(broken),
        )


def weather(
    shelf: Shelf, story: Story, expected: Played, fault: Fault, calls: Sequence[int]
) -> Iterator[Tried]:
    """The n-th call to the forge fails, once; everything ends as without it, or is refused for want of an answer."""
    for number in calls:
        shelf.set_up(story.base)
        shelf.world.weather.falls = lambda now, _what, at=number: fault if now == at else None  # type: ignore[misc]
        try:
            played = play(shelf.world, story)
        finally:
            shelf.world.weather.falls = fair
        what = f"{fault} at call {number} ({shelf.world.weather.calls[number - 1]})"
        found = difference(played.ending, expected.ending)
        refused = any(
            end[1:] != expected.ending.facts[name][1:] for name, end in _ends(played) if "/" in name
        )
        told = [f"{name} ended {end}" for name, end in _ends(played) if _is_no_answer(end, expected, name)]
        lost = () if refused and not told else found.lost
        yield Tried(story.name, what, lost, found.doubled, unpinned(shelf.world), (*played.broken, *told))


def _ends(played: Played) -> list[tuple[str, tuple[object, ...]]]:
    return [(name, end) for name, end in played.ending.facts.items() if name.startswith("end of operation")]


def _is_no_answer(end: tuple[object, ...], expected: Played, name: str) -> bool:
    """It ended otherwise, and not because a role could not be read: an API error is a no (R6)."""
    return end != expected.ending.facts[name] and end[2] not in {"permission_unknown", "earlier_failed"}


def pause(shelf: Shelf, story: Story, expected: Played, writes: Sequence[int]) -> Iterator[Tried]:
    """A worker sleeps past its lease before a call that changes something; another goes on to the end; then the first one
    wakes up. What it then told late, the sweeper sets right.
    """
    for number in writes:
        point = expected.watch.passed[number]
        shelf.set_up(story.base)
        world = shelf.world
        after: list[object] = []

        def sleep(world: World = world, after: list[object] = after) -> None:
            awake, world.ports = world.ports, world.unwatched
            world.clock.at += world.options.lease * 2
            world.settle()
            after.append(world.operations())
            world.ports = awake

        def look(world: World, after: list[object] = after) -> None:
            after.append(world.operations())
            swept(world)

        played = play(world, story, Watch(pauses_after=number, sleep=sleep), afterwards=look)
        found = difference(played.ending, expected.ending)
        broken = played.broken
        if len(after) == 1:
            broken = (*broken, "it never came to this call")
        elif after[0] != after[1]:
            broken = (*broken, "it wrote after it woke up")
        yield Tried(
            story.name,
            f"a pause before {point.effect} ({point.nth}.)",
            found.lost,
            found.doubled,
            unpinned(world),
            broken,
        )


def strike(
    shelf: Shelf, story: Story, expected: Played, error: type[Exception], calls: Sequence[int]
) -> Iterator[Tried]:
    """The n-th call of a port raises, once; everything ends as without it, and the sweeper goes on."""
    for number in calls:
        shelf.set_up(story.base)
        watch = Watch(strikes_at=number, strikes_with=error)
        played = play(shelf.world, story, watch, afterwards=swept)
        found = difference(played.ending, expected.ending)
        broken = (*played.broken, *found.wrong)
        if len(watch.calls) < number:
            broken = (*broken, "it never came to this call")
        what = f"{error.__name__} at call {number} ({expected.watch.calls[number - 1]})"
        yield Tried(story.name, what, found.lost, found.doubled, unpinned(shelf.world), broken)


def calls_of(expected: Played, ports: Sequence[str] = ()) -> list[int]:
    """The numbers of all calls of these ports; of any, where none is named."""
    return [
        number
        for number, call in enumerate(expected.watch.calls, 1)
        if not ports or call.partition(".")[0] in ports
    ]


def writes_of(expected: Played) -> list[int]:
    """The points at which a step changes something, outside or in the ledger."""
    return [number for number, point in enumerate(expected.watch.passed) if point.effect != "ledger.claim"]


def unpinned(world: World) -> tuple[str, ...]:
    """Everything outside that an operation made carries the commit that the operation was pinned to."""
    found = []
    for one in world.operations():
        name, sha = f"/{one.kind} {one.id}", one.subject.head_sha
        for made in world.repository.deployments.values():
            is_mine = isinstance(made.payload, dict) and made.payload.get("external_id") == f"kfops-{one.id}"
            if is_mine and made.sha != sha:
                found.append(f"the deployment of {name}")
        mine = [run for run in world.repository.check_runs.values() if run.external_id == f"kfops-{one.id}"]
        found += [f"the check run of {name}" for run in mine if run.head_sha != sha]
        if one.identity("merge") and world.pull(one.subject.pull_request).head_sha != sha:
            found.append(f"the merge of {name}")
        if one.kind in RUNS:
            found += [
                f"the model of {name}"
                for version in world.models.versions()
                if version.tags.get("kfops.run_id") == str(one.id) and version.tags.get("git_commit") != sha
            ]
    for record in (
        one for name in ("staging", "production") for one in world.ledger.revisions(world.repository.id, name)
    ):
        makers = [
            one
            for one in world.operations()
            if one.kind in ROLLOUTS and one.subject.head_sha == record.commit_sha
        ]
        if not makers:
            found.append(f"the revision {record.version} in {record.environment}")
    return tuple(found)
