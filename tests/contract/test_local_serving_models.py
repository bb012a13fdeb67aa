"""The model server's reading and answering, without processes."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest

pd = pytest.importorskip("pandas")
np = pytest.importorskip("numpy")

from kfops.adapters.local.serving.model_server.app import Identity, application  # noqa: E402
from kfops.adapters.local.serving.model_server.model import Model, plain  # noqa: E402
from kfops.adapters.local.serving.model_server.table import (  # noqa: E402
    BadInput,
    Column,
    Signature,
    by_columns,
    read_signature,
    table,
)

COLUMNS = Signature(
    (
        Column("age", "long", required=True),
        Column("income", "double", required=False),
        Column("city", "string", required=True),
        Column("member", "boolean", required=True),
        Column("since", "datetime", required=True),
    )
)
ROW = {"age": 40, "income": 1.5, "city": "Ulm", "member": True, "since": "2026-01-02"}


class Echo:
    """Predicts what it is told to."""

    def __init__(self, answer):
        self._answer = answer

    def predict(self, features):
        assert len(features)
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


class Caller:
    def __init__(self, app):
        self._app = app

    def post(self, path, **content) -> httpx.Response:
        async def send():
            # As a server does: an exception was answered already when it comes out here.
            transport = httpx.ASGITransport(self._app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://model") as client:
                return await client.post(path, **content)

        return asyncio.run(send())


def client(answer) -> Caller:
    return Caller(application(Model(Echo(answer), Signature()), Identity("m", "4", "d1")))


def test_a_table_has_the_signatures_columns_order_and_types():
    frame = table([{"extra": 1, **dict(reversed(ROW.items()))}, {**ROW, "income": None}], COLUMNS)
    assert list(frame.columns) == ["age", "income", "city", "member", "since"]
    assert [str(frame[name].dtype)[:8] for name in ("age", "income", "member", "since")] == [
        "int64",
        "float64",
        "bool",
        "datetime",
    ]
    assert np.isnan(frame["income"][1])
    assert list(frame["city"]) == ["Ulm", "Ulm"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"age": 1.5}, "instances[0].age: found 1.5; expected a value of type long"),
        ({"age": True}, "instances[0].age"),
        ({"age": 1e400}, "instances[0].age"),
        ({"age": 10**30}, "age holds a number that is too large for long"),
        ({"income": "much"}, "instances[0].income"),
        ({"city": 3}, "instances[0].city"),
        ({"member": "yes"}, "instances[0].member"),
        ({"since": "soon"}, "since holds a value that is no time"),
    ],
)
def test_a_value_of_another_type_is_named(change, words):
    with pytest.raises(BadInput) as caught:
        table([{**ROW, **change}], COLUMNS)
    assert words in str(caught.value)


def test_rows_without_a_signature_are_taken_as_they_are():
    assert list(table([{"a": 1}], Signature()).columns) == ["a"]
    assert table([[1, 2], [3, 4]], Signature(dtype="float32")).dtype == np.float32
    with pytest.raises(BadInput):
        table([[1], [1, 2]], Signature(dtype="float64"))


def test_columns_of_different_length_are_refused():
    with pytest.raises(BadInput, match="different lengths"):
        by_columns({"a": [1], "b": [1, 2]}, Signature(), "inputs")


def test_signatures_are_read_from_mlmodel():
    columns = json.dumps([{"type": "double", "name": "x", "required": True}])
    assert read_signature({"signature": {"inputs": columns}}).columns == (
        Column("x", "double", required=True),
    )
    tensor = json.dumps([{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 2]}}])
    assert read_signature({"signature": {"inputs": tensor}}) == Signature(dtype="float64")
    assert read_signature({"signature": None}) == Signature()


def test_numbers_that_are_not_finite_go_out_as_null():
    answer = client(np.array([1.0, np.nan, -np.inf])).post("/v1/models/m:predict", json={"instances": [[1]]})
    assert answer.content == b'{"predictions": [1.0, null, null]}'
    tensors = {"inputs": [{"name": "x", "shape": [1, 1], "datatype": "FP64", "data": [1]}]}
    outputs = client(np.array([np.nan, 2.0])).post("/v2/models/m/infer", json=tensors).json()["outputs"]
    assert (outputs[0]["data"], outputs[0]["datatype"]) == ([None, 2.0], "FP64")


def test_a_failing_model_answers_with_one_short_line():
    answer = client(ValueError("first line\nsecond " + "x" * 999)).post("/predict", json={"instances": [[1]]})
    assert (answer.status_code, answer.json()) == (500, {"error": "the model failed: ValueError: first line"})
    assert answer.headers["x-kfops-revision"] == "d1"


def test_whatever_a_model_returns_becomes_plain():
    assert plain(pd.DataFrame({"a": [1]})) == [{"a": 1}]
    assert plain(pd.Series(["x"])) == ["x"]
    assert plain(np.int64(3)) == [3]
    assert plain((1, 2)) == [1, 2]


@pytest.mark.parametrize(
    ("tensor", "words"),
    [
        ({"shape": [2], "data": [1]}, "means 2 values; found 1"),
        ({"shape": [1, 1, 1], "data": [1]}, "one or two dimensions"),
        ({"shape": [-1], "data": [1]}, "whole numbers"),
        ({"shape": [1], "data": None}, "binary tensors"),
    ],
)
def test_a_tensor_that_does_not_fit_is_refused(tensor, words):
    content = {"inputs": [{"name": "x", "datatype": "FP64", **tensor}]}
    answer = client([1]).post("/v2/models/m/infer", json=content)
    assert answer.status_code == 400
    assert words in answer.json()["error"]


def test_a_body_over_the_limit_is_refused():
    assert client([1]).post("/predict", content=b" " * (17 << 20)).status_code == 413
