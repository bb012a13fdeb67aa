"""Deliveries in the forge's order, operations that wait in line, what is to be settled, and a trail that only grows."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

OPEN = "ended_at IS NULL"
APPEND_ONLY = "the audit trail is append-only"


def upgrade() -> None:
    op.add_column("heads", sa.Column("changed_at", sa.BigInteger()))
    op.add_column("heads", sa.Column("pushed_at", sa.BigInteger()))
    op.add_column("heads", sa.Column("before_sha", sa.String(length=64)))
    op.add_column(
        "operations", sa.Column("waiting", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    op.add_column("operations", sa.Column("takeovers", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("operations", sa.Column("settle_at", sa.BigInteger()))
    op.drop_index("ix_operations_due", "operations")
    op.drop_index("ix_operations_serial", "operations")
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    ready = f"{OPEN} AND waiting = 0" if is_sqlite else f"{OPEN} AND NOT waiting"
    for name, where, columns in (
        ("ix_operations_ready", ready, ["due_at", "id"]),
        ("ix_operations_line", OPEN, ["serial_key", "id"]),
        ("ix_operations_after", f"{OPEN} AND after IS NOT NULL", ["after"]),
        ("ix_operations_settle", "settle_at IS NOT NULL", ["settle_at"]),
    ):
        condition = sa.text(where)
        op.create_index(name, "operations", columns, sqlite_where=condition, postgresql_where=condition)
    for statement in _append_only_on_sqlite() if is_sqlite else _append_only_on_postgresql():
        op.execute(statement)


def _append_only_on_sqlite() -> list[str]:
    return [
        f"CREATE TRIGGER audit_no_{verb.lower()} BEFORE {verb} ON audit "
        f"BEGIN SELECT RAISE(ABORT, '{APPEND_ONLY}'); END"
        for verb in ("UPDATE", "DELETE")
    ]


def _append_only_on_postgresql() -> list[str]:
    return [
        "CREATE FUNCTION audit_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{APPEND_ONLY}'; END $$",
        "CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit "
        "FOR EACH STATEMENT EXECUTE FUNCTION audit_append_only()",
    ]
