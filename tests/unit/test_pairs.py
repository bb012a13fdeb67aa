"""The same rows answered twice: what counts as different, and where."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from kfops.domain.golden import Answers
from kfops.rules.pairs import Pair, compared, difference, is_same


def said(prediction, chance=None):
    return Answers((prediction,), None if chance is None else ((1 - chance, chance),))


def pair(number, candidate, champion, label=None):
    return Pair({"contract": "month" if number % 2 else "year", "id": number}, candidate, champion, label)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (1, 1.0, True),
        (True, 1, True),
        (0.1 + 0.2, 0.3, True),
        (0.3, 0.301, False),
        ("Yes", "Yes", True),
        ("Yes", "No", False),
        ([1, 2.0], (1.0, 2), True),
        ([1], [1, 1], False),
        ({"mean": 1.0}, {"mean": 1}, True),
        ({"mean": 1.0}, {"median": 1}, False),
        (None, 0, False),
        (math.nan, math.nan, False),
    ],
)
def test_what_is_the_same_answer(one, other, same):
    assert is_same(one, other) is same


def test_what_is_served_is_held_against_what_was_trained_row_by_row():
    trained = Answers(("Yes", "No"), ((0.2, 0.8), (0.9, 0.1)))
    assert difference(trained, trained) is None
    assert difference(trained, Answers(("Yes", "No"))) is None
    assert difference(trained, Answers(("Yes", "Yes"))) == "row 2 was `No` in training and is `Yes` as served"
    shifted = difference(trained, Answers(("Yes", "No"), ((0.2, 0.8), (0.8, 0.2))))
    assert "probabilities of row 2" in shifted
    assert "2 rows were answered in training, 1 as served" in difference(trained, Answers(("Yes",)))


def test_answers_that_differ_are_counted_and_failures_apart():
    found = compared([pair(0, said("a"), said("a")), pair(1, said("a"), said("b")), pair(2, None, said("a"))])
    assert (found.pairs, found.disagreements, found.candidate_errors, found.champion_errors) == (3, 1, 1, 0)
    assert (found.shift, found.psi, found.slices) == (None, None, ())


def test_labels_tell_who_was_wrong():
    rows = (
        [(said("a"), said("b"), "a")] * 3 + [(said("b"), said("a"), "a")] * 2 + [(said("b"), said("b"), "a")]
    )
    found = compared([pair(number, *row) for number, row in enumerate(rows)])
    assert (found.labelled, found.candidate_wrong, found.champion_wrong) == (6, 2, 3)
    numbers = compared([pair(0, said(1.0), said(0), 1)])
    assert (numbers.candidate_wrong, numbers.champion_wrong) == (0, 1)


def test_the_slice_in_which_both_differ_is_named():
    rows = [
        pair(number, said("Yes", 0.7) if number % 2 else said("No", 0.2), said("No", 0.2))
        for number in range(100)
    ]
    found = compared(rows)
    assert found.shift == pytest.approx(0.25)
    first = found.slices[0]
    assert (first.column, first.value, first.rows, first.disagreements) == ("contract", "month", 50, 50)
    assert first.shift == pytest.approx(0.5)
    assert {one.column for one in found.slices} == {"contract"}  # an identifier makes no slices


def test_psi_is_given_from_five_hundred_answers_on_and_grows_with_the_shift():
    def psi(rows, by):
        return compared(
            [pair(n, said("a", min(0.99, n / rows + by)), said("a", n / rows)) for n in range(rows)]
        ).psi

    assert psi(499, 0.0) is None
    assert psi(500, 0.0) == pytest.approx(0, abs=1e-9)
    shifts = [psi(500, by) for by in (0.0, 0.05, 0.2, 0.5)]
    assert all(one < other for one, other in pairwise(shifts))
