"""The data of a run, told by content."""

from __future__ import annotations

import hashlib

import pytest

from kfops.adapters.local.pipelines.data_files import data_digests
from kfops.domain.package import InputSpec, InputType

INPUTS = [
    InputSpec("data", InputType.STR, "data/a.csv"),
    InputSpec("target", InputType.STR, "churn"),
    InputSpec("n", InputType.INT, 3),
]
A, B = (hashlib.sha256(content).hexdigest() for content in (b"a", b"b"))


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "repository"
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "a.csv").write_bytes(b"a")
    (folder / "data" / "b.csv").write_bytes(b"b")
    (folder / "data" / "link.csv").symlink_to(tmp_path / "secret.csv")
    (tmp_path / "secret.csv").write_bytes(b"secret")
    return folder


@pytest.mark.parametrize(
    ("parameters", "found"),
    [
        ({}, {"data": A, "data.data": A}),
        ({"data": "data/b.csv"}, {"data": B, "data.data": B}),
        ({"target": "data/b.csv"}, {"data.data": A, "data.target": B}),
        ({"data": "data/none.csv"}, {}),
        ({"data": "data"}, {}),
        ({"data": "data/link.csv"}, {}),
        ({"data": "../secret.csv"}, {}),
        ({"data": "/etc/hostname"}, {}),
        ({"data": "s3://bucket/key"}, {}),
        ({"data": "a\x00b"}, {}),
    ],
)
def test_files_that_parameters_name_are_measured(repository, parameters, found):
    assert data_digests(INPUTS, parameters, repository, ()) == found


def test_a_data_set_outside_counts_where_the_run_may_read_it(repository, tmp_path):
    outside = tmp_path / "secret.csv"
    assert data_digests(INPUTS, {"data": str(outside)}, repository, ()) == {}
    assert set(data_digests(INPUTS, {"data": str(outside)}, repository, (outside,))) == {"data", "data.data"}
