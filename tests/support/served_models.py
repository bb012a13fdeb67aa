"""Model directories for the serving tests, written by MLflow in a process of its own: importing it takes seconds and
warns. `python served_models.py DIRECTORY` makes one folder a model.

PIPELINE is what scikit-learn makes, PYFUNC what only MLflow can load. The others are plain classes that behave alike:
a server that does not import scikit-learn is there in half the time, and the tests start a hundred of them.
"""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

PICKY, GOOD, MORTAL, PIPELINE, PYFUNC = "picky", "good", "mortal", "pipeline", "pyfunc"
BROKEN, HUNGRY, SLEEPY, LINKING = "broken", "hungry", "sleepy", "linking"
DIES_OF, NAPS_ON = "death", "nap"


def make_models(directory: Path) -> Path:
    """All of them below `directory`."""
    subprocess.run([sys.executable, __file__, str(directory)], check=True, capture_output=True, timeout=120)
    return directory


class _AtLoading:
    """Calls something when it is unpickled."""

    def __init__(self, call: Any, *arguments: Any) -> None:
        self._call = (call, arguments)

    def __reduce__(self) -> Any:
        return self._call


class _Rule:
    """Customers of less than twenty months leave. `kind` says what it cannot bear."""

    classes_ = ("no", "yes")

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def predict(self, frame: Any) -> list[str]:
        return ["yes" if chance > 0.5 else "no" for _, chance in self.predict_proba(frame)]

    def predict_proba(self, frame: Any) -> list[list[float]]:
        contracts = set(frame["contract"])
        if self.kind == MORTAL and DIES_OF in contracts:
            os._exit(7)
        if self.kind == MORTAL and NAPS_ON in contracts:
            time.sleep(1)
        if self.kind == PICKY and not contracts <= {"m", "y"}:
            raise ValueError(f"Found unknown categories {sorted(contracts - {'m', 'y'})} in column 0")
        chances = [min(1.0, max(0.0, 1 - tenure / 40)) for tenure in frame["tenure"]]
        return [[1 - chance, chance] for chance in chances]


def _write(directory: Path) -> None:
    import cloudpickle

    _write_pipeline(directory / PIPELINE)
    _write_pyfunc(directory / PYFUNC)
    contents = {
        **{kind: cloudpickle.dumps(_Rule(kind)) for kind in (GOOD, PICKY, MORTAL)},
        BROKEN: b"cno_such_library\nThing\n.",
        HUNGRY: pickle.dumps(_AtLoading(bytearray, 9 << 30)),
        SLEEPY: pickle.dumps(_AtLoading(time.sleep, 60)),
        LINKING: pickle.dumps(_AtLoading(os.system, "ln -sf ../../../../admin.sock /sock/m.sock; sleep 60")),
    }
    for name, content in contents.items():
        place = Path(shutil.copytree(directory / PIPELINE, directory / name))
        (place / "model.pkl").write_bytes(content)


def _write_pipeline(directory: Path) -> None:
    import pandas as pd
    from mlflow.models import infer_signature
    from mlflow.sklearn import save_model
    from sklearn.compose import make_column_transformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    rows = pd.DataFrame({"tenure": [1.0, 2, 30, 40, 5, 60] * 5, "contract": list("mmyymy") * 5})
    churn = ["yes", "yes", "no", "no", "yes", "no"] * 5
    columns = make_column_transformer((OneHotEncoder(), ["contract"]), (StandardScaler(), ["tenure"]))
    save_model(
        make_pipeline(columns, LogisticRegression()).fit(rows, churn),
        directory,
        serialization_format="cloudpickle",
        pip_requirements=["scikit-learn"],
        signature=infer_signature(rows, churn),
        input_example=rows.head(2),
    )


def _write_pyfunc(directory: Path) -> None:
    """A model of another kind than scikit-learn's, which only MLflow itself can load."""
    import mlflow.pyfunc

    class Doubling(mlflow.pyfunc.PythonModel):  # type: ignore[misc, name-defined]
        def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
            return model_input * 2

    mlflow.pyfunc.save_model(directory, python_model=Doubling(), pip_requirements=["mlflow"])


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    _write(Path(sys.argv[1]))
