"""Model formats: which of KServe's runtimes serves each, and how it is asked."""

from __future__ import annotations

from dataclasses import dataclass

from kfops.ports.errors import Refused


@dataclass(frozen=True)
class Format:
    """`runtime` is named, because KServe's own choice depends on priorities that an upgrade may change.

    `predict`: the path that takes `{"instances": …}` and answers `{"predictions": …}`, with `{model}` in it; None
    where the runtime only speaks the Open Inference Protocol.
    """

    runtime: str
    protocol: str
    predict: str | None


_V1 = "v1/models/{model}:predict"
FORMATS = {
    # MLServer's runtime for MLflow also answers MLflow's own path, whose body and answer are those of V1.
    "mlflow": Format("kserve-mlserver", "v2", "invocations"),
    "sklearn": Format("kserve-sklearnserver", "v1", _V1),
    "xgboost": Format("kserve-xgbserver", "v1", _V1),
    "tensorflow": Format("kserve-tensorflow-serving", "v1", _V1),
    "pytorch": Format("kserve-torchserve", "v1", _V1),
    "triton": Format("kserve-tritonserver", "v2", None),
}


def format_of(name: str) -> Format:
    """Refused for one that this does not know."""
    found = FORMATS.get(name)
    if found is None:
        raise Refused(
            f"deployment.predictor.format is {name!r}; expected one of {', '.join(FORMATS)}",
            fix="name one of these formats in kfops.yaml",
        )
    return found


def predict_path(name: str, model: str) -> str:
    """Where a request for a prediction goes."""
    return (format_of(name).predict or "v2/models/{model}/infer").format(model=model)


def speaks_only_v2(name: str) -> bool:
    return format_of(name).predict is None
