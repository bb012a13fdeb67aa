"""What production's callers send: rows of the table without the answer, and lately a way to pay that it never shows."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from kfops.demo.variants import UNKNOWN_PAYMENT

_ROWS = 400
_NOT_SENT = frozenset({"customer_id", "churn"})


def bodies(table: Path, *, every_unknown: int = 0) -> list[bytes]:
    """Requests of one row each. Every `every_unknown`th row pays in a way that is not in the table; 0 for none."""
    made = []
    for index, row in enumerate(_rows(table)):
        if every_unknown and index % every_unknown == 0:
            row["payment_method"] = UNKNOWN_PAYMENT
        made.append(json.dumps({"instances": [row]}).encode())
    return made


def _rows(table: Path) -> Iterator[dict[str, Any]]:
    with table.open(newline="") as lines:
        for row in islice(csv.DictReader(lines), _ROWS):
            yield {name: _value(text) for name, text in row.items() if name not in _NOT_SENT}


def _value(text: str) -> Any:
    try:
        number = float(text)
    except ValueError:
        return text if text not in {"", "NA"} else None
    return int(number) if number.is_integer() and "." not in text else number
