"""Load an MLflow model directory, the short way where there is one: importing all of MLflow takes seconds."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from .table import Signature, by_columns, read_signature, table


class Model:
    def __init__(self, estimator: Any, signature: Signature) -> None:
        self._estimator = estimator
        self.signature = signature
        self._has_probabilities = hasattr(estimator, "predict_proba")

    @property
    def classes(self) -> list[Any] | None:
        classes = getattr(self._estimator, "classes_", None)
        return None if classes is None else plain(classes)

    def predict(self, features: Any) -> list[Any]:
        return plain(self._estimator.predict(features))

    def probabilities(self, features: Any) -> list[Any] | None:
        """By row, in the order of the classes; None where the model has none."""
        return plain(self._estimator.predict_proba(features)) if self._has_probabilities else None

    def warm(self, directory: Path) -> None:
        """Answer the stored example once, so that the first caller does not wait. A model that cannot do even that
        is found out by the endpoint check, which says more about it.
        """
        import_module("pandas")  # what every first request needs; it takes a second on a busy machine
        example = directory / "serving_input_example.json"
        if not example.is_file():
            return
        features = _example(json.loads(example.read_text()), self.signature)
        if features is None:
            return
        try:
            self.predict(features)
        except Exception as error:  # noqa: BLE001 - the model's own code
            sys.stderr.write(f"the stored example cannot be answered: {error!r}\n")
            return
        try:
            self.probabilities(features)
        except Exception:  # noqa: BLE001 - some have the method and refuse it, for a regression for instance
            self._has_probabilities = False


def load(directory: Path) -> Model:
    """The model in a directory with an `MLmodel` file; whatever loading it raises goes through."""
    import yaml

    place = directory / "MLmodel"
    if not place.is_file():
        raise FileNotFoundError("the model directory has no file MLmodel; expected an MLflow model directory")
    description = yaml.safe_load(place.read_text())
    flavors = description.get("flavors", {})
    signature = read_signature(description)
    sklearn = flavors.get("sklearn")
    if sklearn and sklearn.get("serialization_format") in {"cloudpickle", "pickle"}:
        return Model(_unpickle(directory, sklearn), signature)
    if "python_function" not in flavors:
        raise ValueError(f"MLmodel has the flavors {sorted(flavors)}; expected python_function or sklearn")
    import mlflow.pyfunc

    return Model(mlflow.pyfunc.load_model(str(directory)), signature)


def _unpickle(directory: Path, flavor: dict[str, Any]) -> Any:
    import cloudpickle

    if flavor.get("code"):
        sys.path.insert(0, str(directory / flavor["code"]))
    with (directory / flavor["pickled_model"]).open("rb") as file:
        return cloudpickle.load(file)


def _example(content: Any, signature: Signature) -> Any:
    split = content.get("dataframe_split") if isinstance(content, dict) else None
    if split:
        columns = list(zip(*split["data"], strict=True))
        return by_columns(dict(zip(split["columns"], map(list, columns), strict=True)), signature, "example")
    rows = (content.get("inputs") or content.get("instances")) if isinstance(content, dict) else None
    return table(rows, signature, "example") if isinstance(rows, list) else None


def plain(values: Any) -> list[Any]:
    """Arrays, series, frames and lists as lists of plain values."""
    if hasattr(values, "to_dict") and hasattr(values, "columns"):
        return list(values.to_dict(orient="records"))
    if hasattr(values, "tolist"):
        values = values.tolist()
    return values if isinstance(values, list) else list(values) if isinstance(values, tuple) else [values]
