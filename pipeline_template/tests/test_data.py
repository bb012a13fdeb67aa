from pathlib import Path

import pandas as pd
import pytest
import yaml

from data import ROW, check, profile, read, row_hashes, split

RULES = yaml.safe_load((Path(__file__).parents[1] / "data" / "rules.yaml").read_text())


def test_the_table_is_fit_to_train_on(table):
    assert check(table, "churn", RULES) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.drop(columns="churn"), "no target column 'churn'"),
        (lambda t: t.head(100), "100 rows; expected at least 1000"),
        (lambda t: t.assign(churn="No"), "one value only"),
        (lambda t: t.assign(contract="Weekly"), "'contract' holds 'Weekly'"),
        (lambda t: t.assign(tenure=-1), "'tenure' goes down to -1"),
        (lambda t: t.assign(monthly_charges=None), "missing in 100.0% of the rows"),
        (lambda t: t.assign(tenure="long"), "expected numbers"),
        (lambda t: t.assign(customer_id="same"), "7042 values more than once"),
        (lambda t: t.drop(columns="tenure"), "no column 'tenure'"),
    ],
)
def test_what_is_wrong_is_said(table, change, words):
    assert any(words in problem for problem in check(change(table), "churn", RULES))


def test_the_same_rows_are_held_out_whatever_their_order_and_company(table):
    _, held_out, _ = split(table, "churn")
    shuffled = pd.concat([table.sample(frac=1, random_state=1).iloc[:5000]])
    _, again, _ = split(shuffled, "churn")
    kept = held_out[held_out["customer_id"].isin(shuffled["customer_id"])]
    assert set(again["customer_id"]) == set(kept["customer_id"])
    assert 0.22 < len(held_out) / len(table) < 0.28


def test_no_row_is_on_both_sides(table):
    rows, held_out, hashes = split(table, "churn")
    assert not set(held_out[ROW]) & set(hashes)
    assert len(rows) + len(held_out) == len(table)


def test_a_hash_survives_the_way_through_a_file(table, tmp_path):
    table.to_parquet(tmp_path / "t.parquet")
    assert (row_hashes(read(str(tmp_path / "t.parquet")), "churn") == row_hashes(table, "churn")).all()


def test_the_profile_counts(table):
    described = profile(table)
    charges = next(column for column in described["columns"] if column["name"] == "total_charges")
    assert (described["rows"], charges["missing"]) == (7043, 11)


def test_other_formats_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"expected \.csv"):
        read(str(tmp_path / "table.txt"))
