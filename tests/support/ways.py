"""The usual ways through a world: a model is trained, deployed, a rollout comes so far."""

from __future__ import annotations

from typing import Any

from tests.support.model_repository import model
from tests.support.world import World

from kfops.domain.facts import DeployFacts, load
from kfops.domain.rollout import Phase, Rollout


def trained(here: World, author: str = "ana", **told: Any) -> int:
    """A pull request whose `/build_run` has ended; `told`: of its model."""
    number = here.pull_request(author, model(**told))
    here.comment(number, "/build_run", by=author)
    here.settle()
    return number


def deployed(here: World, approved_by: str = "", **told: Any) -> int:
    """A pull request that went all the way, as ana's."""
    number = trained(here, **told)
    if approved_by:
        here.approve(number, by=approved_by)
    settled(here, number, "/deploy")
    assert here.pull(number).is_merged, here.reply(number)
    return number


def said(here: World, number: int, text: str, by: str = "ana") -> str:
    """The reply to a command that is carried out at once."""
    here.comment(number, text, by=by)
    here.turn()
    return here.reply(number)


def settled(here: World, number: int, text: str, by: str = "ana") -> str:
    """The reply when everything has ended."""
    here.comment(number, text, by=by)
    here.settle()
    return here.reply(number)


def rollout(here: World, comment: int) -> Rollout | None:
    """The one that this comment asked for, as it stands."""
    facts = here.operation(comment).facts
    return load(DeployFacts, facts).rollout if facts else None


def comes_to(here: World, comment: int, phase: str) -> None:
    """Time passes until the operation of this comment is there."""
    for _ in here.walk():
        if here.operation(comment).phase == phase:
            return
    raise AssertionError(here.describe())


def until(here: World, comment: int, phase: Phase) -> Rollout:
    """Time passes until the rollout of this comment is there."""
    for _ in here.walk():
        found = rollout(here, comment)
        if found is not None and found.phase is phase:
            return found
    raise AssertionError(here.describe())
