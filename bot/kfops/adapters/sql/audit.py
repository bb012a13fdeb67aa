"""The append-only trail: every entry carries the digest of the one before it, per repository."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from kfops.adapters.sql import tables as t
from kfops.adapters.sql.database import Database
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
    ) -> None:
        with self.database.write() as connection:
            if not self.database.is_sqlite:
                # Two replicas appending at once would both see the same last entry.
                connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": repository_id})
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
            connection.execute(
                sa.insert(t.audit).values(**values, previous=previous, digest=digest(previous, values))
            )

    def trail(self, repository_id: int, pull_request: int | None = None) -> tuple[AuditEntry, ...]:
        where = [a.repository_id == repository_id]
        if pull_request is not None:
            where.append(a.pull_request == pull_request)
        with self.database.read() as connection:
            rows = connection.execute(sa.select(t.audit).where(*where).order_by(a.sequence))
            return tuple(AuditEntry(**row._asdict()) for row in rows)

    def verify(self, repository_id: int) -> str | None:
        previous = GENESIS
        for number, entry in enumerate(self.trail(repository_id), start=1):
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
