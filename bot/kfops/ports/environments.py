"""What the bot needs of whatever makes Python environments from a repository's requirements."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class EnvironmentOrder:
    """`requirements`: the file's text, foreign, None where the repository names none; `file`: its name for people.

    `more`: what steps install by themselves (`packages_to_install`). `is_granted`: the operator's policy lets this
    repository have environments; the server's own setting must allow them too.
    """

    requirements: str | None = None
    file: str = ""
    more: tuple[str, ...] = ()
    is_granted: bool = True


@dataclass(frozen=True)
class Ready:
    """`key` names the environment from now on, and `digest` (SHA-256, hex) is what it holds. Both are empty where
    nothing had to be installed: what Kfops brings serves.
    """

    key: str = ""
    digest: str = ""


@dataclass(frozen=True)
class Making:
    """Under way; to be asked for again."""


@dataclass(frozen=True)
class NotMade:
    """Why not, in sentences. `is_allowed` False: the operator does not let anything be installed. `log_tail`: foreign."""

    summary: str
    fix: str = ""
    problems: tuple[str, ...] = ()
    log_tail: str = ""
    is_allowed: bool = True


class Environments(Protocol):
    """May raise `Unavailable`."""

    def make(self, order: EnvironmentOrder) -> Ready | Making | NotMade:
        """Begin to make it, or say how far it is. Returns at once; the same order is the same environment, made once.

        What is told as `NotMade` is tried anew when it is asked for again.
        """
        ...

    def packages(self, key: str) -> Path | None:
        """The folder of packages, to be mounted read-only; None for the empty key.

        Refused where the environment is not here any more.
        """
        ...

    def bind(self, model_digest: str, key: str) -> None:
        """The model was trained in that environment, and is scored and served in it."""
        ...

    def packages_of(self, model_digest: str) -> Path | None:
        """What the model was trained with, as `packages` says it; None where it needs nothing of its own."""
        ...
