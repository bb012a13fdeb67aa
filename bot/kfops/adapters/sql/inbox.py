from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from kfops.adapters.sql import tables as t
from kfops.adapters.sql.database import Database, Turn
from kfops.adapters.sql.fence import fenced_if
from kfops.domain.operation import Operation, Subject
from kfops.domain.pull_request import Actor, Head
from kfops.ports.ledger import Arrival, NewOperation


class SqlInbox:
    """What arrives: a delivery, the head it tells of, its commands and their operations, in one transaction."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._deliveries = database.insert(t.deliveries).on_conflict_do_nothing().returning(t.deliveries.c.id)
        self._repositories = _upsert_repositories(database)
        self._commands = database.insert(t.commands).on_conflict_do_nothing().returning(t.commands.c.id)

    def accept(self, arrivals: Sequence[Arrival]) -> None:
        """One statement for all deliveries and one for all repositories: hundreds may wait for this transaction."""
        served = [one.repository_id for one in arrivals if one.repository_id is not None]
        with self.database.write() as connection:
            self.database.take_turns(connection, Turn.LINES, served)
            new = self._new(connection, arrivals)
            self._remember(connection, new)
            for arrival in new:
                self._accept(connection, arrival)

    def _new(self, connection: Connection, arrivals: Sequence[Arrival]) -> list[Arrival]:
        """Those that were not stored before, each once, as they came."""
        first: dict[str, Arrival] = {}
        for one in arrivals:
            first.setdefault(one.delivery_id, one)
        rows = [
            {
                "id": one.delivery_id,
                "event": one.event,
                "body_digest": one.body_digest,
                "received_at": one.received_at,
            }
            for one in sorted(first.values(), key=lambda one: one.delivery_id)
        ]
        if not rows:
            return []
        stored = set(connection.execute(self._deliveries, rows).scalars())
        return [one for name, one in first.items() if name in stored]

    def _accept(self, connection: Connection, arrival: Arrival) -> None:
        if arrival.head is not None:
            self._set_head(connection, arrival, arrival.head)
        previous: int | None = None
        for operation in arrival.operations:
            previous = self._add_operation(connection, operation, previous)
        if arrival.pokes and arrival.repository_id is not None:
            self._poke(connection, arrival)

    def _poke(self, connection: Connection, arrival: Arrival) -> None:
        """Operations at work are poked too: their step may have looked already."""
        o = t.operations.c
        open_here = (
            (o.repository_id == arrival.repository_id)
            & o.ended_at.is_(None)
            & ((o.due_at > arrival.received_at) | o.owner.is_not(None))
        )
        if arrival.pull_request is not None:
            open_here &= o.pull_request == arrival.pull_request
        connection.execute(sa.update(t.operations).where(open_here).values(due_at=arrival.received_at))

    def _remember(self, connection: Connection, arrivals: Sequence[Arrival]) -> None:
        """What each repository is called now. An installation is not forgotten when a delivery does not name it."""
        latest: dict[int, dict[str, Any]] = {}
        for one in arrivals:
            if one.repository_id is not None and one.repository_name:
                before = latest.get(one.repository_id, {})
                latest[one.repository_id] = {
                    "id": one.repository_id,
                    "full_name": one.repository_name,
                    "default_branch": one.default_branch,
                    "installation_id": one.installation_id or before.get("installation_id"),
                }
        if latest:
            connection.execute(self._repositories, [latest[key] for key in sorted(latest)])

    def _set_head(self, connection: Connection, arrival: Arrival, told: Head) -> None:
        repository_id, number = arrival.repository_id, arrival.pull_request
        if repository_id is None or number is None:
            return
        known = head_of(connection, repository_id, number)
        values = _row(known.then(told) if known else told)
        if known is None:
            values |= {"repository_id": repository_id, "pull_request": number}
            connection.execute(sa.insert(t.heads).values(**values))
        else:
            c = t.heads.c
            same = (c.repository_id == repository_id) & (c.pull_request == number)
            connection.execute(sa.update(t.heads).where(same).values(**values))

    def _add_operation(self, connection: Connection, new: NewOperation, previous: int | None) -> int | None:
        subject = new.subject
        head = head_of(connection, subject.repository_id, subject.pull_request)
        pinned = (
            dataclasses.replace(
                subject,
                head_sha=head.head_sha,
                base_sha=head.base_sha,
                base_ref=head.base_ref,
                head_repository_id=head.head_repository_id,
            )
            if head
            else dataclasses.replace(subject, is_late=True)
        )
        command_id = connection.execute(self._commands, _command(pinned)).scalar_one_or_none()
        if command_id is None:
            return previous
        operation_id: int = connection.execute(
            OPERATION,
            {
                "command_id": command_id,
                "kind": new.kind.value,
                "repository_id": pinned.repository_id,
                "pull_request": pinned.pull_request,
                "serial_key": new.serial_key,
                "line": new.serial_key,
                "after": previous,
                "before": previous,
                "created_at": pinned.received_at,
                "due_at": pinned.received_at,
            },
        ).scalar_one()
        return operation_id

    def cursor(self, name: str) -> str | None:
        with self.database.read() as connection:
            return connection.execute(
                sa.select(t.cursors.c.value).where(t.cursors.c.name == name)
            ).scalar_one_or_none()

    def set_cursor(self, name: str, value: str, claim: Operation | None = None) -> None:
        with self.database.write() as connection:
            fenced_if(connection, claim)
            if not self.database.insert_or_ignore(connection, t.cursors, name=name, value=value):
                connection.execute(sa.update(t.cursors).where(t.cursors.c.name == name).values(value=value))

    def repositories(self) -> tuple[tuple[int, str, int | None], ...]:
        with self.database.read() as connection:
            rows = connection.execute(
                sa.select(t.repositories.c.id, t.repositories.c.full_name, t.repositories.c.installation_id)
            )
            return tuple((row.id, row.full_name, row.installation_id) for row in rows)

    def knows_comment(self, repository_id: int, comment_id: int) -> bool:
        c = t.commands.c
        with self.database.read() as connection:
            found = connection.execute(
                sa.select(c.id).where(c.repository_id == repository_id, c.comment_id == comment_id).limit(1)
            ).first()
            return found is not None

    def forget_deliveries(self, before: datetime, most: int) -> int:
        d = t.deliveries.c
        # Replicas that forget at once take different ones instead of waiting for each other.
        old = (
            sa.select(d.id)
            .where(d.received_at < before)
            .order_by(d.received_at)
            .limit(most)
            .with_for_update(skip_locked=True)
        )
        with self.database.write() as connection:
            return connection.execute(sa.delete(t.deliveries).where(d.id.in_(old))).rowcount


def _upsert_repositories(database: Database) -> Any:
    insert, now = database.insert(t.repositories), t.repositories.c
    installation = sa.func.coalesce(insert.excluded.installation_id, now.installation_id)
    return insert.on_conflict_do_update(
        index_elements=[now.id],
        set_={
            "full_name": insert.excluded.full_name,
            "default_branch": insert.excluded.default_branch,
            "installation_id": installation,
        },
        # Most deliveries tell nothing new of their repository: then no page is written.
        where=(now.full_name != insert.excluded.full_name)
        | (now.default_branch != insert.excluded.default_branch)
        | now.installation_id.is_distinct_from(installation),
    )


def _new_operation() -> Any:
    """Behind an earlier command of its comment, or of its line, it waits."""
    o = t.operations.c
    ahead = sa.select(sa.exists().where(o.serial_key == sa.bindparam("line"), o.ended_at.is_(None)))
    earlier = sa.cast(sa.bindparam("before", type_=sa.BigInteger()), sa.BigInteger).is_not(None)
    given = (
        o.command_id,
        o.kind,
        o.repository_id,
        o.pull_request,
        o.serial_key,
        o.after,
        o.created_at,
        o.due_at,
    )
    return (
        sa.insert(t.operations)
        .values(
            {one: sa.bindparam(one.name, type_=one.type) for one in given}
            | {o.phase: "accepted", o.facts: {}, o.waiting: sa.or_(earlier, ahead.scalar_subquery())}
        )
        .returning(o.id)
    )


# Made once: making a statement costs several times as much as running it.
OPERATION = _new_operation()
HEAD = sa.select(t.heads).where(
    t.heads.c.repository_id == sa.bindparam("repository"), t.heads.c.pull_request == sa.bindparam("number")
)


def _command(pinned: Subject) -> dict[str, Any]:
    return {
        "repository_id": pinned.repository_id,
        "comment_id": pinned.comment_id,
        "idx": pinned.index,
        "pull_request": pinned.pull_request,
        "command": dict(pinned.command),
        "author_id": pinned.author.id,
        "author_login": pinned.author.login,
        "author_is_human": pinned.author.is_human,
        "body_hash": pinned.body_hash,
        "received_at": pinned.received_at,
        "head_sha": pinned.head_sha,
        "base_sha": pinned.base_sha,
        "base_ref": pinned.base_ref,
        "head_repository_id": pinned.head_repository_id,
        "is_late": pinned.is_late,
        "is_recovered": pinned.is_recovered,
    }


def head_of(connection: Connection, repository_id: int, pull_request: int) -> Head | None:
    row = connection.execute(HEAD, {"repository": repository_id, "number": pull_request}).one_or_none()
    if row is None:
        return None
    return Head(
        head_sha=row.head_sha,
        base_sha=row.base_sha,
        base_ref=row.base_ref,
        head_repository_id=row.head_repository_id,
        sender=Actor(row.sender_id, row.sender_login, row.sender_is_human),
        received_at=row.received_at,
        changed_at=row.changed_at,
        pushed_at=row.pushed_at,
        before_sha=row.before_sha,
    )


def _row(head: Head) -> dict[str, Any]:
    return {
        "head_sha": head.head_sha,
        "base_sha": head.base_sha,
        "base_ref": head.base_ref,
        "head_repository_id": head.head_repository_id,
        "sender_id": head.sender.id,
        "sender_login": head.sender.login,
        "sender_is_human": head.sender.is_human,
        "received_at": head.received_at,
        "changed_at": head.changed_at,
        "pushed_at": head.pushed_at,
        "before_sha": head.before_sha,
    }
