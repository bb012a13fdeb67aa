"""A ledger of an earlier release becomes one of this release, with what is in it, on both databases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext

from kfops.adapters.sql.ledger import MIGRATIONS, SqlLedger
from kfops.adapters.sql.tables import metadata

pytestmark = pytest.mark.xdist_group("postgres")
NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
AT = int(NOW.timestamp()) * 1_000_000

COMMAND = """
    INSERT INTO commands (id, repository_id, comment_id, idx, pull_request, command, author_id, author_login,
        author_is_human, body_hash, received_at, is_late, is_recovered)
    VALUES (:n, 7, :n, 0, 1, '{}', 1, 'ann', true, 'h', :at, false, false)
"""
OPERATION = """
    INSERT INTO operations (id, command_id, kind, repository_id, pull_request, serial_key, phase, facts, created_at,
        due_at, failures, fence, told_digest)
    VALUES (:n, :n, 'build_run', 7, 1, 'run:7:1', 'follow', '{}', :at, :at, 0, 3, '')
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger(request, tmp_path):
    """With nothing in it, not even tables."""
    is_sqlite = request.param == "sqlite"
    url = f"sqlite:///{tmp_path}/ledger.db" if is_sqlite else request.getfixturevalue("postgres").bare()
    made = SqlLedger(url)
    yield made
    made.close()


DELIVERY = """
    INSERT INTO deliveries (id, event, body_digest, received_at) VALUES (:name, 'status', 'd', :at)
"""


def upgrade(ledger: SqlLedger, to: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with ledger.database.write() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, to)


def test_migrations_make_the_tables_that_the_ledger_uses_and_may_run_again(ledger):
    ledger.migrate()
    ledger.migrate()

    with ledger.database.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_what_the_first_release_left_open_goes_on(ledger):
    upgrade(ledger, "0001")
    with ledger.database.write() as connection:
        for statement in (COMMAND, OPERATION):
            connection.execute(sa.text(statement), [{"n": number, "at": AT} for number in (1, 2)])
    ledger.migrate()

    first = ledger.claim("worker", NOW, timedelta(seconds=30))
    assert first is not None
    assert (first.id, first.fence, first.takeovers) == (1, 4, 0)
    assert ledger.claim("worker", NOW, timedelta(seconds=30)) is None


def test_deliveries_of_the_release_before_and_of_its_replicas_that_are_still_up_are_forgotten_too(ledger):
    def store(name: str) -> None:
        with ledger.database.write() as connection:
            connection.execute(sa.text(DELIVERY), {"name": name, "at": AT})

    upgrade(ledger, "0002")
    store("before")
    ledger.migrate()
    store("since then")

    assert ledger.forget_deliveries(NOW + timedelta(seconds=1), 10) == 2
