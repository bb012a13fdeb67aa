"""The interleavings in small: a choice of steps, calls and writes, the same each time. `make chaos` plays them all."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kfops.ports.errors import Unavailable
from tests.chaos.crashes import clean
from tests.chaos.flood import flood
from tests.chaos.interleavings import MEDDLINGS, calls_of, meddle, pause, strike, weather, writes_of
from tests.chaos.matrices import ENGINES
from tests.chaos.points import Defect
from tests.chaos.shuffled import shuffle
from tests.chaos.stories import BY_NAME
from tests.support.weather import Fault

pytestmark = pytest.mark.xdist_group("chaos interleavings")
RUN, DEPLOY = BY_NAME["first run"], BY_NAME["deploy beside a champion"]


@pytest.mark.parametrize("meddling", MEDDLINGS, ids=lambda meddling: meddling.name)
def test_what_is_taken_away_on_the_way_stops_the_merge(shelf, meddling):
    expected = clean(shelf, DEPLOY)
    steps = [expected.steps // 2]
    assert [str(one) for one in meddle(shelf, DEPLOY, meddling, steps) if not one.is_well] == []


def test_a_push_at_a_step_of_a_run_leaves_no_unpinned_effect(shelf):
    steps = range(1, clean(shelf, RUN).steps + 1, 7)
    push = MEDDLINGS[0]
    assert [str(one) for one in meddle(shelf, RUN, push, steps) if not one.is_well] == []


@pytest.mark.parametrize("fault", Fault)
def test_bad_weather_delays_and_doubles_nothing(shelf, fault):
    expected = clean(shelf, DEPLOY)
    calls = range(2 + 2 * list(Fault).index(fault), expected.calls + 1, 17)
    assert [str(one) for one in weather(shelf, DEPLOY, expected, fault, calls) if not one.is_well] == []


def test_an_engine_that_is_away_for_a_moment_delays_and_doubles_nothing(shelf):
    expected = clean(shelf, DEPLOY)
    calls = calls_of(expected, ENGINES)[3::60]
    assert [str(one) for one in strike(shelf, DEPLOY, expected, Unavailable, calls) if not one.is_well] == []


def test_a_defect_that_is_gone_at_the_next_look_loses_nothing(shelf):
    expected = clean(shelf, RUN)
    calls = calls_of(expected)[::12]
    assert [str(one) for one in strike(shelf, RUN, expected, Defect, calls) if not one.is_well] == []


def test_what_never_comes_is_noticed(shelf):
    expected = clean(shelf, RUN)
    late, last = expected.steps + 50, expected.watch.calls
    assert "never came" in str(*meddle(shelf, RUN, MEDDLINGS[0], [late]))
    watch = replace(expected.watch, calls=[*last, *["none"] * 500])
    beyond = replace(expected, watch=watch)
    assert "never came" in str(*strike(shelf, RUN, beyond, Defect, [len(last) + 500]))


def test_a_worker_that_wakes_up_past_its_lease_writes_nothing(shelf):
    expected = clean(shelf, RUN)
    assert [
        str(one) for one in pause(shelf, RUN, expected, writes_of(expected)[::12]) if not one.is_well
    ] == []


def test_r14_a_worker_that_wakes_up_past_its_lease_shifts_no_traffic_either(shelf):
    """Another has promoted meanwhile: what this one wished before would put the candidate back at its first share."""
    expected = clean(shelf, DEPLOY)
    passed = expected.watch.passed
    # It holds the environment, and has not yet looked at what is served.
    looking = [n for n in writes_of(expected) if passed[n - 1].effect == "ledger.acquire"]
    assert [
        str(one) for one in pause(shelf, DEPLOY, expected, [looking[1], looking[-1]]) if not one.is_well
    ] == []


@pytest.mark.parametrize("seed", range(2))
def test_a_shuffled_and_doubled_post_is_carried_out_once(shelf, seed):
    assert str(shuffle(shelf, seed)).endswith("well")


def test_a_flood_of_deliveries_makes_each_command_once(shelf):
    shelf.set_up("nothing_yet")
    seen = flood(shelf.world, 1000)
    assert (seen.lost, seen.doubled, seen.stored, seen.answers) == (0, 0, seen.distinct, {202: 1000})
