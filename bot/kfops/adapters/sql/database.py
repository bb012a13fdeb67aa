"""Connections and transactions. SQLite: WAL, FULL, one writer at a time; PostgreSQL: as it comes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from kfops.ports.errors import Unavailable


class Database:
    """One engine; `read` and `write` open short transactions. Raises `Unavailable` when it cannot be reached."""

    def __init__(self, url: str) -> None:
        self.engine = _engine(url)
        self.is_sqlite = self.engine.dialect.name == "sqlite"

    @contextmanager
    def write(self) -> Iterator[Connection]:
        try:
            with self.engine.connect() as connection, connection.begin():
                if self.is_sqlite:
                    # pysqlite begins lazily and deferred: two such writers deadlock instead of queueing.
                    connection.exec_driver_sql("BEGIN IMMEDIATE")
                yield connection
        except sa.exc.OperationalError as error:
            raise Unavailable(f"the ledger cannot be written now: {error.orig}") from error

    @contextmanager
    def read(self) -> Iterator[Connection]:
        try:
            with self.engine.connect() as connection:
                yield connection
        except sa.exc.OperationalError as error:
            raise Unavailable(f"the ledger cannot be read now: {error.orig}") from error

    def insert_or_ignore(self, connection: Connection, table: sa.Table, **values: Any) -> bool:
        """Insert unless a unique key is there already; says whether it was new."""
        statement: Any
        if self.is_sqlite:
            from sqlalchemy.dialects.sqlite import insert as sqlite_insert

            statement = sqlite_insert(table).values(**values).on_conflict_do_nothing()
        else:
            from sqlalchemy.dialects.postgresql import insert as postgres_insert

            statement = postgres_insert(table).values(**values).on_conflict_do_nothing()
        return connection.execute(statement).rowcount == 1

    def close(self) -> None:
        self.engine.dispose()


def _engine(url: str) -> Engine:
    if not url.startswith("sqlite"):
        return sa.create_engine(url, pool_pre_ping=True, pool_size=20)
    engine = sa.create_engine(url, connect_args={"timeout": 30, "isolation_level": None})

    @sa.event.listens_for(engine, "connect")
    def configure(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    return engine
