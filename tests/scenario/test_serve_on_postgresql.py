"""`kfops serve` as an operator starts it, on PostgreSQL: a restart of the database in between, and a second bot."""

from __future__ import annotations

import subprocess
import sys
from itertools import takewhile

import httpx
import pytest
from tests.support.live import live

from kfops.adapters.local.sandbox import probe
from kfops.adapters.sql.ledger import SqlLedger
from kfops.adapters.system_clock import SystemClock
from kfops.bootstrap.replicas import Replicas
from kfops.doctor import Finding, examine
from kfops.settings import Settings

pytestmark = [
    pytest.mark.skipif(isinstance(probe(), str), reason=f"no sandbox starts here: {probe()}"),
    pytest.mark.xdist_group("postgres"),
]
NOWHERE = "http://127.0.0.1:9"  # no command here asks for a model


def test_a_bot_outlives_its_database_and_is_the_only_one_that_keeps_runs_on_its_machine(tmp_path, postgres):
    settings = {"KFOPS_DATABASE_URL": postgres.fresh(), "KFOPS_MLFLOW_URL": NOWHERE}
    with live(tmp_path, settings=settings) as world:
        first = world.bot
        pull = world.open_pull("first", "README.md", lambda text: f"{text}\nA first model.\n")
        world.done("ada", pull, '/lock production --reason "stock-taking"')

        postgres.stop()
        told = httpx.get(f"http://127.0.0.1:{world.environment['KFOPS_PORT']}/readyz")
        assert told.status_code == 503
        assert told.json()["problems"] == ["the ledger does not answer; the bot's log says why"]
        asked = world.say("ada", pull, "/unlock production")  # its webhook waits for the database
        postgres.start()

        assert world.ending(asked) == "rocket"
        world.done("ada", pull, "/help")
        assert len(world.replies(pull)) == 3
        assert world.bot is first
        assert first.poll() is None

        another = world.environment | {"KFOPS_DATA_DIR": str(tmp_path / "another"), "KFOPS_PORT": "1"}
        second = subprocess.run(
            [sys.executable, "-m", "kfops", "serve"],
            env=another,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert second.returncode != 0
        assert f":{first.pid} works on this ledger too, and this bot keeps what it does" in " ".join(
            second.stderr.split()
        )


def test_the_doctor_tells_that_such_a_bot_works_alone(tmp_path, postgres):
    settings = Settings(data_dir=tmp_path, database_url=postgres.fresh(), serving="kserve")
    (told,) = _of_the_ledger(settings)
    assert not told.is_grave
    assert "KFOPS_PIPELINES=local, KFOPS_STORAGE=local, no KFOPS_MLFLOW_URL" in told.problem

    book = SqlLedger(settings.database_url)
    for name in ("pod-a:1", "pod-b:1"):
        Replicas(book, SystemClock(), name, ()).enter()
    book.close()
    (told,) = _of_the_ledger(settings)
    assert told.is_grave
    assert "pod-a:1 and pod-b:1 work on this ledger" in told.problem


def _of_the_ledger(settings: Settings) -> list[Finding]:
    upto = takewhile(lambda one: one.what != "sandbox", examine(settings))
    return [one for one in upto if one.what == "ledger"]
