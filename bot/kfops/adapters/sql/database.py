"""Connections and transactions. SQLite: WAL, FULL, one writer at a time; PostgreSQL: several replicas, sometimes away."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from kfops.ports.errors import Unavailable

PATIENCE_S = 5.0  # GitHub waits ten seconds for the answer to a webhook
_PAUSE_S = 0.1
_LONGEST_STATEMENT_MS = 15_000
_NOTICING = {
    "connect_timeout": 3,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
_READ_ONLY = "25006"  # what a server says that is no longer the primary one
_INT4 = 2**31
_EXPECTED = "expected postgresql://USER@HOST/NAME or sqlite:///FILE"


class Turn(IntEnum):
    """What writers take turns at, mostly by repository, where the database lets several write at once."""

    LINES = 1  # which operations there are, and in which order
    AUDIT = 2
    LOCKS = 3  # by key


class Database:
    """One engine; `read` and `write` open short transactions. Raises `Unavailable` when it cannot be reached.

    `patience_s`: how long a transaction waits to begin while PostgreSQL restarts. One that is cut off in the middle
    is not repeated here: its writer knows whether that is harmless.
    """

    def __init__(self, url: str, patience_s: float = PATIENCE_S) -> None:
        self.engine = _engine(url)
        self.is_sqlite = self.engine.dialect.name == "sqlite"
        self._reader = self.engine.execution_options(isolation_level="AUTOCOMMIT")
        # SQLite lets its writers sleep, up to a tenth of a second, until one finds it free; a lock wakes the next.
        self._writing = threading.Lock() if self.is_sqlite else nullcontext()
        self._ignoring: dict[sa.Table, Any] = {}
        self._patience_s = 0.0 if self.is_sqlite else patience_s

    @contextmanager
    def write(self) -> Iterator[Connection]:
        with (
            self._said("written"),
            self._writing,
            self._connected(self.engine) as connection,
            connection.begin(),
        ):
            if self.is_sqlite:
                # pysqlite begins lazily and deferred: two such writers deadlock instead of queueing.
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        with self._said("read"), self._connected(self._reader) as connection:
            yield connection

    def take_turns(self, connection: Connection, turn: Turn, keys: Iterable[int]) -> None:
        """One writer a key until this transaction ends. SQLite has one writer anyway.

        In ascending order, and before any row is locked: otherwise two of them could wait for each other.
        """
        if not self.is_sqlite:
            for key in sorted({number % _INT4 for number in keys}):
                connection.execute(
                    sa.text("SELECT pg_advisory_xact_lock(:turn, :key)"), {"turn": int(turn), "key": key}
                )

    def now(self) -> datetime | None:
        """By the clock that all replicas share; None where there is only this machine's."""
        if self.is_sqlite:
            return None
        with self.read() as connection:
            return datetime.fromtimestamp(
                connection.execute(
                    sa.text("SELECT extract(epoch FROM clock_timestamp())::float8")
                ).scalar_one(),
                tz=UTC,
            )

    def insert_or_ignore(self, connection: Connection, table: sa.Table, **values: Any) -> bool:
        """Insert unless a unique key is there already; says whether it was new."""
        if table not in self._ignoring:
            # Inline: a RETURNING for the new key would take the count of rows away, as PostgreSQL's driver sees it.
            ignoring = self.insert(table).on_conflict_do_nothing().inline()
            self._ignoring[table] = ignoring.execution_options(preserve_rowcount=True)
        return connection.execute(self._ignoring[table], values).rowcount == 1

    def insert(self, table: sa.Table) -> Any:
        """An INSERT of this database's, which knows ON CONFLICT. To be made once: making one costs more than running it."""
        if self.is_sqlite:
            from sqlalchemy.dialects.sqlite import insert as sqlite_insert

            return sqlite_insert(table)
        from sqlalchemy.dialects.postgresql import insert as postgres_insert

        return postgres_insert(table)

    def close(self) -> None:
        self.engine.dispose()

    @contextmanager
    def _said(self, verb: str) -> Iterator[None]:
        try:
            yield
        except sa.exc.SQLAlchemyError as error:
            if not _is_away(error):
                raise
            why = str(getattr(error, "orig", None) or error).strip().splitlines()
            raise Unavailable(f"the ledger cannot be {verb} now: {why[0] if why else error}") from error

    @contextmanager
    def _connected(self, engine: Engine) -> Iterator[Connection]:
        ends = time.monotonic() + self._patience_s
        while True:
            try:
                connection = engine.connect()
                break
            except sa.exc.SQLAlchemyError as error:
                if not _is_away(error) or time.monotonic() + _PAUSE_S > ends:
                    raise
            time.sleep(_PAUSE_S)
        with connection:
            yield connection


def _is_away(error: sa.exc.SQLAlchemyError) -> bool:
    """Gone, starting, full, locked or in a deadlock: the same transaction may go through later."""
    if isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError | sa.exc.TimeoutError):
        return True
    return isinstance(error, sa.exc.DBAPIError) and error.connection_invalidated


def _engine(given: str) -> Engine:
    try:
        url = sa.make_url(given)
    except sa.exc.ArgumentError as error:
        raise ValueError(_EXPECTED) from error
    kind = url.drivername.partition("+")[0]
    if kind in {"postgresql", "postgres"}:
        return _postgresql(url)
    if kind != "sqlite":
        raise ValueError(f"{_EXPECTED}; found {kind}://")
    engine = sa.create_engine(url, connect_args={"timeout": 30, "isolation_level": None})

    @sa.event.listens_for(engine, "connect")
    def configure(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    return engine


def _postgresql(url: sa.URL) -> Engine:
    """A connection whose other end is gone without a word ends in seconds, not in the hours of TCP's defaults.

    One to a server that only reads since a failover is as good as gone: the next one may reach the new primary.
    """
    engine = sa.create_engine(
        url.set(drivername="postgresql+psycopg"),
        isolation_level="READ COMMITTED",
        pool_pre_ping=True,
        pool_size=10,
        max_overflow=10,
        pool_timeout=5,
        connect_args={name: value for name, value in _NOTICING.items() if name not in url.query},
    )

    @sa.event.listens_for(engine, "connect")
    def configure(connection: Any, _record: Any) -> None:
        connection.execute(f"SET statement_timeout = {_LONGEST_STATEMENT_MS}")
        connection.execute(f"SET idle_in_transaction_session_timeout = {_LONGEST_STATEMENT_MS}")
        connection.commit()

    @sa.event.listens_for(engine, "handle_error")
    def judge(context: sa.ExceptionContext) -> None:
        if getattr(context.original_exception, "sqlstate", None) == _READ_ONLY:
            context.is_disconnect = True

    return engine
