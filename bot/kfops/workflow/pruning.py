"""Runs, checkouts, models and environments that nothing refers to any more are taken off the disk.

What was delivered long ago is forgotten too: no forge sends it again, and commands are known by their comments.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

import structlog

from kfops.domain.operation import Operation
from kfops.ports.clock import Clock
from kfops.ports.ledger import Ledger
from kfops.ports.storeroom import Storeroom
from kfops.rules.pruning import superfluous

EVERY = timedelta(hours=1)
DELIVERIES_KEPT = timedelta(days=14)  # GitHub sends again what is not older than three days
_AT_ONCE = 1000  # webhooks wait for a transaction of SQLite's
_DIGEST = re.compile(r"\b[0-9a-f]{64}\b")
log = structlog.get_logger("kfops.pruning")


@dataclass(frozen=True)
class Pruning:
    """`longest`: how long what nobody needs is kept; `most`: how many of a kind at most."""

    ledger: Ledger
    clock: Clock
    rooms: Sequence[Storeroom]
    longest: timedelta
    most: int

    def prune(self) -> None:
        self._forget_deliveries()
        # Looked at before what is needed: what is made meanwhile is young, and not on the list.
        found = [(room, room.kept()) for room in self.rooms]
        needed = frozenset(_needed(self.ledger))
        now = self.clock.now()
        for room, kept in found:
            names = superfluous(kept, needed, now, longest=self.longest, most=self.most)
            for name in names:
                room.remove(name)
            if names:
                log.info("pruned", what=room.label, count=len(names))

    def _forget_deliveries(self) -> None:
        before, forgotten = self.clock.now() - DELIVERIES_KEPT, 0
        while count := self.ledger.forget_deliveries(before, _AT_ONCE):
            forgotten += count
        if forgotten:
            log.info("pruned", what="deliveries", count=forgotten)


def _needed(ledger: Ledger) -> Iterator[str]:
    """What open operations and every revision that can be gone back to refer to."""
    for repository_id, _, _ in ledger.repositories():
        for operation in ledger.open_operations(repository_id):
            yield from _of(operation)
        for active in ledger.active_revisions(repository_id):
            for revision in ledger.revisions(repository_id, active.environment):
                yield revision.digest


def _of(operation: Operation) -> Iterator[str]:
    subject = operation.subject
    yield f"operation:{operation.id}"
    yield f"repository:{subject.repository_id}"
    yield f"commit:{subject.repository_id}/{subject.head_sha}"
    # Whatever the facts call it: a model to serve, the one before, an environment.
    yield from _DIGEST.findall(json.dumps(dict(operation.facts), default=str))
