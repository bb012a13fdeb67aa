from __future__ import annotations

import sqlalchemy as sa

from kfops.adapters.sql import tables as t
from kfops.adapters.sql.database import Database
from kfops.adapters.sql.work import read_operations
from kfops.domain.operation import Operation
from kfops.domain.record import Lock, RevisionRecord

o, v, k = t.operations.c, t.revisions.c, t.locks.c


class SqlHistory:
    """What pages show: read beside the workers, in bounded pieces."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def recent(
        self, repository_id: int, *, pull_request: int | None = None, limit: int = 50
    ) -> tuple[Operation, ...]:
        newest = sa.select(o.id).where(o.repository_id == repository_id).order_by(o.id.desc()).limit(limit)
        if pull_request is not None:
            newest = newest.where(o.pull_request == pull_request)
        with self.database.read() as connection:
            found = read_operations(connection, o.id.in_(newest))
        return tuple(sorted(found, key=lambda one: one.id, reverse=True))

    def active_revisions(self, repository_id: int) -> tuple[RevisionRecord, ...]:
        with self.database.read() as connection:
            rows = connection.execute(
                sa.select(t.revisions)
                .where(v.repository_id == repository_id, v.is_active)
                .order_by(v.environment)
            )
            return tuple(RevisionRecord(**row._asdict()) for row in rows)

    def locks(self, prefix: str) -> tuple[Lock, ...]:
        with self.database.read() as connection:
            rows = connection.execute(
                sa.select(t.locks).where(k.key.startswith(prefix, autoescape=True)).order_by(k.key)
            )
            return tuple(Lock(**row._asdict()) for row in rows)
