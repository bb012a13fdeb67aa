"""Rows in V1's form asked of a server that only speaks V2, such as Triton, and its answers read as V1's."""

from __future__ import annotations

import json

import pytest

from kfops.adapters.kserve.formats import FORMATS, predict_path
from kfops.adapters.kserve.open_inference import answer, request

TENURE = {"name": "tenure", "datatype": "FP32", "shape": [-1, 1]}
CONTRACT = {"name": "contract", "datatype": "BYTES", "shape": [-1]}


def sent(rows: list, *inputs: dict) -> list[dict]:
    metadata = json.dumps({"name": "churn", "inputs": inputs}).encode()
    found = json.loads(request(json.dumps({"instances": rows}).encode(), metadata))["inputs"]
    assert isinstance(found, list)
    return found


def read(*outputs: dict) -> dict:
    found = json.loads(answer(json.dumps({"model_name": "churn", "outputs": outputs}).encode()))
    assert isinstance(found, dict)
    return found


def test_triton_is_asked_in_its_own_protocol_and_the_others_in_v1s():
    assert predict_path("triton", "churn") == "v2/models/churn/infer"
    assert [name for name, one in FORMATS.items() if one.predict is None] == ["triton"]


def test_each_column_becomes_a_tensor_of_the_type_and_rank_that_the_model_was_exported_with():
    rows = [{"tenure": 5, "contract": "month", "more": 1}, {"tenure": 7, "contract": "year"}]
    assert sent(rows, TENURE, CONTRACT) == [
        {"name": "tenure", "shape": [2, 1], "datatype": "FP32", "data": [5.0, 7.0]},
        {"name": "contract", "shape": [2], "datatype": "BYTES", "data": ["month", "year"]},
    ]


def test_rows_of_numbers_become_one_matrix():
    wanted = {"name": "x", "datatype": "INT64", "shape": [-1, 3]}
    assert sent([[1, 2, 3], [4, 5, 6]], wanted) == [
        {"name": "x", "shape": [2, 3], "datatype": "INT64", "data": [1, 2, 3, 4, 5, 6]}
    ]


@pytest.mark.parametrize(
    ("rows", "inputs", "words"),
    [
        ([{"tenure": 5}], [TENURE, CONTRACT], "row 1 has no 'contract'"),
        ([{"tenure": None}], [TENURE], "null"),
        ([{"tenure": "long"}], [TENURE], "'tenure' is FP32"),
        ([[1, 2]], [TENURE, CONTRACT], "takes tenure, contract"),
        ([[1, 2], [1]], [{"name": "x", "datatype": "FP64", "shape": [-1, 2]}], "one length"),
        ([[1, 2]], [], "does not tell which inputs"),
        ([], [TENURE], "no rows"),
    ],
)
def test_rows_that_do_not_fit_the_model_are_told_by_what_does_not(rows, inputs, words):
    with pytest.raises(ValueError, match=words):
        sent(rows, *inputs)


def test_an_output_of_one_value_a_row_is_the_prediction_whatever_its_rank():
    for shape in ([2], [2, 1]):
        output = {"name": "output__0", "datatype": "FP32", "shape": shape, "data": [0.25, 0.75]}
        assert read(output) == {"predictions": [0.25, 0.75]}


def test_probabilities_stay_beside_the_predictions():
    chances = {"name": "probabilities", "datatype": "FP32", "shape": [2, 2], "data": [0.9, 0.1, 0.2, 0.8]}
    label = {"name": "label", "datatype": "INT64", "shape": [2], "data": [0, 1]}
    assert read(chances, label) == {"predictions": [0, 1], "probabilities": [[0.9, 0.1], [0.2, 0.8]]}
    assert read(chances) == {"predictions": [[0.9, 0.1], [0.2, 0.8]]}


@pytest.mark.parametrize(
    "body",
    [
        b'{"error": "no such model"}',
        b"<html>",
        b'{"outputs": []}',
        b'{"outputs": [{"name": "x", "shape": [3], "data": [1]}]}',
    ],
)
def test_an_answer_that_is_none_stays_as_it_came_so_that_people_see_it(body):
    assert answer(body) == body
