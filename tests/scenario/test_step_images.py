"""`images.build`, as an author and an operator see it: who may, what is built once, and what the reply says."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace

import pytest
from tests.support.world import CONFIG, World, model, world

from kfops.config.policy import load_policy
from kfops.ports.images import ImageBuilt, ImageFailure, ImageOrder
from kfops.workflow.context import Context

WITH_IMAGES = CONFIG.replace(
    "model: churn\n",
    "registry: registry.example.com/ml\nimages: {build: [{name: trainer}, {name: judge, context: judge}]}\nmodel: churn\n",
)
TRUSTED = """
version: 1
repositories:
  olga/churn:
    models: [churn]
    namespaces: [churn, churn-staging]
    image_repositories: [registry.example.com/ml]
    build_images: true
"""


@dataclass
class Registry:
    """A builder whose registry remembers what was pushed; a context named in `broken` does not build."""

    pushed: dict[tuple[str, str], str] = field(default_factory=dict)
    built: list[ImageOrder] = field(default_factory=list)
    broken: str = ""

    def find(self, repository: str, tag: str) -> str | None:
        return self.pushed.get((repository, tag))

    def build(self, order: ImageOrder) -> ImageBuilt | ImageFailure:
        self.built.append(order)
        if order.context == self.broken:
            return ImageFailure("RUN pip install nothing: no such package", "the builder's log")
        digest = hashlib.sha256(f"{order.repository} {order.tag}".encode()).hexdigest()
        reference = f"{order.repository}@sha256:{digest}"
        self.pushed[order.repository, order.tag] = reference
        return ImageBuilt(reference, 1.0)


@pytest.fixture
def here(tmp_path):
    with world(tmp_path, config=WITH_IMAGES) as made:
        yield made


def trusted(here: World, policy: str = TRUSTED) -> Registry:
    registry = Registry()
    here.ports = replace(here.ports, images=registry)
    here.options = replace(here.options, policy=load_policy(policy.encode(), filename="policy.yaml"))
    return registry


def run(here: World, command: str = "/build_run") -> str:
    number = here.pull_request("ana", model(roc_auc=0.84))
    here.comment(number, command, by="ana")
    here.settle()
    return str(here.reply(number))


def test_images_of_a_trusted_repository_are_built_from_the_pinned_commit_in_their_order(here):
    registry = trusted(here)

    assert "0.84" in run(here)
    assert [(one.repository, one.context) for one in registry.built] == [
        ("registry.example.com/ml/trainer", "."),
        ("registry.example.com/ml/judge", "judge"),
    ]
    assert {len(one.tag) for one in registry.built} == {40}


def test_a_server_that_builds_none_says_so(here):
    trusted(here)
    here.ports = replace(here.ports, images=None)

    reply = run(here)
    assert "builds no images" in reply
    assert "policy" in reply


def test_r11_a_repository_that_the_operator_did_not_call_trusted_builds_nothing(here):
    registry = trusted(here, TRUSTED.replace("build_images: true", "build_images: false"))

    assert "trusted" in run(here)
    assert registry.built == []


def test_r11_without_grants_nobody_is_trusted(here):
    registry = trusted(here, "version: 1\n")

    assert "trusted" in run(here)
    assert registry.built == []


def test_r10_a_repository_pushes_to_where_it_may_only(here):
    registry = trusted(here, TRUSTED.replace("com/ml]", "com/other]"))

    assert "image_repositories" in run(here)
    assert registry.built == []


def test_an_image_that_does_not_build_is_told_with_its_step_and_log(here):
    registry = trusted(here)
    registry.broken = "judge"

    reply = run(here)
    assert "image_failed" in reply
    assert "judge" in reply
    assert "no such package" in reply
    assert "the builder's log" in reply


def test_an_image_that_was_pushed_before_a_crash_is_not_built_again(here, monkeypatch):
    registry = trusted(here)
    number = here.pull_request("ana", model(roc_auc=0.84))
    here.comment(number, "/build", by="ana")
    whole = Context.effect

    def dying(self, name, do, find=None):
        if name == "image:trainer" and registry.built == []:
            self.ports.ledger.effect_about(self.operation, name, self.now)
            do()
            raise KeyboardInterrupt
        return whole(self, name, do, find)

    monkeypatch.setattr(Context, "effect", dying)
    with pytest.raises(KeyboardInterrupt):
        here.settle()
    monkeypatch.undo()
    ports, options = here.ports, here.options
    here.restart()
    here.ports, here.options = replace(here.ports, images=ports.images), options
    here.settle()

    assert [one.context for one in registry.built] == [".", "judge"]
