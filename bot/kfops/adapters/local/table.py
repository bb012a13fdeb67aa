"""Tables from files: read, checked, profiled. Only pandas is needed, and only here."""

from __future__ import annotations

import csv
import math
import zipfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from kfops.domain.profile import Column, Profile
from kfops.ports.errors import Refused

_FORMATS = (".csv", ".parquet", ".xlsx")
_TOP = 3
_MANY_ROWS = 20


def read(file: Path) -> Any:
    """The file as a pandas data frame. Refused with the reason when it is no table."""
    if file.suffix.lower() not in _FORMATS:
        raise Refused(
            f"{file.name}: {file.suffix or 'a name without a suffix'} is not a format that is read; expected {', '.join(_FORMATS)}"
        )
    if not file.is_file():
        raise Refused(f"{file}: no such file")
    if file.stat().st_size == 0:
        raise Refused(f"{file.name} is empty; expected a table with a header line")
    try:
        _check_names(file.name, _header(file))
        table = _parse(file)
    except UnicodeDecodeError as error:
        raise Refused(
            f"{file.name}: byte {error.start} is not UTF-8",
            fix=f"iconv -f latin1 -t utf-8 {file.name} > utf8.csv",
        ) from error
    # Each format's reader has errors of its own; pyarrow's and pandas' derive from these.
    except (ValueError, KeyError, OSError, csv.Error, zipfile.BadZipFile) as error:
        raise Refused(f"{file.name} cannot be read as {file.suffix[1:]}: {error}") from error
    if not len(table):
        raise Refused(f"{file.name} has {len(table.columns)} columns and no rows; expected rows")
    return table


def check_target(name: str, table: Any, target: str) -> None:
    """Refused when the column to predict is not there, or lacks values."""
    columns = [str(column) for column in table.columns]
    if target not in columns:
        raise Refused(f"{name} has no column {target!r}; it has: {', '.join(columns[:20])}")
    missing = int(table[target].isna().sum())
    if missing:
        raise Refused(
            f"{name}: the target {target!r} is missing in {missing} of {len(table)} rows; expected a value in each"
        )


def profile(table: Any) -> Profile:
    """Rows, types, missing values and statistics; infinities do not count into them."""
    return Profile(rows=len(table), columns=tuple(_column(str(name), table[name]) for name in table.columns))


def warnings(profile: Profile) -> tuple[str, ...]:
    """What is allowed in a table and seldom meant."""
    found = []
    for column in profile.columns:
        if column.missing * 2 > profile.rows:
            found.append(
                f"column {column.name!r} is missing in {column.missing / profile.rows:.0%} of the rows"
            )
        if column.unique <= 1:
            found.append(f"column {column.name!r} has one value only")
        elif column.unique == profile.rows >= _MANY_ROWS and not column.type.startswith(
            ("float", "datetime")
        ):
            found.append(
                f"column {column.name!r} is different in every row: an identifier? (data.ignore_columns)"
            )
    return tuple(found)


def _header(file: Path) -> list[str]:
    match file.suffix.lower():
        case ".csv":
            with file.open(encoding="utf-8-sig", newline="") as text:
                return next(csv.reader(text), [])
        case ".parquet":
            from pyarrow.parquet import read_schema

            return list(read_schema(file).names)
        case _:
            import pandas as pd

            row = pd.read_excel(file, header=None, nrows=1)
            return ["" if pd.isna(cell) else str(cell) for cell in row.iloc[0]] if len(row) else []


def _parse(file: Path) -> Any:
    import pandas as pd

    match file.suffix.lower():
        case ".csv":
            return pd.read_csv(file, encoding="utf-8-sig")
        case ".parquet":
            return pd.read_parquet(file)
        case _:
            return pd.read_excel(file)


def _check_names(file: str, names: Sequence[str]) -> None:
    # Looked at before pandas: it invents names for columns that have none or share one.
    if not names:
        raise Refused(f"{file} has no columns; expected a header line")
    blank = [str(place) for place, name in enumerate(names, 1) if not name.strip()]
    if blank:
        raise Refused(
            f"{file}: column {', '.join(blank)} has no name; expected a name for each of {len(names)} columns"
        )
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise Refused(f"{file}: column names occur twice: {', '.join(twice)}; expected each once")


def _column(name: str, values: Any) -> Column:
    from pandas.api import types

    plain = Column(name, str(values.dtype), missing=int(values.isna().sum()), unique=0)
    if types.is_numeric_dtype(values) and not types.is_bool_dtype(values):
        numbers = values.dropna().astype(float)
        numbers = numbers[numbers.map(math.isfinite)]
        return replace(
            plain,
            unique=int(values.nunique()),
            min=_finite(numbers.min()),
            mean=_finite(numbers.mean()),
            max=_finite(numbers.max()),
            std=_finite(numbers.std()),
        )
    words = values.dropna().astype(str)  # lists and the like in Parquet cannot be counted as they are
    counts = words.value_counts()
    top = sorted(
        ((str(value), int(count)) for value, count in counts.items()), key=lambda pair: (-pair[1], pair[0])
    )
    return replace(plain, unique=len(counts), top=tuple(top[:_TOP]))


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
