"""Which bots work on one ledger, and whether they can: what one keeps on its own machine, another does not find.

Each writes a row that it renews. Where PostgreSQL holds the ledger nothing else keeps a second bot out.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

import structlog

from kfops.bootstrap.problem import SettingsProblem
from kfops.domain.record import Lock
from kfops.ports.errors import Unavailable
from kfops.ports.ledger import History, Locks

if TYPE_CHECKING:
    from kfops.ports.clock import Clock
    from kfops.settings import Settings

EVERY_S = 20.0
SEEN = timedelta(seconds=75)  # a row that nobody renewed for so long is of a bot that is gone
PREFIX = "replica:"
SHARED = "KFOPS_PIPELINES=kubeflow, KFOPS_SERVING=kserve, KFOPS_STORAGE=s3 and KFOPS_MLFLOW_URL"
log = structlog.get_logger("kfops")


class Book(Locks, History, Protocol):
    """Where they find one another."""


def own(settings: Settings) -> tuple[str, ...]:
    """The settings by which this bot keeps runs, models or what serves on its own machine."""
    found = {
        "KFOPS_PIPELINES=local": settings.pipelines == "local",
        "KFOPS_SERVING=local": settings.serving == "local",
        "KFOPS_STORAGE=local": settings.storage == "local",
        "no KFOPS_MLFLOW_URL": not settings.mlflow_url,
    }
    return tuple(name for name, is_so in found.items() if is_so)


def me() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


@dataclass(frozen=True)
class Replicas:
    """`own`: what this bot keeps to itself. The row of each says the same of it."""

    book: Book
    clock: Clock
    owner: str
    own: tuple[str, ...]

    def enter(self) -> None:
        """Raises SettingsProblem where this bot and one that is there cannot work on the same ledger."""
        self.renew()
        try:
            problem = self.problem()
        except BaseException:
            self.leave()
            raise
        if problem:
            self.leave()
            raise SettingsProblem(problem)
        if self.own:
            log.warning("only one bot can work on this ledger", kept_on_this_machine=", ".join(self.own))

    def renew(self) -> None:
        now = self.clock.now()
        self.book.acquire(
            Lock(f"{PREFIX}{self.owner}", self.owner, ", ".join(self.own), now, now + SEEN, None)
        )
        for one in self.book.locks(PREFIX):
            if one.until is not None and one.until < now:
                self.book.release(one.key, one.holder)

    def leave(self) -> None:
        with suppress(Unavailable):  # then the row is forgotten in a minute
            self.book.release(f"{PREFIX}{self.owner}", self.owner)

    def problem(self) -> str:
        """Empty where all is well."""
        others = self.others()
        if self.own and others:
            return (
                f"{others[0].holder} works on this ledger too, and this bot keeps what it does on its own machine "
                f"({', '.join(self.own)}). Set {SHARED} for all of them, or end the other one first"
            )
        selfish = [one for one in others if one.reason]
        if selfish:
            return (
                f"{selfish[0].holder} works on this ledger too and keeps what it does on its own machine "
                f"({selfish[0].reason}). Set {SHARED} for it as well, or end it first"
            )
        return ""

    def others(self) -> Sequence[Lock]:
        now = self.clock.now()
        return [
            one
            for one in self.book.locks(PREFIX)
            if one.holder != self.owner and one.until is not None and one.until >= now and not _is_dead(one)
        ]


def _is_dead(row: Lock) -> bool:
    """A bot of this machine that was killed left its row; who starts it again need not wait."""
    host, _, pid = row.holder.rpartition(":")
    if host != socket.gethostname():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except (OSError, ValueError):
        return False
    return False
