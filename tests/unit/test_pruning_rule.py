"""What piles up may go when nothing needs it and it is old, or when there is too much of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from kfops.domain.kept import Kept
from kfops.rules.pruning import superfluous

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


def thing(name, days, refers_to=""):
    return Kept(name, NOW - timedelta(days=days), refers_to or name)


def gone(*kept, needed=(), longest=30, most=100):
    return set(superfluous(kept, frozenset(needed), NOW, longest=timedelta(days=longest), most=most))


def test_what_is_old_and_needed_by_nothing_goes():
    assert gone(thing("old", 31), thing("new", 29)) == {"old"}


def test_what_something_refers_to_stays_whatever_its_age_and_number():
    assert gone(thing("a", 999, "operation:7"), thing("b", 999), needed={"operation:7"}) == {"b"}
    assert gone(*(thing(str(n), 5, "x") for n in range(9)), needed={"x"}, most=1) == set()


def test_beyond_a_number_the_oldest_go():
    assert gone(*(thing(str(days), days) for days in (2, 5, 3, 4)), most=2) == {"4", "5"}


def test_what_has_just_been_made_stays_whatever_the_number():
    assert gone(thing("a", 0.5), thing("b", 0.1), thing("c", 2), most=1) == {"c"}


def test_what_is_needed_does_not_count_among_the_number():
    kept = [thing("needed", 2, "x"), thing("a", 3), thing("b", 4)]
    assert gone(*kept, needed={"x"}, most=2) == set()
