"""The ledger's tables. Moments are microseconds since 1970 in UTC: exact, ordered, the same on both databases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.types import TypeDecorator

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Moment(TypeDecorator[datetime]):
    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> int | None:  # noqa: ARG002
        return None if value is None else (value - EPOCH) // timedelta(microseconds=1)

    def process_result_value(self, value: Any | None, dialect: sa.Dialect) -> datetime | None:  # noqa: ARG002
        return None if value is None else EPOCH + timedelta(microseconds=value)


metadata = sa.MetaData()
Id = sa.BigInteger().with_variant(sa.Integer, "sqlite")  # SQLite counts up only INTEGER keys

deliveries = sa.Table(
    "deliveries",
    metadata,
    sa.Column("id", sa.String(128), primary_key=True),
    sa.Column("event", sa.String(64), nullable=False),
    sa.Column("body_digest", sa.String(64), nullable=False),
    sa.Column("received_at", Moment, nullable=False),
    sa.Index("ix_deliveries_received", "received_at"),
)

repositories = sa.Table(
    "repositories",
    metadata,
    sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("full_name", sa.String(255), nullable=False),
    sa.Column("default_branch", sa.String(255), nullable=False),
    sa.Column("installation_id", sa.BigInteger),
)

heads = sa.Table(
    "heads",
    metadata,
    sa.Column("repository_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("pull_request", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("head_sha", sa.String(64), nullable=False),
    sa.Column("base_sha", sa.String(64), nullable=False),
    sa.Column("base_ref", sa.String(255), nullable=False),
    sa.Column("head_repository_id", sa.BigInteger),
    sa.Column("sender_id", sa.BigInteger, nullable=False),
    sa.Column("sender_login", sa.String(255), nullable=False),
    sa.Column("sender_is_human", sa.Boolean, nullable=False),
    sa.Column("received_at", Moment, nullable=False),
    sa.Column("changed_at", Moment),  # the forge's moments, by which deliveries are ordered
    sa.Column("pushed_at", Moment),
    sa.Column("before_sha", sa.String(64)),
)

commands = sa.Table(
    "commands",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("repository_id", sa.BigInteger, nullable=False),
    sa.Column("comment_id", sa.BigInteger, nullable=False),
    sa.Column("idx", sa.Integer, nullable=False),
    sa.Column("pull_request", sa.Integer, nullable=False),
    sa.Column("command", sa.JSON, nullable=False),
    sa.Column("author_id", sa.BigInteger, nullable=False),
    sa.Column("author_login", sa.String(255), nullable=False),
    sa.Column("author_is_human", sa.Boolean, nullable=False),
    sa.Column("body_hash", sa.String(64), nullable=False),
    sa.Column("received_at", Moment, nullable=False),
    sa.Column("head_sha", sa.String(64)),
    sa.Column("base_sha", sa.String(64)),
    sa.Column("base_ref", sa.String(255)),
    sa.Column("head_repository_id", sa.BigInteger),
    sa.Column("is_late", sa.Boolean, nullable=False),
    sa.Column("is_recovered", sa.Boolean, nullable=False),
    sa.UniqueConstraint("repository_id", "comment_id", "idx"),
)

operations = sa.Table(
    "operations",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("command_id", sa.ForeignKey("commands.id"), nullable=False, unique=True),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("repository_id", sa.BigInteger, nullable=False),
    sa.Column("pull_request", sa.Integer, nullable=False),
    sa.Column("serial_key", sa.String(255), nullable=False),
    sa.Column("after", sa.BigInteger),
    sa.Column("phase", sa.String(64), nullable=False),
    sa.Column("facts", sa.JSON, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("due_at", Moment, nullable=False),
    sa.Column("failures", sa.Integer, nullable=False, default=0),
    sa.Column("defects", sa.Integer, nullable=False, default=0),
    sa.Column("failing_since", Moment),
    sa.Column("owner", sa.String(128)),
    sa.Column("lease_until", Moment),
    sa.Column("fence", sa.BigInteger, nullable=False, default=0),
    sa.Column("cancel_by", sa.String(255)),
    sa.Column("outcome", sa.String(32)),
    sa.Column("reason_code", sa.String(64)),
    sa.Column("ended_at", Moment),
    sa.Column("told_digest", sa.String(64), nullable=False, default=""),
    sa.Column("told_at", Moment),
    # Behind another one of its line when it came. Only spares `claim` the look at it: who may go is asked there.
    sa.Column("waiting", sa.Boolean, nullable=False, default=False),
    sa.Column("takeovers", sa.Integer, nullable=False, default=0),
    # Ended, and something outside is still to be brought to its final state (R18).
    sa.Column("settle_at", Moment),
    sa.Index("ix_operations_subject", "repository_id", "pull_request", "ended_at"),
)


def _partial(name: str, where: sa.ColumnElement[bool], *columns: sa.Column[Any]) -> sa.Index:
    return sa.Index(name, *columns, sqlite_where=where, postgresql_where=where)


_o = operations.c
IS_OPEN = _o.ended_at.is_(None)
_partial("ix_operations_ready", IS_OPEN & ~_o.waiting, _o.due_at, _o.id)
_partial("ix_operations_line", IS_OPEN, _o.serial_key, _o.id)
_partial("ix_operations_after", IS_OPEN & _o.after.is_not(None), _o.after)
_partial("ix_operations_settle", _o.settle_at.is_not(None), _o.settle_at)

effects = sa.Table(
    "effects",
    metadata,
    sa.Column("operation_id", sa.ForeignKey("operations.id"), primary_key=True),
    sa.Column("name", sa.String(128), primary_key=True),
    sa.Column("state", sa.String(8), nullable=False),
    sa.Column("identity", sa.String(512), nullable=False),
    sa.Column("at", Moment, nullable=False),
)

signals = sa.Table(
    "signals",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("operation_id", sa.ForeignKey("operations.id"), nullable=False, index=True),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("by", sa.String(255), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("at", Moment, nullable=False),
)

runs = sa.Table(
    "runs",
    metadata,
    sa.Column("operation_id", sa.ForeignKey("operations.id"), primary_key=True),
    sa.Column("repository_id", sa.BigInteger, nullable=False),
    sa.Column("pull_request", sa.Integer, nullable=False),
    sa.Column("commit_sha", sa.String(64), nullable=False),
    sa.Column("state", sa.String(32), nullable=False),
    sa.Column("package_digest", sa.String(64), nullable=False),
    sa.Column("model_version", sa.String(64)),
    sa.Column("model_digest", sa.String(64)),
    sa.Column("evidence", sa.JSON, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Index("ix_runs_subject", "repository_id", "pull_request", "commit_sha"),
)

revisions = sa.Table(
    "revisions",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("repository_id", sa.BigInteger, nullable=False),
    sa.Column("environment", sa.String(63), nullable=False),
    sa.Column("model", sa.String(63), nullable=False),
    sa.Column("version", sa.String(64), nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("commit_sha", sa.String(64), nullable=False),
    sa.Column("pull_request", sa.Integer, nullable=False),
    sa.Column("run_operation_id", sa.BigInteger, nullable=False),
    sa.Column("by", sa.String(255), nullable=False),
    sa.Column("since", Moment, nullable=False),
    sa.Column("is_active", sa.Boolean, nullable=False),
    sa.UniqueConstraint("repository_id", "environment", "digest", "since"),
)

locks = sa.Table(
    "locks",
    metadata,
    sa.Column("key", sa.String(255), primary_key=True),
    sa.Column("holder", sa.String(255), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("since", Moment, nullable=False),
    sa.Column("until", Moment),
    sa.Column("operation_id", sa.BigInteger),
)

fork_permits = sa.Table(
    "fork_permits",
    metadata,
    sa.Column("repository_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("pull_request", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("commit_sha", sa.String(64), primary_key=True),
    sa.Column("by", sa.String(255), nullable=False),
    sa.Column("at", Moment, nullable=False),
)

audit = sa.Table(
    "audit",
    metadata,
    sa.Column("repository_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("pull_request", sa.Integer, nullable=False),
    sa.Column("at", Moment, nullable=False),
    sa.Column("actor", sa.String(255), nullable=False),
    sa.Column("action", sa.String(64), nullable=False),
    sa.Column("detail", sa.JSON, nullable=False),
    sa.Column("previous", sa.String(64), nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
)

cursors = sa.Table(
    "cursors",
    metadata,
    sa.Column("name", sa.String(255), primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)
