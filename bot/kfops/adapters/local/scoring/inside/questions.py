"""`python questions.py HELDOUT TARGET ROW_COLUMN MOST`: held-out rows as a caller would send them.

Runs in the sandbox, because the held-out table is foreign. One JSON object on standard output: {"rows", "labels"}.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import pandas as pd
from predict import as_sent  # type: ignore[import-not-found]


def main(heldout: str, target: str, row_column: str, most: str) -> None:
    frame = pd.read_parquet(heldout).head(int(most))
    if target not in frame.columns:
        raise SystemExit(f"the held-out rows have no column {target!r}, which is the target")
    labels: list[dict[str, Any]] = as_sent(frame[[target]])
    rows = as_sent(frame.drop(columns=[name for name in (target, row_column) if name in frame.columns]))
    json.dump({"rows": rows, "labels": [one[target] for one in labels]}, sys.stdout, default=str)


if __name__ == "__main__":
    main(*sys.argv[1:])
