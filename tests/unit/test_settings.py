"""R15: whatever the operator gave the bot as a secret is known as one, wherever it was given."""

from __future__ import annotations

import pytest

from kfops.rules.replies.secrecy import mask
from kfops.settings import Settings


@pytest.mark.parametrize(
    "variable",
    [
        "KFOPS_FORGE_TOKEN",
        "KFOPS_KUBEFLOW_TOKEN",
        "KFOPS_MLFLOW_PASSWORD",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN",
        "MLFLOW_TRACKING_PASSWORD",
        "MLFLOW_TRACKING_TOKEN",
        "PGPASSWORD",
    ],
)
def test_r15_a_secret_of_the_environment_is_masked_by_its_value(monkeypatch, variable):
    monkeypatch.setenv(variable, "wJalrXUtnFEMI/K7MDENG")

    assert mask("the storage said wJalrXUtnFEMI/K7MDENG", Settings().secrets) == "the storage said ***"


@pytest.mark.parametrize(
    "variable",
    [
        "KFOPS_DATABASE_URL",
        "KFOPS_FORGE_URL",
        "KFOPS_MLFLOW_URL",
        "KFOPS_INDEX_URL",
        "KFOPS_PROMETHEUS_URL",
        "PIP_INDEX_URL",
        "PIP_EXTRA_INDEX_URL",
    ],
)
def test_r15_a_password_within_an_address_is_masked_by_its_value(monkeypatch, variable):
    addresses = "https://one.test/ https://bot:correct%2Dhorse@two.test/simple"
    monkeypatch.setenv(variable, addresses if "EXTRA" in variable else addresses.split()[1])

    assert mask("no such user, or not correct-horse", Settings().secrets) == "no such user, or not ***"


def test_what_is_not_set_hides_nothing(monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "")
    monkeypatch.setenv("KFOPS_WEBHOOK_SECRETS", '["http://[not-an-address"]')

    assert "http://[not-an-address" in Settings().secrets
    assert "" not in Settings().secrets


def test_an_index_that_everybody_knows_is_no_secret(monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", "https://index.example.com/simple")

    assert mask("looked for at https://index.example.com/simple", Settings().secrets).endswith(
        "index.example.com/simple"
    )
