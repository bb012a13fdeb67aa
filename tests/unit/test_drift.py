"""Is the data of a run like production's: what is told, and what is too small to tell."""

from __future__ import annotations

import json
from dataclasses import replace

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfops.domain.facts import RunFacts, dump, load
from kfops.domain.profile import Column, Profile, read_profile
from kfops.rules.drift import drift

TENURE = Column("tenure", "int64", 0, 72, min=0, mean=32.4, max=72, std=24.6)
CONTRACT = Column(
    "contract", "object", 0, 3, top=(("Month-to-month", 550), ("Two year", 240), ("One year", 210))
)
THEN = Profile(1000, (TENURE, CONTRACT))


def told(*columns: Column, rows: int = 1000) -> list[tuple[str, str, str, str]]:
    return [(one.name, one.what, one.then, one.now) for one in drift(Profile(rows, columns), THEN).columns]


def test_the_same_data_have_not_drifted():
    assert drift(THEN, THEN).columns == ()


def test_a_larger_table_of_the_same_kind_has_not_drifted():
    larger = replace(CONTRACT, top=tuple((value, 3 * count) for value, count in CONTRACT.top))
    assert told(TENURE, larger, rows=3000) == []


def test_a_mean_that_moved_by_a_fifth_of_a_deviation_is_told():
    assert told(replace(TENURE, mean=32.4 + 0.19 * 24.6), CONTRACT) == []
    assert told(replace(TENURE, mean=32.4 + 0.21 * 24.6), CONTRACT) == [("tenure", "mean", "32.4", "37.57")]


def test_a_column_that_never_varied_and_moved_is_told_first():
    then = Profile(10, (Column("a", "int64", 0, 1, mean=1.0, std=0.0), TENURE))
    now = Profile(10, (Column("a", "int64", 0, 1, mean=2.0, std=0.0), replace(TENURE, mean=60.0)))
    assert [(one.name, one.effect) for one in drift(now, then).columns] == [
        ("a", None),
        ("tenure", pytest.approx(1.122, abs=1e-3)),
    ]


def test_categories_whose_shares_moved_are_told_with_the_one_that_moved_most():
    moved = replace(CONTRACT, top=(("Month-to-month", 300), ("Two year", 490), ("One year", 210)))
    assert told(TENURE, moved) == [("contract", "share of Two year", "24.0%", "49.0%")]


def test_a_new_category_counts():
    moved = replace(
        CONTRACT,
        unique=4,
        top=(("Month-to-month", 450), ("Two year", 190), ("One year", 160), ("Weekly", 200)),
    )
    assert [one[0] for one in told(TENURE, moved)] == ["contract"]


def test_missing_values_new_columns_lost_columns_and_other_types():
    assert told(replace(TENURE, missing=60), CONTRACT) == [("tenure", "missing", "0.0%", "6.0%")]
    assert told(TENURE, CONTRACT, Column("fee", "float64", 0, 9)) == [("fee", "is new", "", "float64")]
    assert told(TENURE) == [("contract", "is gone", "object", "")]
    assert told(Column("tenure", "object", 0, 2, top=(("12", 600), ("1", 400))), CONTRACT) == [
        ("tenure", "type", "int64", "object")
    ]


def test_what_the_template_writes_is_read_and_survives_the_ledger():
    from pipeline_template.model.data import profile

    frame = pd.DataFrame({"tenure": [1.0, 2.0, None], "contract": ["a", "b", "a"]})
    read = read_profile(json.dumps(profile(frame)).encode())
    assert read is not None
    assert (read.rows, [one.missing for one in read.columns], read.columns[1].top) == (
        3,
        [1, 0],
        (("a", 2), ("b", 1)),
    )
    facts = RunFacts(drift=drift(read, THEN))
    assert load(RunFacts, json.loads(json.dumps(dump(facts), allow_nan=False))) == facts


def test_numbers_beyond_all_measure_stay_numbers():
    huge = [
        {"name": "a", "mean": 1e308, "std": 1e-300, "missing": 10**400},
        {"name": "b", "mean": -1e308, "std": 1.0},
    ]
    found = read_profile(json.dumps({"rows": 1, "columns": huge}).encode())
    other = Profile(
        1, (Column("a", "", 0, 1, mean=-1e308, std=1e-300), Column("b", "", 0, 1, mean=1e308, std=1e-9))
    )
    assert found is not None
    for made in (drift(found, other), drift(other, found)):
        json.dumps(dump(RunFacts(drift=made)), allow_nan=False)


@given(
    st.binary(max_size=200)
    | st.recursive(
        st.none() | st.integers() | st.floats() | st.text(),
        lambda one: (
            st.lists(one)
            | st.dictionaries(
                st.sampled_from(["rows", "columns", "name", "top", "mean", "std", "missing"]), one
            )
        ),
    ).map(lambda one: json.dumps(one).encode())
)
def test_r11_whatever_a_pipeline_hands_over_is_a_profile_or_none(content):
    found = read_profile(content)
    if found is not None:
        for made in (drift(found, THEN), drift(THEN, found), drift(found, found)):
            json.dumps(dump(RunFacts(drift=made)), allow_nan=False)
