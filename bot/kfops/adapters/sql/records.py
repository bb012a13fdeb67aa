from __future__ import annotations

import zlib
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from kfops.adapters.sql import tables as t
from kfops.adapters.sql.database import Database, Turn
from kfops.adapters.sql.fence import fenced, fenced_if
from kfops.domain.operation import Operation
from kfops.domain.record import Lock, RevisionRecord, RunRecord

r, v, k = t.runs.c, t.revisions.c, t.locks.c


class SqlRecords:
    """Evidence, revisions and trust marks."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def add_run(self, claim: Operation, run: RunRecord) -> None:
        values = vars(run) | {"evidence": dict(run.evidence)}
        with self.database.write() as connection:
            fenced(connection, claim)
            if not self.database.insert_or_ignore(connection, t.runs, **values):
                connection.execute(
                    sa.update(t.runs).where(r.operation_id == run.operation_id).values(**values)
                )

    def runs(
        self, repository_id: int, *, pull_request: int | None = None, commit_sha: str | None = None
    ) -> tuple[RunRecord, ...]:
        where = [r.repository_id == repository_id]
        if pull_request is not None:
            where.append(r.pull_request == pull_request)
        if commit_sha is not None:
            where.append(r.commit_sha == commit_sha)
        with self.database.read() as connection:
            rows = connection.execute(sa.select(t.runs).where(*where).order_by(r.operation_id.desc()))
            return tuple(RunRecord(**row._asdict()) for row in rows)

    def activate(self, claim: Operation, revision: RevisionRecord) -> None:
        values: dict[str, Any] = vars(revision) | {"is_active": True}
        del values["id"]
        place = (v.repository_id == revision.repository_id) & (v.environment == revision.environment)
        with self.database.write() as connection:
            fenced(connection, claim)
            connection.execute(sa.update(t.revisions).where(place).values(is_active=False))
            if not self.database.insert_or_ignore(connection, t.revisions, **values):
                same = place & (v.digest == revision.digest) & (v.since == revision.since)
                connection.execute(sa.update(t.revisions).where(same).values(is_active=True))

    def revisions(self, repository_id: int, environment: str) -> tuple[RevisionRecord, ...]:
        with self.database.read() as connection:
            rows = connection.execute(
                sa.select(t.revisions)
                .where(v.repository_id == repository_id, v.environment == environment)
                .order_by(v.since.desc(), v.id.desc())
            )
            return tuple(RevisionRecord(**row._asdict()) for row in rows)

    def allow_fork(self, claim: Operation, commit_sha: str, now: datetime) -> None:
        subject = claim.subject
        with self.database.write() as connection:
            fenced(connection, claim)
            self.database.insert_or_ignore(
                connection,
                t.fork_permits,
                repository_id=subject.repository_id,
                pull_request=subject.pull_request,
                commit_sha=commit_sha,
                by=subject.author.login,
                at=now,
            )

    def fork_allowed(self, repository_id: int, pull_request: int, commit_sha: str) -> bool:
        p = t.fork_permits.c
        with self.database.read() as connection:
            found = connection.execute(
                sa.select(p.by).where(
                    p.repository_id == repository_id,
                    p.pull_request == pull_request,
                    p.commit_sha == commit_sha,
                )
            ).first()
            return found is not None


class SqlLocks:
    """One row a lock: owned, leased, compare-and-delete (R14)."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def acquire(self, lock: Lock, claim: Operation | None = None) -> Lock:
        with self.database.write() as connection:
            self._take_turns(connection, lock.key)
            fenced_if(connection, claim)
            connection.execute(sa.delete(t.locks).where(k.key == lock.key, k.until < lock.since))
            self.database.insert_or_ignore(connection, t.locks, **vars(lock))
            connection.execute(
                sa.update(t.locks).where(k.key == lock.key, k.holder == lock.holder).values(until=lock.until)
            )
            return Lock(**connection.execute(sa.select(t.locks).where(k.key == lock.key)).one()._asdict())

    def release(self, key: str, holder: str, claim: Operation | None = None) -> bool:
        with self.database.write() as connection:
            self._take_turns(connection, key)
            fenced_if(connection, claim)
            return (
                connection.execute(sa.delete(t.locks).where(k.key == key, k.holder == holder)).rowcount == 1
            )

    def _take_turns(self, connection: Connection, key: str) -> None:
        """Who asks and is told "held" must find the holder's row still there."""
        self.database.take_turns(connection, Turn.LOCKS, [zlib.crc32(key.encode())])

    def held(self, key: str, now: datetime) -> Lock | None:
        with self.database.read() as connection:
            row = connection.execute(
                sa.select(t.locks).where(k.key == key, sa.or_(k.until.is_(None), k.until >= now))
            ).one_or_none()
            return Lock(**row._asdict()) if row else None
