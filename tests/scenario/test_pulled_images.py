"""The images that steps run in, where the engine pulls them: those that the operator grants, and no others (R10, R11)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.world import World, model, world

from kfops.config.policy import load_policy

GRANTS = """
version: 1
repositories:
  olga/churn:
    models: [churn]
    namespaces: [churn, churn-staging]
    image_repositories: [registry.example.com/ml, python]
"""
BUILT = "registry.example.com/ml/trainer@sha256:" + "a" * 64


@pytest.fixture
def here(tmp_path):
    with world(tmp_path) as made:
        made.pipelines.pulls_images = True
        yield made


def run(here: World, image: str, policy: str = GRANTS) -> str:
    """The reply to a run whose steps name this image."""
    here.options = replace(here.options, policy=load_policy(policy.encode(), filename="policy.yaml"))
    number = here.pull_request("ana", model(roc_auc=0.84, image=image))
    here.comment(number, "/build_run", by="ana")
    here.settle()
    return str(here.reply(number))


@pytest.mark.parametrize(
    "image",
    [
        "evil.example/miner",
        "pythonx",
        "python:5000/evil",
        "registry.example.com/ml/../evil",
        "python:{{$.inputs.parameters['x']}}",
        "",
    ],
)
def test_r10_r11_a_step_in_an_image_that_is_not_granted_is_refused_before_anything_runs(here, image):
    reply = run(here, image)

    assert "`policy`" in reply
    assert "The step evaluate runs in an image that the server's policy does not grant" in reply
    assert "registry.example.com/ml, python" in reply
    assert here.pipelines.runs == {}


@pytest.mark.parametrize("image", ["python:3.11-slim", BUILT])
def test_r10_steps_run_in_granted_images(here, image):
    assert "0.84" in run(here, image)


def test_r10_a_grant_without_images_grants_none(here):
    reply = run(here, "python:3.11-slim", GRANTS.replace("[registry.example.com/ml, python]", "[]"))

    assert "does not grant" in reply
    assert here.pipelines.runs == {}


def test_where_no_image_is_pulled_none_needs_a_grant(here):
    here.pipelines.pulls_images = False

    assert "0.84" in run(here, "evil.example/miner")


def test_without_grants_steps_may_name_any_image(here):
    assert "0.84" in run(here, "evil.example/miner", "version: 1\n")
