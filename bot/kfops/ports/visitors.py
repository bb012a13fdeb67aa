"""Signing in to the bot's pages with an account of the forge."""

from __future__ import annotations

from typing import Protocol

from kfops.domain.pull_request import Actor


class Visitors(Protocol):
    """Who somebody is, and nothing more: what they may see is asked of `forge.Access`, as for a command."""

    def sign_in_url(self, *, state: str, back: str) -> str:
        """Where the forge asks the person. It sends them to `back` with `state` and a code that is good once."""
        ...

    def visitor(self, code: str, *, back: str) -> Actor | None:
        """Whose code that is; None when it is nobody's. Raises `Unavailable`."""
        ...
