from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from kfops.adapters.sql import tables as t
from kfops.adapters.sql.database import Database, Turn
from kfops.adapters.sql.fence import FENCED, THIS, fenced
from kfops.domain.operation import EffectRecord, EffectState, Kind, Operation, Outcome, Subject
from kfops.domain.pull_request import Actor
from kfops.ports.ledger import Saved

o = t.operations.c
JOINED = sa.join(t.operations, t.commands, o.command_id == t.commands.c.id)
COLUMNS: list[sa.ColumnElement[Any]] = [
    *t.operations.c,
    *(
        column.label(f"c_{column.name}")
        for column in t.commands.c
        if column.name not in {"id", "repository_id", "pull_request"}
    ),
]


class SqlWork:
    """The reconciler's side: claim with a lease and a fence, save, and the two halves of an effect."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def claim(self, owner: str, now: datetime, lease: timedelta) -> Operation | None:
        return self._claim(READY, owner, now, lease)

    def claim_unsettled(self, owner: str, now: datetime, lease: timedelta) -> Operation | None:
        return self._claim(UNSETTLED, owner, now, lease)

    def _claim(
        self, eligible: sa.Select[Any], owner: str, now: datetime, lease: timedelta
    ) -> Operation | None:
        with self.database.write() as connection:
            found = connection.execute(eligible, {"now": now}).one_or_none()
            if found is None:
                return None
            # An owner that is still written down let its lease run out.
            taken = {
                "owner": owner,
                "lease_until": now + lease,
                "fence": found.fence + 1,
                "takeovers": found.takeovers + (found.owner is not None),
            }
            connection.execute(TAKE, {"this": found.id, **taken})
            return _operations(connection, connection.execute(ONE, {"this": found.id}).all())[0]

    def end_leases(self) -> None:
        with self.database.write() as connection:
            held = o.lease_until.is_not(None)
            connection.execute(sa.update(t.operations).where(held).values(lease_until=None))

    def renew(self, operation: Operation, now: datetime, lease: timedelta) -> None:
        with self.database.write() as connection:
            fenced(connection, operation, lease_until=now + lease)

    def save(self, operation: Operation, saved: Saved) -> None:
        with self.database.write() as connection:
            if saved.ended_at is not None:
                self.database.take_turns(connection, Turn.LINES, [operation.subject.repository_id])
            fenced(
                connection,
                operation,
                SAVE,
                seen=operation.due_at,
                wanted=saved.due_at,
                phase=saved.phase,
                facts=dict(saved.facts),
                failures=saved.failures,
                defects=saved.defects,
                failing_since=saved.failing_since,
                outcome=saved.outcome.value if saved.outcome else None,
                reason_code=saved.reason_code,
                ended_at=saved.ended_at,
                settle_at=saved.settle_at,
                owner=None,
                lease_until=None,
            )
            if saved.ended_at is not None:
                self._let_go(connection, operation)

    def effect_about(self, operation: Operation, name: str, now: datetime) -> bool:
        with self.database.write() as connection:
            fenced(connection, operation)
            return not self.database.insert_or_ignore(
                connection,
                t.effects,
                operation_id=operation.id,
                name=name,
                state=EffectState.ABOUT.value,
                identity="",
                at=now,
            )

    def effect_done(self, operation: Operation, name: str, identity: str, now: datetime) -> None:
        with self.database.write() as connection:
            fenced(connection, operation)
            connection.execute(
                sa.update(t.effects)
                .where(t.effects.c.operation_id == operation.id, t.effects.c.name == name)
                .values(state=EffectState.DONE.value, identity=identity, at=now)
            )

    def told(self, operation: Operation, digest: str, now: datetime) -> None:
        with self.database.write() as connection:
            fenced(connection, operation, told_digest=digest, told_at=now)

    def next_due(self) -> datetime | None:
        with self.database.read() as connection:
            soonest: datetime | None = connection.execute(
                sa.select(sa.func.min(o.due_at)).where(t.IS_OPEN, ~o.waiting)
            ).scalar_one()
            return soonest

    def _let_go(self, connection: Connection, ended: Operation) -> None:
        """Those that waited for this one; if they wait for another as well, `claim` sees to it."""
        line = t.operations.alias("line")
        following = (
            sa.select(sa.func.min(line.c.id))
            .where(line.c.serial_key == ended.serial_key, line.c.ended_at.is_(None))
            .scalar_subquery()
        )
        connection.execute(
            sa.update(t.operations).where(o.id == following, o.waiting).values(waiting=sa.false())
        )
        connection.execute(
            sa.update(t.operations).where(o.after == ended.id, t.IS_OPEN).values(waiting=sa.false())
        )


CLAIMED = (o.id, o.fence, o.owner, o.takeovers)
Now = datetime | sa.ColumnElement[Any]


def ready(now: Now) -> sa.Select[Any]:
    """What may be worked on: due, free, the first of its line, and not behind an earlier command of its comment."""
    earlier, before = t.operations.alias("earlier"), t.operations.alias("before")
    return sa.select(*CLAIMED).where(
        t.IS_OPEN,
        ~o.waiting,
        o.due_at <= now,
        _free(now),
        ~sa.exists().where(
            earlier.c.serial_key == o.serial_key, earlier.c.ended_at.is_(None), earlier.c.id < o.id
        ),
        ~sa.exists().where(before.c.id == o.after, before.c.ended_at.is_(None)),
    )


def _free(now: Now) -> sa.ColumnElement[bool]:
    return sa.or_(o.lease_until.is_(None), o.lease_until < now)


def _first(eligible: sa.Select[Any], soonest: sa.ColumnElement[Any]) -> sa.Select[Any]:
    one = eligible.order_by(soonest, o.id).limit(1)
    return one.with_for_update(skip_locked=True)  # SQLite has no such words, and one writer


def _not_after_a_poke() -> sa.ColumnElement[Any]:
    """A poke that came while the step was at work moved the row's moment; then it is looked at again at once."""
    seen, wanted = sa.bindparam("seen", type_=t.Moment()), sa.bindparam("wanted", type_=t.Moment())
    return sa.case((sa.or_(o.due_at == seen, o.due_at > wanted), wanted), else_=o.due_at)


# Made once: an idle bot asks several times a second, and making a statement costs ten times as much as asking it.
_NOW = sa.bindparam("now", type_=t.Moment())
READY = _first(ready(_NOW), o.due_at)
UNSETTLED = _first(sa.select(*CLAIMED).where(o.settle_at <= _NOW, _free(_NOW)), o.settle_at)
SAVE = FENCED.values(due_at=_not_after_a_poke())
TAKE = sa.update(t.operations).where(o.id == THIS)
ALL = sa.select(*COLUMNS).select_from(JOINED).order_by(o.id)
ONE = ALL.where(o.id == THIS)
EFFECTS = sa.select(t.effects).where(t.effects.c.operation_id.in_(sa.bindparam("these", expanding=True)))


def read_operations(connection: Connection, *where: sa.ColumnElement[bool]) -> tuple[Operation, ...]:
    return _operations(connection, connection.execute(ALL.where(*where)).all())


def _operations(connection: Connection, rows: Sequence[Any]) -> tuple[Operation, ...]:
    effects = _effects(connection, [row.id for row in rows])
    return tuple(_operation(row, effects.get(row.id, {})) for row in rows)


def _effects(connection: Connection, ids: Iterable[int]) -> dict[int, dict[str, EffectRecord]]:
    found: dict[int, dict[str, EffectRecord]] = {}
    for row in connection.execute(EFFECTS, {"these": list(ids)}):
        found.setdefault(row.operation_id, {})[row.name] = EffectRecord(
            row.name, EffectState(row.state), row.identity, row.at
        )
    return found


def _operation(row: Any, effects: dict[str, EffectRecord]) -> Operation:
    return Operation(
        id=row.id,
        kind=Kind(row.kind),
        subject=Subject(
            repository_id=row.repository_id,
            pull_request=row.pull_request,
            comment_id=row.c_comment_id,
            index=row.c_idx,
            command=row.c_command,
            author=Actor(row.c_author_id, row.c_author_login, row.c_author_is_human),
            body_hash=row.c_body_hash,
            received_at=row.c_received_at,
            head_sha=row.c_head_sha,
            base_sha=row.c_base_sha,
            base_ref=row.c_base_ref,
            head_repository_id=row.c_head_repository_id,
            is_late=row.c_is_late,
            is_recovered=row.c_is_recovered,
        ),
        serial_key=row.serial_key,
        phase=row.phase,
        facts=row.facts,
        created_at=row.created_at,
        due_at=row.due_at,
        after=row.after,
        failures=row.failures,
        defects=row.defects,
        failing_since=row.failing_since,
        fence=row.fence,
        cancel_by=row.cancel_by,
        outcome=Outcome(row.outcome) if row.outcome else None,
        reason_code=row.reason_code,
        ended_at=row.ended_at,
        told_digest=row.told_digest,
        told_at=row.told_at,
        takeovers=row.takeovers,
        effects=effects,
    )
