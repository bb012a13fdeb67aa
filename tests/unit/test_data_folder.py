from __future__ import annotations

import hashlib
from pathlib import Path

import pandas as pd
import pytest

from kfops.adapters.local.data import DataFolder
from kfops.domain.profile import Column
from kfops.ports.errors import Refused

ROWS = pd.DataFrame(
    {
        "customer": [f"c{number:03}" for number in range(40)],
        "tenure": [1, 2, 3, 4] * 10,
        "charges": [1.5, None, 2.5, 3.5] * 10,
        "plan": ["basic", "basic", "plus", None] * 10,
        "churn": ["Yes", "No"] * 20,
    }
)


def _written(folder: Path, suffix: str) -> Path:
    file = folder / f"churn{suffix}"
    match suffix:
        case ".csv":
            ROWS.to_csv(file, index=False)
        case ".parquet":
            ROWS.to_parquet(file)
        case _:
            ROWS.to_excel(file, index=False)
    return file


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".xlsx"])
def test_a_table_is_measured_profiled_and_kept(tmp_path: Path, suffix: str) -> None:
    file = _written(tmp_path, suffix)
    data = DataFolder(tmp_path / "data").add(file, target="churn")
    assert data.digest == hashlib.sha256(file.read_bytes()).hexdigest()
    assert Path(data.uri).read_bytes() == file.read_bytes()
    assert (data.name, data.size_bytes) == (file.name, file.stat().st_size)
    assert data.profile.rows == 40
    columns = {column.name: column for column in data.profile.columns}
    assert columns["tenure"] == Column("tenure", "int64", 0, 4, 1.0, 2.5, 4.0, pytest.approx(1.132277))
    assert columns["charges"] == Column("charges", "float64", 10, 3, 1.5, 2.5, 3.5, pytest.approx(0.8304548))
    assert (columns["plan"].missing, columns["plan"].top) == (10, (("basic", 20), ("plus", 10)))
    assert data.warnings == (
        "column 'customer' is different in every row: an identifier? (data.ignore_columns)",
    )


def test_the_same_content_is_kept_once_and_found(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path / "data")
    file = _written(tmp_path, ".csv")
    first = folder.add(file)
    assert folder.add(file.rename(tmp_path / "again.csv")) == first
    assert folder.find(first.digest) == first
    assert folder.find(first.digest[:12]) == first
    assert folder.find("0" * 12) is None
    assert folder.find("../..") is None
    assert [path.name for path in (tmp_path / "data").iterdir()] == [first.digest]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.csv", b"", "is empty"),
        ("a.csv", b"a,b\n", "no rows"),
        ("a.csv", b"\n\n", "no columns"),
        ("a.csv", b"a,b,a\n1,2,3\n", "twice: a"),
        ("a.csv", b"a,,b\n1,2,3\n", "column 2 has no name"),
        ("a.csv", b"a,b\n1,2\n1,2,3,4\n", "cannot be read as csv"),
        ("a.csv", b"name\nM\xfcller\n", "is not UTF-8"),
        ("a.csv", b"\xff\xfe\x00\x00", "is not UTF-8"),
        ("a.parquet", b"PAR1 no", "cannot be read as parquet"),
        ("a.xlsx", b"PK no", "cannot be read as xlsx"),
        ("a.pkl", b"x", "not a format"),
        ("table", b"x", "without a suffix"),
        ("b.csv", b"a,b\n1,2\n", "no column 'churn'; it has: a, b"),
        ("b.csv", b"a,churn\n1,2\n3,\n", "missing in 1 of 2 rows"),
    ],
)
def test_what_is_no_table_is_refused_and_leaves_nothing(
    tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    with pytest.raises(Refused, match=reason):
        DataFolder(tmp_path / "data").add(file, target="churn" if name.startswith("b") else None)
    assert list((tmp_path / "data").iterdir()) == []


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="no such file"):
        DataFolder(tmp_path / "data").add(tmp_path / "nothing.csv")


def test_odd_columns_are_profiled(tmp_path: Path) -> None:
    file = tmp_path / "odd.parquet"
    pd.DataFrame(
        {
            "lists": [[1], [1], [2]],
            "infinite": [1.0, float("inf"), 3.0],
            "empty": [None] * 3,
            "yes": [True, False, True],
        }
    ).to_parquet(file)
    columns = {column.name: column for column in DataFolder(tmp_path / "data").add(file).profile.columns}
    assert columns["lists"].unique == 2
    assert (columns["infinite"].min, columns["infinite"].max) == (1.0, 3.0)
    assert (columns["empty"].missing, columns["empty"].top) == (3, ())
    assert columns["yes"].top == (("True", 2), ("False", 1))


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path: Path) -> None:
    file = tmp_path / "bom.csv"
    file.write_bytes(b"\xef\xbb\xbfa,b\n1,2\n")
    assert [column.name for column in DataFolder(tmp_path / "data").add(file).profile.columns] == ["a", "b"]
