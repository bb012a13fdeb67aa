"""Somebody with all rights on the database, who also removes what stands in the way."""

from __future__ import annotations

from kfops.adapters.sql.ledger import SqlLedger


def tamper(ledger: SqlLedger, *statements: str) -> None:
    database = ledger.database
    guards = (
        ("DROP TRIGGER audit_no_update", "DROP TRIGGER audit_no_delete")
        if database.is_sqlite
        else ("DROP TRIGGER audit_append_only ON audit",)
    )
    with database.write() as connection:
        for statement in (*guards, *statements):
            connection.exec_driver_sql(statement)
