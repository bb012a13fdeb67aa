"""The server policy: it tightens, it never loosens."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kfops.config.errors import ConfigError
from kfops.config.load import rules_of
from kfops.config.meaning import Rules
from kfops.config.policy import OPEN_POLICY, freeze_at, grant_of, is_served, load_policy, run_timeout
from kfops.config.tighten import data_refusal, environment_refusal, image_refusal, tighten
from kfops.config.who import Who
from kfops.domain.pull_request import Permission

RULES = rules_of(
    "version: 1\npipeline: {source: p.py}\nmodel: churn\nregistry: registry.example.com/ml/churn\n"
    "deployment: {canary: {steps: [20, 50], hold: 1m, max_error_increase: 0.05, max_latency_ratio: 2}}\n",
    repository_name="acme/churn",
)

POLICY = load_policy(
    """\
version: 1
repositories:
  acme/churn:
    models: [churn]
    namespaces: [churn, churn-staging]
    data_prefixes: [s3://ml/churn/]
    image_repositories: [registry.example.com/ml/churn, python]
  acme/*:
    models: [shared]
requires:
  staging: [checks]
  production: [approval]
permissions:
  deploy: {teams: [ml-leads]}
  run: maintain
limits: {run_timeout: 1h, first_step: 5, min_hold: 5m, max_error_increase: 0.01, max_latency_ratio: 1.5}
freezes:
  - {since: 2026-12-20T00:00:00Z, until: 2027-01-02T00:00:00Z, reason: year's end}
  - {since: 2026-12-24T00:00:00Z, until: 2026-12-25T00:00:00Z, reason: day, environments: [staging], repositories: [acme/*]}
""",
    filename="policy.yaml",
)
CHRISTMAS = datetime(2026, 12, 24, 12, tzinfo=UTC)


def refusals(rules, repository="acme/churn", policy=POLICY):
    found = tighten(rules, policy, repository)
    assert isinstance(found, tuple), found
    return {one.rule.rpartition(".")[2]: one for one in found}


def test_r10_open_policy_changes_nothing():
    assert tighten(RULES, OPEN_POLICY, "any/thing") == RULES


def test_r10_rules_become_tighter():
    rules = tighten(RULES, POLICY, "acme/churn")
    assert isinstance(rules, Rules)
    assert rules.permissions["deploy"] == (Who(Permission.MAINTAIN), Who(Permission.READ, ("ml-leads",)))
    assert rules.permissions["run"] == (Who(Permission.WRITE), Who(Permission.MAINTAIN))
    assert rules.permissions["rollback"] == RULES.permissions["rollback"]
    assert rules.environment("staging").requires == {"checks"}
    assert rules.environment("production").requires == {"staging", "approval", "checks", "up-to-date"}
    assert rules.canary.steps == (5, 20, 50)
    assert rules.canary.hold == timedelta(minutes=5)
    assert rules.canary.max_error_increase == 0.01
    assert rules.canary.max_latency_ratio == 1.5


def test_r10_tightening_twice_is_tightening_once():
    once = tighten(RULES, POLICY, "acme/churn")
    assert tighten(once, POLICY, "acme/churn") == once


def test_r10_repository_that_is_not_served():
    assert set(refusals(RULES, "evil/churn")) == {"repositories"}
    assert not is_served(POLICY, "evil/churn")
    assert is_served(POLICY, "ACME/Churn")


def test_r10_model_namespace_and_registry_are_granted_by_name():
    assert refusals(replace(RULES, model="fraud"))["models"].expected == "one of churn"
    foreign = tuple(replace(one, namespace="kube-system") for one in RULES.environments)
    assert "kube-system" in refusals(replace(RULES, environments=foreign))["namespaces"].found
    assert "mlx" in refusals(replace(RULES, registry="registry.example.com/mlx"))["image_repositories"].found


def test_r10_exact_name_goes_before_the_owner():
    assert grant_of(POLICY, "acme/churn").models == ("churn",)
    assert grant_of(POLICY, "acme/other").models == ("shared",)
    assert set(refusals(RULES, "acme/other")) == {"models", "namespaces", "image_repositories"}


def test_r10_environments():
    assert environment_refusal(POLICY, "acme/churn", "production") is None
    assert environment_refusal(POLICY, "acme/churn", "moon").rule.endswith("environments")
    assert environment_refusal(POLICY, "evil/churn", "production") is not None
    assert environment_refusal(OPEN_POLICY, "evil/churn", "moon") is None


@pytest.mark.parametrize(
    "location", ["data/churn.csv", "churn.csv", "s3://ml/churn/june.csv", "s3://ml/churn/a/b.csv"]
)
def test_r10_data_within_reach(location):
    assert data_refusal(POLICY, "acme/churn", location) is None


@pytest.mark.parametrize(
    "location",
    [
        "s3://ml/fraud/june.csv",
        "s3://ml/churnx/june.csv",
        "s3://ml/churn/../fraud/june.csv",
        "s3://ml/churn/%2e%2e/fraud/june.csv",
        "S3://ml/fraud/june.csv",
        "https://example.com/x.csv",
        "file:///etc/passwd",
        "/etc/passwd",
        "~/secret",
        "../other/data.csv",
        "data/..\\..\\x",
    ],
)
def test_r10_data_out_of_reach(location):
    assert data_refusal(POLICY, "acme/churn", location) is not None


def test_r10_without_grants_addresses_are_open_and_local_paths_are_not():
    assert data_refusal(OPEN_POLICY, "any/thing", "s3://ml/x.csv") is None
    assert data_refusal(OPEN_POLICY, "any/thing", "/etc/passwd") is not None
    assert data_refusal(OPEN_POLICY, "any/thing", "file:///etc/passwd") is not None


def test_r10_r11_images():
    assert image_refusal(POLICY, "acme/churn", "python:3.11") is None
    built = f"registry.example.com/ml/churn/trainer@sha256:{'0' * 64}"
    assert image_refusal(POLICY, "acme/churn", built) is None
    for foreign in (
        "registry.example.com/ml/churnx",
        "evil.example.com/python:3.11",
        "pythonx",
        "python:5000/x",
    ):
        refusal = image_refusal(POLICY, "acme/churn", foreign)
        assert (refusal.rule, refusal.found) == ("repositories.….image_repositories", f"“{foreign}”")
        assert refusal.expected == "one of registry.example.com/ml/churn, python"
    assert image_refusal(POLICY, "evil/churn", "python:3.11").expected == "none"
    assert image_refusal(OPEN_POLICY, "evil/churn", "anything at all") is None


def test_freezes():
    assert freeze_at(POLICY, "acme/churn", "production", CHRISTMAS).reason == "year's end"
    assert freeze_at(POLICY, "acme/churn", "staging", CHRISTMAS).reason == "day"
    assert freeze_at(POLICY, "other/churn", "staging", CHRISTMAS) is None
    assert freeze_at(POLICY, "acme/churn", "production", CHRISTMAS - timedelta(days=30)) is None
    assert freeze_at(POLICY, "acme/churn", "production", datetime(2027, 1, 2, tzinfo=UTC)) is None


def test_run_timeout_is_the_shorter_one():
    assert run_timeout(POLICY, timedelta(hours=2)) == timedelta(hours=1)
    assert run_timeout(POLICY, timedelta(minutes=5)) == timedelta(minutes=5)
    assert run_timeout(OPEN_POLICY, timedelta(hours=2)) == timedelta(hours=2)


@given(
    steps=st.lists(st.integers(1, 99), min_size=1, max_size=5, unique=True).map(sorted).map(tuple),
    hold=st.integers(0, 3600),
    increase=st.floats(0.001, 0.5),
    ratio=st.floats(1.01, 10),
)
@settings(max_examples=100, deadline=None)
def test_r10_nothing_is_ever_loosened(steps, hold, increase, ratio):
    canary = RULES.canary.model_copy(
        update={
            "steps": steps,
            "hold": timedelta(seconds=hold),
            "max_error_increase": increase,
            "max_latency_ratio": ratio,
        }
    )
    rules = tighten(replace(RULES, canary=canary), POLICY, "acme/churn")
    assert rules.canary.steps[0] <= min(steps[0], 5) or rules.canary.steps == steps
    assert set(steps) <= set(rules.canary.steps)
    assert list(rules.canary.steps) == sorted(set(rules.canary.steps))
    assert rules.canary.hold >= canary.hold
    assert rules.canary.max_error_increase <= increase
    assert rules.canary.max_latency_ratio <= ratio
    for key, needed in RULES.permissions.items():
        assert set(needed) <= set(rules.permissions[key])
    for before, after in zip(RULES.environments, rules.environments, strict=True):
        assert before.requires <= after.requires


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("version: 1\nrepositries: {}\n", "Did you mean repositories?"),
        ("version: 1\nrepositories: {acme: {models: []}}\n", "owner/name"),
        ("version: 1\nrepositories: {a/b: {models: [X]}}\n", "lower-case"),
        ("version: 1\nrepositories: {a/b: {models: [x], data_prefixes: [s3://ml/churn]}}\n", "ends in '/'"),
        (
            "version: 1\nfreezes: [{since: 2026-12-20, until: 2027-01-02T00:00:00Z, reason: x}]\n",
            "freezes[0].since",
        ),
        (
            "version: 1\nfreezes: [{since: 2027-01-02T00:00:00Z, until: 2026-12-20T00:00:00Z, reason: x}]\n",
            "not after",
        ),
        ("version: 1\nlimits: {first_step: 0}\n", "1 or more"),
        ("version: 1\nsandbox: off\n", "'required' or 'none'"),
        (None, "no such file"),
        ("", "empty"),
    ],
)
def test_policy_with_errors_is_refused_with_its_place(text, said):
    with pytest.raises(ConfigError) as caught:
        load_policy(text, filename="policy.yaml")
    assert said in str(caught.value)
    assert "policy.yaml:" in str(caught.value)
