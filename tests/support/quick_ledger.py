"""The real ledger on SQLite, in a file, made ready quickly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sqlalchemy as sa

from kfops.adapters.sql.ledger import SqlLedger

_EMPTY: list[bytes] = []
_LAST: dict[Path, SqlLedger] = {}


def empty_ledger(path: Path) -> None:
    """A file with the whole schema in it. Migrated once a process: that takes longer than most stories."""
    if not _EMPTY:
        _EMPTY.append(_migrated(path.with_suffix(".empty")))
    path.write_bytes(_EMPTY[0])


def open_ledger(path: Path) -> SqlLedger:
    """The one that was closed last is opened again: making all statements anew takes longer than running them."""
    if path not in _LAST:
        _LAST.clear()
        _LAST[path] = _made(path)
    return _LAST[path]


def _made(path: Path) -> SqlLedger:
    ledger = SqlLedger(f"sqlite:///{path}")

    # A crash of the process loses nothing that the operating system has; only that kind is played here.
    @sa.event.listens_for(ledger.database.engine, "connect")
    def hurry(connection: Any, _record: Any) -> None:
        connection.execute("PRAGMA synchronous=OFF").close()

    return ledger


def _migrated(path: Path) -> bytes:
    ledger = open_ledger(path)
    ledger.migrate()
    with ledger.database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    ledger.close()
    return path.read_bytes()
