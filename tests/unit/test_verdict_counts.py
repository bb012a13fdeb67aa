"""Counters that grow, waver and start anew."""

from __future__ import annotations

from datetime import UTC, datetime

from kfops.domain.canary_facts import ArmCounts, Counts
from kfops.rules.verdict import absorb, add

EARLY, LATE = datetime(2026, 1, 1, 12, tzinfo=UTC), datetime(2026, 1, 1, 13, tzinfo=UTC)


def counts(candidate: int, champion: int, errors: int = 0, epoch: str = "") -> Counts:
    return Counts(ArmCounts(candidate, errors), ArmCounts(champion), epoch)


def play(*readings: Counts) -> Counts:
    total, carried = None, None
    for reading in readings:
        total, carried = absorb(total, carried, reading)
    assert total is not None
    return total


def test_counts_grow_with_the_counter() -> None:
    assert play(counts(5, 10), counts(9, 30)) == counts(9, 30)


def test_a_counter_that_starts_anew_loses_nothing() -> None:
    total = play(counts(50, 150, 3), counts(2, 6, 1), counts(10, 30, 1), counts(1, 2))
    assert total.candidate == ArmCounts(61, 4)
    assert total.champion.requests == 182


def test_another_epoch_is_a_new_life_even_where_it_has_counted_more() -> None:
    total = play(counts(5, 15, epoch="a"), counts(8, 20, epoch="b"), counts(9, 22, epoch="b"))
    assert total == counts(14, 37, epoch="b")


def test_an_estimate_that_wavers_is_no_restart() -> None:
    assert play(counts(1000, 3000), counts(998, 2995)).candidate.requests == 1000


def test_both_stretches_of_an_arm() -> None:
    both = add(
        ArmCounts(10, 2, 1, 9, 3, 12.0, LATE),
        ArmCounts(5, 1, 0, 5, 1, None, EARLY),
    )
    assert both == ArmCounts(15, 3, 1, 14, 4, 12.0, EARLY)
