"""Model directories for the serving tests, written by MLflow in a process of its own: importing it takes seconds and
warns. `python served_models.py DIRECTORY` makes one folder a model.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

PICKY, GOOD, MORTAL, PYFUNC = "picky", "good", "mortal", "pyfunc"
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


def _write(directory: Path) -> None:
    import pandas as pd
    from mlflow.models import infer_signature
    from mlflow.sklearn import save_model
    from sklearn.compose import make_column_transformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

    rows = pd.DataFrame({"tenure": [1.0, 2, 30, 40, 5, 60] * 5, "contract": list("mmyymy") * 5})
    churn = ["yes", "yes", "no", "no", "yes", "no"] * 5

    def fitted(unknown: str, *first: Any) -> Any:
        columns = make_column_transformer(
            (OneHotEncoder(handle_unknown=unknown), ["contract"]), (StandardScaler(), ["tenure"])
        )
        return make_pipeline(*first, columns, LogisticRegression()).fit(rows, churn)

    def die(frame: Any) -> Any:
        if (frame["contract"] == "death").any():
            os._exit(7)
        if (frame["contract"] == "nap").any():
            time.sleep(1)
        return frame

    models = {
        GOOD: fitted("ignore"),
        PICKY: fitted("error"),
        MORTAL: fitted("ignore", FunctionTransformer(die)),
    }
    for name, model in models.items():
        save_model(
            model,
            directory / name,
            serialization_format="cloudpickle",
            pip_requirements=["scikit-learn"],
            signature=infer_signature(rows, churn),
            input_example=rows.head(2),
        )
    _write_pyfunc(directory / PYFUNC)
    spoilt = {
        BROKEN: b"cno_such_library\nThing\n.",
        HUNGRY: pickle.dumps(_AtLoading(bytearray, 9 << 30)),
        SLEEPY: pickle.dumps(_AtLoading(time.sleep, 60)),
        LINKING: pickle.dumps(_AtLoading(os.system, "ln -sf ../../../../admin.sock /sock/m.sock; sleep 60")),
    }
    for name, content in spoilt.items():
        place = directory / name
        place.mkdir()
        (place / "MLmodel").write_bytes((directory / GOOD / "MLmodel").read_bytes())
        (place / "model.pkl").write_bytes(content)


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
