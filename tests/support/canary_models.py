"""Models that behave by script, for canaries on the real serving stack: plain classes, pickled with their code.

All of them say whether a customer leaves from `tenure` alone, and do one thing wrong.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import cloudpickle
from tests.support.in_memory.pipelines import MODEL_FILE

GOOD, FAILS, SLOW, DIES, CONTRARY = "good", "fails", "slow", "dies", "contrary"
BROKEN, HUNGRY, SLEEPY = "broken", "hungry", "sleepy"
SHORT, NOT_FINITE, NAPS = "short", "not finite", "naps"
UNKNOWN, DEATH = "paper", "death"  # contracts that FAILS and DIES cannot bear
NAP = "nap"  # a contract that DIES thinks about for a second
COLUMNS = ("tenure", "contract")
_MLMODEL = """\
flavors:
  sklearn: {pickled_model: model.pkl, serialization_format: cloudpickle}
signature:
  inputs: '[{"name": "tenure", "type": "double"}, {"name": "contract", "type": "string"}]'
"""


class Rule:
    """Customers of less than twenty months leave."""

    classes_ = ("no", "yes")

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def __setstate__(self, state: dict[str, Any]) -> None:
        """At loading."""
        import time

        self.__dict__.update(state)
        if self.kind == "broken":
            raise ImportError("No module named 'no_such_library'")
        if self.kind == "hungry":
            self.ballast = bytearray(9 << 30)
        if self.kind == "sleepy":
            time.sleep(60)

    def predict(self, rows: Any) -> list[Any]:
        import os
        import time

        contracts = set(rows["contract"])
        if self.kind == "dies" and "death" in contracts:
            os._exit(7)
        if self.kind == "dies" and "nap" in contracts:
            time.sleep(1)
        if self.kind == "fails" and "paper" in contracts:
            raise ValueError("Found unknown categories ['paper']")
        time.sleep({"slow": 0.3, "naps": 3.0}.get(self.kind, 0.0))
        said = ["yes" if chance > 0.5 else "no" for _, chance in self.predict_proba(rows)]
        if self.kind == "short":
            return said[1:]
        return [float("nan")] * len(said) if self.kind == "not finite" else said

    def predict_proba(self, rows: Any) -> list[list[float]]:
        chances = [min(1.0, max(0.0, 1 - tenure / 40)) for tenure in rows["tenure"]]
        if self.kind == "contrary":
            chances = [1 - chance for chance in chances]
        return [[1 - chance, chance] for chance in chances]


def make(folder: Path, kind: str) -> Path:
    """An MLflow model directory. No two have the same digest."""
    folder.mkdir(parents=True)
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    (folder / "MLmodel").write_text(_MLMODEL)
    (folder / "model.pkl").write_bytes(cloudpickle.dumps(Rule(kind)))
    (folder / MODEL_FILE).write_text(json.dumps({"roc_auc": 0.9, "is": folder.name}))
    return folder


def heldout(path: Path, rows: int = 120) -> Path:
    """Rows with what became of the customers, mostly as the rule says."""
    import pandas as pd

    tenures = [float(number % 40) for number in range(rows)]
    frame = pd.DataFrame(
        {
            "tenure": tenures,
            "contract": [("month", "year")[number % 2] for number in range(rows)],
            "churn": [
                "yes" if (tenure < 20) != (number % 10 == 0) else "no"
                for number, tenure in enumerate(tenures)
            ],
            "__row__": [f"r{number}" for number in range(rows)],
        }
    )
    frame.to_parquet(path)
    return path


def request(*contracts: str, tenure: float = 5.0) -> bytes:
    return json.dumps(
        {"instances": [dict(zip(COLUMNS, (tenure, one), strict=True)) for one in contracts]}
    ).encode()


def golden(path: Path, answer: str = "yes") -> Path:
    """What a run kept of its own: the sample's rows, and what the model answered in training."""
    instances = json.loads(request("month", "year"))["instances"]
    path.write_text(json.dumps({"instances": instances, "predictions": [answer] * len(instances)}))
    return path
