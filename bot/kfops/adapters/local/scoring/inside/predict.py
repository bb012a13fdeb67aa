"""`python predict.py MODEL HELDOUT TARGET ROW_COLUMN LARGEST`: one model's predictions for the held-out rows.

Runs in the sandbox: loading a model runs its author's code. One JSON object on standard output: {"predictions",
"probabilities", "classes"} or {"error"}. The rows take the way that a caller's rows take in the model server.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any


def main(model: str, heldout: str, target: str, row_column: str, largest: str) -> None:
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    try:
        content = predicted(Path(model), heldout, target, row_column, int(largest))
    except BaseException as error:  # noqa: BLE001 - the model's code may raise anything, SystemExit too
        traceback.print_exc()
        content = {"error": f"{type(error).__name__}: {error}"[:2000]}
    json.dump(content, answer)
    for stream in (answer, sys.stdout, sys.stderr):
        stream.flush()
    os._exit(0)  # a model's threads must not hold us


def predicted(model: Path, heldout: str, target: str, row_column: str, largest: int) -> dict[str, Any]:
    import pandas as pd
    from model_server.model import load, plain  # type: ignore[import-not-found]
    from model_server.table import table  # type: ignore[import-not-found]

    loaded = load(model)
    frame = pd.read_parquet(heldout).head(largest)
    frame = frame.drop(columns=[name for name in (target, row_column) if name in frame.columns])
    features = table(as_sent(frame), loaded.signature, "heldout")
    predictions = loaded.predict(features)
    if predictions and isinstance(predictions[0], dict):  # a pyfunc that answers in records
        return {
            "predictions": [one.get("prediction") for one in predictions],
            "probabilities": [one.get("probabilities") for one in predictions]
            if "probabilities" in predictions[0]
            else None,
            "classes": None,
        }
    try:
        probabilities = loaded.probabilities(features)
    except (AttributeError, NotImplementedError):
        probabilities = None
    return {"predictions": plain(predictions), "probabilities": probabilities, "classes": loaded.classes}


def as_sent(frame: Any) -> list[dict[str, Any]]:
    """Rows as JSON has them: nothing where a value is missing, text for times."""
    columns = {}
    for name in frame.columns:
        values = frame[name]
        if values.dtype.kind == "M":
            values = values.map(lambda moment: moment.isoformat(), na_action="ignore")
        columns[name] = [
            None if missing else value for value, missing in zip(values.tolist(), values.isna(), strict=True)
        ]
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


if __name__ == "__main__":
    main(*sys.argv[1:])
