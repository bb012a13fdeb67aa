"""What comes back from a run on Kubeflow goes below the run's own folder, whatever was written down of it."""

from __future__ import annotations

import json

import pytest

from kfops.adapters.kubeflow.storage import RunStorage
from kfops.ports.errors import Refused


class Bucket:
    """One order, and one object that a step wrote."""

    def __init__(self, pipeline, component):
        order = {
            "pipeline": pipeline,
            "steps": [["train", component, ["model"]]],
            "digests": {},
            "root": "runs/7/op-1-1",
        }
        self.order = json.dumps(order).encode()

    def read(self, name, most):
        return self.order

    def names(self, prefix):
        yield f"{prefix}p/r/train/model/MLmodel"

    def size(self, name):
        return 4

    def download(self, name, file):
        file.write_text("evil")


def test_r11_names_of_a_package_that_lead_elsewhere_are_refused_when_outputs_are_fetched(tmp_path):
    for number, (pipeline, component) in enumerate(
        (
            ("churn", str(tmp_path / "outside")),
            ("churn", "../../../../outside"),
            (str(tmp_path / "outside" / "p"), "train"),
            ("../../outside/p", "train"),
        )
    ):
        storage = RunStorage(Bucket(pipeline, component), tmp_path / str(number) / "fetched")
        with pytest.raises(Refused, match="leaves the folder of the run"):
            storage.outputs("op-1-1")
    assert not list(tmp_path.rglob("outside"))


def test_what_a_plain_package_declares_is_fetched(tmp_path):
    outputs = RunStorage(Bucket("churn", "train"), tmp_path / "fetched").outputs("op-1-1")
    assert outputs.model is not None
    assert [file.name for file in outputs.model.iterdir()] == ["MLmodel"]
