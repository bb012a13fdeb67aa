from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from kfops.adapters.sql import tables as t
from kfops.adapters.sql.database import Database, Turn
from kfops.adapters.sql.fence import fenced, fenced_if
from kfops.adapters.sql.inbox import head_of
from kfops.adapters.sql.work import read_operations
from kfops.domain.canary_facts import SignalKind
from kfops.domain.operation import Kind, Operation, Signal
from kfops.domain.pull_request import Head

o = t.operations.c


class SqlSteering:
    """How operations see and steer one another: rows that the target reads at its next step."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def operation(self, operation_id: int) -> Operation | None:
        with self.database.read() as connection:
            return next(iter(read_operations(connection, o.id == operation_id)), None)

    def open_operations(
        self, repository_id: int, pull_request: int | None = None, kinds: frozenset[Kind] = frozenset()
    ) -> tuple[Operation, ...]:
        where = [o.repository_id == repository_id, o.ended_at.is_(None)]
        if pull_request is not None:
            where.append(o.pull_request == pull_request)
        if kinds:
            where.append(o.kind.in_([kind.value for kind in kinds]))
        with self.database.read() as connection:
            return read_operations(connection, *where)

    def request_cancel(
        self, operation_id: int, by: str, now: datetime, claim: Operation | None = None
    ) -> None:
        with self.database.write() as connection:
            self._steered_by(connection, claim)
            connection.execute(
                sa.update(t.operations)
                .where(o.id == operation_id, o.ended_at.is_(None), o.cancel_by.is_(None))
                .values(cancel_by=by, due_at=now)
            )

    def signal(self, operation_id: int, signal: Signal, claim: Operation | None = None) -> None:
        with self.database.write() as connection:
            self._steered_by(connection, claim)
            connection.execute(
                sa.insert(t.signals).values(
                    operation_id=operation_id,
                    kind=signal.kind.value,
                    by=signal.by,
                    reason=signal.reason,
                    at=signal.at,
                )
            )
            connection.execute(
                sa.update(t.operations)
                .where(o.id == operation_id, o.ended_at.is_(None))
                .values(due_at=signal.at)
            )

    def signals(self, operation_id: int) -> tuple[Signal, ...]:
        s = t.signals.c
        with self.database.read() as connection:
            rows = connection.execute(
                sa.select(t.signals).where(s.operation_id == operation_id).order_by(s.id)
            )
            return tuple(Signal(SignalKind(row.kind), row.by, row.reason, row.at) for row in rows)

    def wake_first(self, kinds: frozenset[Kind], phase: str, now: datetime) -> None:
        here = (t.IS_OPEN, o.phase == phase, o.kind.in_([kind.value for kind in kinds]))
        first = sa.select(sa.func.min(o.id)).where(*here).group_by(o.repository_id)
        with self.database.read() as connection:
            found = connection.execute(first).scalars().all()
        for (
            number
        ) in found:  # one at a time: two that wake the same ones in another order would wait for each other
            with self.database.write() as connection:
                # One at work is woken too: it may have looked already.
                asleep = (o.due_at > now) | o.owner.is_not(None)
                connection.execute(
                    sa.update(t.operations).where(o.id == number, t.IS_OPEN, asleep).values(due_at=now)
                )

    def head(self, repository_id: int, pull_request: int) -> Head | None:
        with self.database.read() as connection:
            return head_of(connection, repository_id, pull_request)

    def pin(self, operation: Operation, head: Head) -> None:
        pins = {
            "head_sha": head.head_sha,
            "base_sha": head.base_sha,
            "base_ref": head.base_ref,
            "head_repository_id": head.head_repository_id,
        }
        command_id = sa.select(o.command_id).where(o.id == operation.id).scalar_subquery()
        with self.database.write() as connection:
            fenced(connection, operation)
            connection.execute(sa.update(t.commands).where(t.commands.c.id == command_id).values(**pins))

    def _steered_by(self, connection: Connection, claim: Operation | None) -> None:
        """Two rows are locked here, and a poke locks many: without turns they could wait for each other."""
        if claim is not None:
            self.database.take_turns(connection, Turn.LINES, [claim.subject.repository_id])
        fenced_if(connection, claim)
