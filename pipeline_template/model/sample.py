"""What a model says where it is trained: Kfops asks the same again where it serves, and both must agree."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd


def answered(pipeline: Any, request: str) -> str:
    """The request's rows with the model's answers, as JSON; without answers where the model does not take these rows."""
    rows = json.loads(request)["instances"]
    try:
        frame = pd.DataFrame(rows)
        said = {
            "predictions": pipeline.predict(frame).tolist(),
            "probabilities": pipeline.predict_proba(frame).tolist(),
        }
    except (KeyError, ValueError, TypeError) as error:
        print(f"the sample request does not fit this model: {error}")
        said = {}
    return json.dumps({"instances": rows, **said})
