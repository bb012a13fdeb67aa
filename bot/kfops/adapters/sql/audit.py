"""The append-only trail: every entry carries the digest of the one before it, per repository."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from kfops.adapters.sql import tables as t
from kfops.adapters.sql.database import Database, Turn
from kfops.adapters.sql.fence import fenced_if
from kfops.domain.operation import Operation
from kfops.domain.record import AuditEntry

a = t.audit.c
GENESIS = "0" * 64


class SqlAudit:
    def __init__(self, database: Database) -> None:
        self.database = database

    def append(
        self,
        repository_id: int,
        pull_request: int,
        at: datetime,
        actor: str,
        action: str,
        detail: Mapping[str, Any],
        claim: Operation | None = None,
    ) -> AuditEntry:
        with self.database.write() as connection:
            # Two replicas appending at once would both see the same last entry.
            self.database.take_turns(connection, Turn.AUDIT, [repository_id])
            fenced_if(connection, claim)
            last = connection.execute(
                sa.select(a.sequence, a.digest)
                .where(a.repository_id == repository_id)
                .order_by(a.sequence.desc())
                .limit(1)
            ).one_or_none()
            sequence, previous = (last.sequence + 1, last.digest) if last else (1, GENESIS)
            values = {
                "repository_id": repository_id,
                "sequence": sequence,
                "pull_request": pull_request,
                "at": at,
                "actor": actor,
                "action": action,
                "detail": json.loads(json.dumps(detail, default=str)),
            }
            entry = AuditEntry(**values, previous=previous, digest=digest(previous, values))
            connection.execute(sa.insert(t.audit).values(**vars(entry)))
            return entry

    def trail(self, repository_id: int, pull_request: int | None = None) -> tuple[AuditEntry, ...]:
        where = [a.repository_id == repository_id]
        if pull_request is not None:
            where.append(a.pull_request == pull_request)
        with self.database.read() as connection:
            rows = connection.execute(sa.select(t.audit).where(*where).order_by(a.sequence))
            return tuple(AuditEntry(**row._asdict()) for row in rows)

    def verify(self, repository_id: int) -> str | None:
        # Read first: what is written from here on is in the trail and not among them.
        wrote = self._written_by(repository_id)
        trail = self.trail(repository_id)
        broken = _broken(trail)
        if broken:
            return broken
        known = {entry.sequence: entry for entry in trail}
        for operation, name in wrote:
            sequence = int(name.partition(":")[0])
            if sequence not in known:
                return f"entry {sequence} is missing: operation {operation} wrote it"
            if known[sequence].name != name:
                return f"entry {sequence} is not the one that operation {operation} wrote"
        return None

    def _written_by(self, repository_id: int) -> list[tuple[int, str]]:
        """(operation, entry's name): a chain alone does not show that its end was cut off."""
        e, o = t.effects.c, t.operations.c
        of_audit = sa.select(e.operation_id, e.identity).where(
            o.id == e.operation_id,
            o.repository_id == repository_id,
            e.name == "audit",
            e.identity.contains(":"),
        )
        with self.database.read() as connection:
            return [(row.operation_id, row.identity) for row in connection.execute(of_audit)]


def _broken(trail: tuple[AuditEntry, ...]) -> str | None:
    previous = GENESIS
    for number, entry in enumerate(trail, start=1):
        if entry.sequence != number:
            return f"entry {number} is missing: the next one is {entry.sequence}"
        if entry.previous != previous:
            return f"entry {number} does not follow the entry before it"
        if digest(previous, vars(entry)) != entry.digest:
            return f"entry {number} was changed after it was written"
        previous = entry.digest
    return None


def digest(previous: str, values: Mapping[str, Any]) -> str:
    body = {
        name: values[name]
        for name in ("repository_id", "sequence", "pull_request", "actor", "action", "detail")
    }
    text = json.dumps([previous, values["at"].isoformat(), body], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
