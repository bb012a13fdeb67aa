"""A port of which single methods are the test's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tests.support.world import World


class Replaced:
    """`how`: methods by their names; all others are the port's own."""

    def __init__(self, port: object, **how: Callable[..., Any]) -> None:
        self._port, self._how = port, how

    def __getattr__(self, name: str) -> Any:
        return self._how.get(name) or getattr(self._port, name)


def put_in(here: World, port: str, **how: Callable[..., Any]) -> None:
    """From now on, until the bot is started anew."""
    replaced: Any = Replaced(getattr(here.ports, port), **how)
    here.ports = replace(here.ports, **{port: replaced})


def once(error: Exception, then: Callable[..., Any]) -> Callable[..., Any]:
    """A method that raises at its first call, and does what it does from then on."""
    left = [error]

    def method(*given: Any, **named: Any) -> Any:
        if left:
            raise left.pop()
        return then(*given, **named)

    return method


def defect(*_: Any, **__: Any) -> Any:
    """What a method does that has one."""
    raise KeyError("id")
