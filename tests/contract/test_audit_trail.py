"""The trail of each repository only grows, and whatever is done to it shows, on both databases."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from tests.support.quick_ledger import empty_ledger, open_ledger
from tests.support.tampering import tamper

from kfops.adapters.sql.ledger import SqlLedger
from kfops.domain.operation import Kind, Subject
from kfops.domain.pull_request import Actor
from kfops.ports.ledger import Arrival, NewOperation

pytestmark = pytest.mark.xdist_group("postgres")
NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
CHURN, FRAUD = 7, 8


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger(request: pytest.FixtureRequest, tmp_path) -> Iterator[SqlLedger]:
    if request.param == "sqlite":
        empty_ledger(tmp_path / "ledger.db")
        made = open_ledger(tmp_path / "ledger.db")
    else:
        made = SqlLedger(request.getfixturevalue("postgres").fresh())
    for number, action in enumerate(("lock", "deploy", "rollback", "unlock")):
        made.append(CHURN, number % 2 + 1, NOW + timedelta(minutes=number), "ann", action, {"sha": "a" * 40})
    made.append(FRAUD, 1, NOW, "bob", "deploy", {})
    yield made
    made.close()


def test_each_repository_has_a_chain_of_its_own(ledger):
    assert [(one.sequence, one.action) for one in ledger.trail(CHURN)] == [
        (1, "lock"),
        (2, "deploy"),
        (3, "rollback"),
        (4, "unlock"),
    ]
    assert [one.action for one in ledger.trail(CHURN, 2)] == ["deploy", "unlock"]
    assert [(one.sequence, one.action) for one in ledger.trail(FRAUD)] == [(1, "deploy")]
    assert (ledger.verify(CHURN), ledger.verify(FRAUD)) == (None, None)


@pytest.mark.parametrize("statement", ["UPDATE audit SET actor = 'eve'", "DELETE FROM audit"])
def test_the_database_itself_takes_no_change_and_no_deletion(ledger, statement):
    with pytest.raises(sa.exc.DBAPIError, match="append-only"), ledger.database.write() as connection:
        connection.exec_driver_sql(statement)

    assert len(ledger.trail(CHURN)) == 4


@pytest.mark.parametrize(
    ("statements", "said"),
    [
        pytest.param(
            ["UPDATE audit SET actor = 'eve' WHERE repository_id = 7 AND sequence = 2"],
            "entry 2 was changed after it was written",
            id="who",
        ),
        pytest.param(
            ['UPDATE audit SET detail = \'{"sha": "b"}\' WHERE repository_id = 7 AND sequence = 3'],
            "entry 3 was changed after it was written",
            id="what",
        ),
        pytest.param(
            ["UPDATE audit SET at = at + 1 WHERE repository_id = 7 AND sequence = 4"],
            "entry 4 was changed after it was written",
            id="when",
        ),
        pytest.param(
            ["DELETE FROM audit WHERE repository_id = 7 AND sequence = 2"],
            "entry 2 is missing: the next one is 3",
            id="deleted",
        ),
        pytest.param(
            ["DELETE FROM audit WHERE repository_id = 7 AND sequence = 1"],
            "entry 1 is missing: the next one is 2",
            id="deleted at the beginning",
        ),
        pytest.param(
            [
                "DELETE FROM audit WHERE repository_id = 7 AND sequence = 2",
                "UPDATE audit SET sequence = 2 WHERE repository_id = 7 AND sequence = 3",
                "UPDATE audit SET sequence = 3 WHERE repository_id = 7 AND sequence = 4",
            ],
            "entry 2 does not follow the entry before it",
            id="deleted, and the rest moved up",
        ),
        pytest.param(
            [
                "UPDATE audit SET sequence = 9 WHERE repository_id = 7 AND sequence = 2",
                "UPDATE audit SET sequence = 2 WHERE repository_id = 7 AND sequence = 3",
                "UPDATE audit SET sequence = 3 WHERE repository_id = 7 AND sequence = 9",
            ],
            "entry 2 does not follow the entry before it",
            id="reordered",
        ),
        pytest.param(
            ["UPDATE audit SET repository_id = 7, sequence = 5 WHERE repository_id = 8"],
            "entry 5 does not follow the entry before it",
            id="taken from another repository",
        ),
    ],
)
def test_what_was_done_to_the_trail_shows(ledger, statements, said):
    tamper(ledger, *statements)

    assert ledger.verify(CHURN) == said


def test_a_cut_end_and_a_trail_written_anew_show_in_the_operations_that_wrote_it(ledger):
    subject = Subject(CHURN, 1, 5, 0, {"name": "deploy"}, Actor(1, "ann"), "hash", NOW)
    new = NewOperation(subject, Kind.DEPLOY, "rollout:7:production")
    ledger.accept([Arrival("d", "issue_comment", "", NOW, CHURN, "ann/churn", "main", operations=(new,))])
    operation = ledger.claim("worker", NOW, timedelta(seconds=30))
    entry = ledger.append(CHURN, 1, NOW, "ann", "deploy", {"operation": operation.id})
    ledger.effect_about(operation, "audit", NOW)
    ledger.effect_done(operation, "audit", entry.name, NOW)
    assert ledger.verify(CHURN) is None

    tamper(ledger, "DELETE FROM audit WHERE repository_id = 7 AND sequence = 5")
    assert ledger.verify(CHURN) == f"entry 5 is missing: operation {operation.id} wrote it"
    ledger.append(CHURN, 1, NOW, "eve", "help", {})
    assert ledger.verify(CHURN) == f"entry 5 is not the one that operation {operation.id} wrote"


def test_operators_verify_and_read_the_trail_on_postgresql(postgres, tmp_path):
    url = postgres.fresh()
    ledger = SqlLedger(url)
    ledger.accept([Arrival("d", "ping", "0", NOW, CHURN, "ann/churn", "main")])
    for action in ("lock", "deploy"):
        ledger.append(CHURN, 5, NOW, "ann", action, {})
    settings = {"KFOPS_DATABASE_URL": url, "KFOPS_DATA_DIR": str(tmp_path)}
    path = os.pathsep.join(path for path in sys.path if path)

    def kfops(*words: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, **settings, "PYTHONPATH": path}
        command = [sys.executable, "-m", "kfops", "audit", *words]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    assert kfops("show", "--pr", "5").stdout.splitlines()[1] == "2026-11-21 09:00:00Z  ann  deploy  {}"
    assert kfops("verify").returncode == 0
    tamper(ledger, "DELETE FROM audit WHERE sequence = 1")
    ledger.close()
    broken = kfops("verify", "--json")
    assert broken.returncode == 1
    assert "entry 1 is missing" in broken.stdout


def test_writers_at_once_make_one_chain(ledger):
    with ThreadPoolExecutor(8) as pool:
        for number in range(40):
            pool.submit(ledger.append, CHURN, 1, NOW, "ann", "deploy", {"number": number})

    assert len(ledger.trail(CHURN)) == 44
    assert ledger.verify(CHURN) is None
