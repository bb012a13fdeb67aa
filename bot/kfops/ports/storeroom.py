"""What the bot needs of a place that fills up: what is in it, how old, and a way to take something out."""

from __future__ import annotations

from typing import Protocol

from kfops.domain.kept import Kept


class Storeroom(Protocol):
    @property
    def label(self) -> str:
        """For the log: `runs`, `models`."""
        ...

    def kept(self) -> list[Kept]: ...

    def remove(self, name: str) -> None:
        """All of it at once, as far as anybody can see. Nothing happens when it is not there."""
        ...
