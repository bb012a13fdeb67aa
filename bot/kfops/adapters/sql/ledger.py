from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from kfops.adapters.sql.audit import SqlAudit
from kfops.adapters.sql.database import Database
from kfops.adapters.sql.history import SqlHistory
from kfops.adapters.sql.inbox import SqlInbox
from kfops.adapters.sql.records import SqlLocks, SqlRecords
from kfops.adapters.sql.steering import SqlSteering
from kfops.adapters.sql.work import SqlWork

MIGRATIONS = Path(__file__).parent / "migrations"


class SqlLedger(SqlInbox, SqlWork, SqlSteering, SqlRecords, SqlLocks, SqlAudit, SqlHistory):
    """The ledger on SQLAlchemy: SQLite on one machine, PostgreSQL for several replicas."""

    def __init__(self, url: str) -> None:
        super().__init__(Database(url))

    def migrate(self) -> None:
        """Bring the schema up to this release; safe to run from several replicas."""
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        with self.database.write() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    def clock_offset(self, now: datetime) -> timedelta:
        """How far this machine's clock is ahead of the database's. Leases are compared by both."""
        shared = self.database.now()
        return now - shared if shared else timedelta(0)

    def close(self) -> None:
        self.database.close()
