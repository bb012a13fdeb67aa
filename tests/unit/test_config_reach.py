"""A run reads data of the repository's own, and what the operator grants it: by whatever parameter it asks."""

from __future__ import annotations

import pytest

from kfops.config.policy import OPEN_POLICY, load_policy
from kfops.config.reach import reach_refusal

POLICY = load_policy(
    "version: 1\nrepositories: {acme/churn: {models: [churn], data_prefixes: [s3://ml/churn/]}}\n",
    filename="policy.yaml",
)


def refused(values, policy=POLICY, data="data"):
    found = reach_refusal(policy, "acme/churn", values, data)
    return None if found is None else found[0]


@pytest.mark.parametrize(
    "values",
    [
        {"data": "data/churn.csv"},
        {"data": "s3://ml/churn/table.csv"},
        {
            "data": "data/churn.csv",
            "metric": "s3 is not an address here",
            "docs": "https://example.org/s3://x",
        },
        {"data": "data/churn.csv", "seed": 3, "options": {"deep": [1, 2.5, None, True]}},
        {},
    ],
)
def test_r10_what_is_its_own_or_granted_may_be_read(values):
    assert refused(values) is None


@pytest.mark.parametrize(
    "value",
    [
        "s3://ml/pricing/table.csv",
        "S3://ml/pricing/table.csv",
        " s3://ml/pricing/table.csv",
        "s3a://ml/churn/table.csv",
        "s3://ml/churn/../pricing/table.csv",
        "s3://ml/churn/%2e%2e/pricing/table.csv",
        "s3://ml/churnx/table.csv",
        "gs://ml/churn/table.csv",
        "file:///etc/passwd",
    ],
)
def test_r10_another_teams_data_is_refused_whichever_parameter_names_it(value):
    assert refused({"data": value}) == "data"
    assert refused({"data": "data/churn.csv", "extra": value}) == "extra"
    assert refused({"extra": {"deep": ["fine", value]}}) == "extra"
    assert refused({"extra": value}, data=None) == "extra"


def test_r10_the_bots_own_files_are_nobodys_data():
    for policy in (POLICY, OPEN_POLICY):
        assert refused({"data": "/var/lib/kfops/ledger.db"}, policy) == "data"
        assert refused({"data": "../../ledger.db"}, policy) == "data"
        assert refused({"other": "file:///var/lib/kfops/ledger.db"}, policy) == "other"
