"""Alembic's entry: migrations run in the transaction that `SqlLedger.migrate` opened."""

from __future__ import annotations

from alembic import context

from kfops.adapters.sql.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
if context.config.attributes["connection"].dialect.name == "postgresql":
    # One replica migrates while the others wait, however long that takes.
    context.execute("SET LOCAL statement_timeout = 0")
    context.execute("SELECT pg_advisory_xact_lock(7063)")
context.run_migrations()
