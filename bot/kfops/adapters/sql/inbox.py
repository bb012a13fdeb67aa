from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from kfops.adapters.sql import tables as t
from kfops.adapters.sql.database import Database
from kfops.domain.pull_request import Actor, Head
from kfops.ports.ledger import Arrival, NewOperation


class SqlInbox:
    """What arrives: a delivery, the head it tells of, its commands and their operations, in one transaction."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def accept(self, arrivals: Sequence[Arrival]) -> None:
        with self.database.write() as connection:
            for arrival in arrivals:
                self._accept(connection, arrival)

    def _accept(self, connection: Connection, arrival: Arrival) -> None:
        is_new = self.database.insert_or_ignore(
            connection,
            t.deliveries,
            id=arrival.delivery_id,
            event=arrival.event,
            body_digest=arrival.body_digest,
            received_at=arrival.received_at,
        )
        if not is_new:
            return
        if arrival.repository_id is not None and arrival.repository_name:
            self._remember(connection, arrival)
        if arrival.head is not None:
            self._set_head(connection, arrival, arrival.head)
        previous: int | None = None
        for operation in arrival.operations:
            previous = self._add_operation(connection, operation, previous)
        if arrival.pokes and arrival.repository_id is not None:
            open_here = (
                (t.operations.c.repository_id == arrival.repository_id)
                & t.operations.c.ended_at.is_(None)
                & (t.operations.c.due_at > arrival.received_at)
            )
            if arrival.pull_request is not None:
                open_here &= t.operations.c.pull_request == arrival.pull_request
            connection.execute(sa.update(t.operations).where(open_here).values(due_at=arrival.received_at))

    def _remember(self, connection: Connection, arrival: Arrival) -> None:
        values: dict[str, Any] = {
            "full_name": arrival.repository_name,
            "default_branch": arrival.default_branch,
        }
        if arrival.installation_id is not None:
            values["installation_id"] = arrival.installation_id
        if not self.database.insert_or_ignore(connection, t.repositories, id=arrival.repository_id, **values):
            connection.execute(
                sa.update(t.repositories).where(t.repositories.c.id == arrival.repository_id).values(**values)
            )

    def _set_head(self, connection: Connection, arrival: Arrival, head: Head) -> None:
        values = {
            "head_sha": head.head_sha,
            "base_sha": head.base_sha,
            "base_ref": head.base_ref,
            "head_repository_id": head.head_repository_id,
            "sender_id": head.sender.id,
            "sender_login": head.sender.login,
            "sender_is_human": head.sender.is_human,
            "received_at": head.received_at,
        }
        key = {"repository_id": arrival.repository_id, "pull_request": arrival.pull_request}
        if not self.database.insert_or_ignore(connection, t.heads, **key, **values):
            same = (t.heads.c.repository_id == arrival.repository_id) & (
                t.heads.c.pull_request == arrival.pull_request
            )
            if not arrival.is_push:
                values = {name: value for name, value in values.items() if not name.startswith("sender_")}
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
        if not self.database.insert_or_ignore(
            connection,
            t.commands,
            repository_id=pinned.repository_id,
            comment_id=pinned.comment_id,
            idx=pinned.index,
            pull_request=pinned.pull_request,
            command=dict(pinned.command),
            author_id=pinned.author.id,
            author_login=pinned.author.login,
            author_is_human=pinned.author.is_human,
            body_hash=pinned.body_hash,
            received_at=pinned.received_at,
            head_sha=pinned.head_sha,
            base_sha=pinned.base_sha,
            base_ref=pinned.base_ref,
            head_repository_id=pinned.head_repository_id,
            is_late=pinned.is_late,
            is_recovered=pinned.is_recovered,
        ):
            return previous
        c = t.commands.c
        command_id = connection.execute(
            sa.select(c.id).where(
                c.repository_id == pinned.repository_id,
                c.comment_id == pinned.comment_id,
                c.idx == pinned.index,
            )
        ).scalar_one()
        operation_id: int = connection.execute(
            sa.insert(t.operations)
            .values(
                command_id=command_id,
                kind=new.kind.value,
                repository_id=pinned.repository_id,
                pull_request=pinned.pull_request,
                serial_key=new.serial_key,
                after=previous,
                phase="accepted",
                facts={},
                created_at=pinned.received_at,
                due_at=pinned.received_at,
            )
            .returning(t.operations.c.id)
        ).scalar_one()
        return operation_id

    def cursor(self, name: str) -> str | None:
        with self.database.read() as connection:
            return connection.execute(
                sa.select(t.cursors.c.value).where(t.cursors.c.name == name)
            ).scalar_one_or_none()

    def set_cursor(self, name: str, value: str) -> None:
        with self.database.write() as connection:
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


def head_of(connection: Connection, repository_id: int, pull_request: int) -> Head | None:
    c = t.heads.c
    row = connection.execute(
        sa.select(t.heads).where(c.repository_id == repository_id, c.pull_request == pull_request)
    ).one_or_none()
    if row is None:
        return None
    return Head(
        head_sha=row.head_sha,
        base_sha=row.base_sha,
        base_ref=row.base_ref,
        head_repository_id=row.head_repository_id,
        sender=Actor(row.sender_id, row.sender_login, row.sender_is_human),
        received_at=row.received_at,
    )
