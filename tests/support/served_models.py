"""Model directories for the serving tests, written by MLflow in a process of its own: importing it takes seconds and
warns. `python served_models.py DIRECTORY` makes one folder a model.

PIPELINE is what scikit-learn makes, PYFUNC what only MLflow can load. GOOD, PICKY and MORTAL are `canary_models`: a
server that does not import scikit-learn is there in half the time, and the tests start a hundred of them.
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
    from tests.support import canary_models

    subprocess.run([sys.executable, __file__, str(directory)], check=True, capture_output=True, timeout=120)
    rules = {GOOD: canary_models.GOOD, PICKY: canary_models.FAILS, MORTAL: canary_models.DIES}
    for name, kind in rules.items():
        canary_models.make(directory / name, kind)
    return directory


class _AtLoading:
    """Calls something when it is unpickled."""

    def __init__(self, call: Any, *arguments: Any) -> None:
        self._call = (call, arguments)

    def __reduce__(self) -> Any:
        return self._call


def _write(directory: Path) -> None:
    _write_pipeline(directory / PIPELINE)
    _write_pyfunc(directory / PYFUNC)
    contents = {
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
