"""The crash matrix in small: of every story a few deaths, others in each story. `make chaos` plays them all."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from kfops.domain.operation import Outcome
from tests.chaos import effects, points
from tests.chaos.crashes import clean, crash, each_named, each_pair
from tests.chaos.ending import difference, ending
from tests.chaos.playing import play
from tests.chaos.points import Died, Watch
from tests.chaos.stories import BY_NAME, STORIES, holding

pytestmark = pytest.mark.xdist_group("chaos crashes")
DEATHS = 1  # of each story
# Here every effect's two halves are tried, not a choice of them.
WHOLE = ("build",)


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
def test_a_death_anywhere_loses_and_doubles_nothing(shelf, story):
    expected = clean(shelf, story)
    places = each_named(expected.watch.passed)
    if story.name not in WHOLE:
        every = sorted({*places, *each_pair(expected.watch.passed)})
        begin = STORIES.index(story) % len(every)
        places = every[(7 * begin) % len(every) :][:DEATHS]
    assert [str(one) for one in crash(shelf, story, expected, places) if not one.is_well] == []


def test_r14_whatever_an_operation_writes_into_the_ledger_carries_its_claim(shelf):
    """Whoever claims has none yet; to be woken harms nobody."""
    unclaimed = {name for story in STORIES for name in clean(shelf, story).watch.unclaimed}
    assert {name for name in unclaimed if name.startswith("ledger.")} == {"ledger.claim", "ledger.wake_first"}


def test_the_list_of_effects_is_whole():
    assert effects.written() == set(effects.EFFECTS)


def test_each_class_of_effect_is_met_in_a_story(shelf):
    passed = [point.effect for story in STORIES for point in clean(shelf, story).watch.passed]
    about = [name.partition(" ")[2] for name in passed if name.startswith("ledger.effect_about")]
    assert {name.partition(":")[0] for name in about} == set(effects.EFFECTS.values()) - effects.ELSEWHERE


def test_what_is_doubled_or_lost_is_seen(shelf):
    """The matrix can fail: a second comment for the same operation, and one that is gone."""
    story = BY_NAME["mistake"]
    expected = clean(shelf, story)
    shelf.set_up(story.base)
    play(shelf.world, story)
    world = shelf.world
    reply = world.repository.comments[world.pull(1).comment_ids[-1]]
    twin = replace(reply, id=reply.id + 1000)
    world.repository.comments[twin.id] = twin
    world.pull(1).comment_ids.append(twin.id)
    assert difference(ending(world), expected.ending).doubled
    for one in (reply, twin):
        world.pull(1).comment_ids.remove(one.id)
    assert difference(ending(world), expected.ending).lost


def test_what_is_listed_as_reading_exists(shelf):
    """A name that no port has any more would hide a later one that writes."""
    for name, reads in points.READS.items():
        port = getattr(shelf.world.ports, name)
        if port is not None:
            assert [one for one in reads.split() if not hasattr(port, one)] == []


@pytest.mark.parametrize(
    ("dies_upon", "is_stopped"),
    [
        ("ledger.effect_about stop:", False),
        ("ledger.request_cancel", True),
        ("ledger.effect_done stop:", True),
    ],
)
def test_a_cancel_that_dies_tells_the_truth_when_its_lease_has_run_out(shelf, dies_upon, is_stopped):
    """By then the run has ended, stopped or not: there would be nothing to cancel any more."""
    shelf.set_up("nothing_yet")
    world = shelf.world
    run = world.comment(2, "/build_run")
    ends = world.clock.at + timedelta(seconds=40)  # the run takes fifty
    next(None for _ in world.walk() if world.clock.at > ends)
    cancel = world.comment(2, "/cancel", by="bo")
    world.ports = Watch(dies_upon=dies_upon).over(world.ports)
    with pytest.raises(Died):
        world.turn()
    world.restart()
    world.settle()

    assert world.operation(run).outcome is (Outcome.CANCELED if is_stopped else Outcome.SUCCEEDED)
    assert world.operation(cancel).outcome is (Outcome.SUCCEEDED if is_stopped else Outcome.REFUSED)
    assert ("Asked to stop" if is_stopped else "othing") in world.reply(2)


@pytest.mark.parametrize(
    ("dies_upon", "is_aborted"),
    [("ledger.effect_about steer:", False), ("ledger.signal", True), ("ledger.effect_done steer:", True)],
)
def test_a_word_to_a_canary_that_dies_tells_the_truth_when_its_lease_has_run_out(
    shelf, dies_upon, is_aborted
):
    """By then the rollout has ended, aborted or not: none would be under way any more."""
    shelf.set_up("served")
    world = shelf.world
    deploy = world.comment(3, "/deploy")
    next(None for _ in world.walk() if holding(world))
    word = world.comment(3, "/canary abort", by="bo")
    world.ports = Watch(dies_upon=dies_upon).over(world.ports)
    with pytest.raises(Died):
        world.turn()
    world.restart()
    world.settle()

    ends = Outcome.ROLLED_BACK if is_aborted else Outcome.SUCCEEDED
    assert world.operation(deploy).outcome is ends
    assert world.operation(word).outcome is (Outcome.SUCCEEDED if is_aborted else Outcome.REFUSED)
    assert any(("Passed on" if is_aborted else "No rollout") in reply for reply in world.replies(3))
