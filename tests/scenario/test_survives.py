"""`kill -9` in training and in the phases of a rollout, up and back: it goes on or restores, and nothing is done twice."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import pytest
from tests.support.live import REPOSITORY, TEMPLATE, Live, live

from kfops.adapters.local.sandbox import probe
from kfops.adapters.local.serving.adapter import LocalServing
from kfops.adapters.system_clock import SystemClock
from kfops.demo.traffic import Load, LoadReport
from kfops.domain.canary_facts import Readiness
from kfops.domain.environment import EnvironmentKey
from kfops.domain.rollout import Phase
from kfops.ports.serving import Served

pytestmark = [
    pytest.mark.skipif(isinstance(probe(), str), reason=f"no sandbox starts here: {probe()}"),
    pytest.mark.xdist_group("live"),  # whole bots: one at a time on a small machine
]
UP = (
    Phase.PREPARE,
    Phase.CHECK,
    Phase.GOLDEN,
    Phase.SHIFT,
    Phase.HOLD,
    Phase.PROMOTE,
    Phase.WATCH,
    Phase.MERGE,
    Phase.FINISH,
)
BACK = (Phase.ABORT, Phase.RESTORE)
SLICE_S = 0.008
REQUEST = (TEMPLATE / "samples" / "request.json").read_bytes()


class Ledger:
    """Read from outside, as the bot wrote it."""

    def __init__(self, folder: Path) -> None:
        place = f"file:{folder / 'bot' / 'ledger.db'}?mode=ro"
        self._connection = sqlite3.connect(place, uri=True, timeout=10, isolation_level=None)

    def close(self) -> None:
        self._connection.close()

    def rows(self, question: str) -> list[tuple]:
        return self._connection.execute(question).fetchall()

    def phase(self) -> str:
        """Of the newest rollout; empty while a bot that was stopped holds the ledger."""
        newest = "SELECT json_extract(facts, '$.rollout.phase') FROM operations WHERE kind = 'deploy' ORDER BY id DESC LIMIT 1"
        try:
            return str(self.rows(newest)[0][0])
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_PROTOCOL):
                return ""
            raise

    def active(self) -> str:
        found = self.rows("SELECT digest FROM revisions WHERE is_active AND environment = 'production'")
        return str(found[0][0])


def kill_in(world: Live, ledger: Ledger, phases: Iterable[Phase], within_s: float = 300) -> None:
    """Once in each of the phases, in their order. The bot gets milliseconds at a time, so that none passes unseen."""
    for phase in phases:
        deadline = time.monotonic() + within_s
        while ledger.phase() != phase:
            assert time.monotonic() < deadline, f"waited for {phase}, it is in {ledger.phase()}"
            assert world.bot is not None
            os.kill(world.bot.pid, signal.SIGCONT)
            time.sleep(SLICE_S)
            os.kill(world.bot.pid, signal.SIGSTOP)
        world.kill()
        world.start()


def production(world: Live) -> Served:
    sandbox = probe()
    assert not isinstance(sandbox, str)
    repository = world.playground.repository(REPOSITORY).id
    stack = LocalServing(world.folder / "bot" / "serving", sandbox, SystemClock())
    return stack.observe(EnvironmentKey(repository, "churn", "production"))


def assert_weights_and_ledger_agree(world: Live, ledger: Ledger, version: str) -> None:
    served = production(world)
    assert (served.stable.version, served.stable.digest) == (version, ledger.active())
    assert (served.candidate.readiness, served.candidate_weight) == (Readiness.ABSENT, 0)
    world.until(
        lambda: not ledger.rows("SELECT key FROM locks WHERE key LIKE 'env:%'"), "the environment", 30
    )


def assert_nothing_was_done_twice(world: Live, first: int, second: int, deployments: int) -> None:
    assert [world.pull(number)["merged"] for number in (first, second)] == [True, True]
    labels = [[one["name"] for one in world.pull(number)["labels"]] for number in (first, second)]
    assert labels == [[], ["Deployed-to-production"]]
    replies = [len(world.replies(number)) for number in (first, second)]
    # One a command; a deployment that was taken back had its `/canary abort`.
    assert replies == [2, 2 * deployments - 2]
    assert len(list(world.folder.glob("bot/pipelines/*/log.txt"))) == 2  # one training a /build_run
    made = world.get(f"/repos/{REPOSITORY}/deployments?environment=production")
    assert len(made) == deployments  # one a /deploy
    assert len(world.get(f"/repos/{REPOSITORY}/commits?sha=main")) == 3  # the first, and one a merge


@pytest.mark.slow
def test_the_main_job_survives_being_killed_in_training_and_in_the_canary(tmp_path):
    with live(tmp_path) as world, closing(Ledger(tmp_path)) as ledger:
        first, second = two_models(world)
        with Load(f"{world.endpoint('production')}/predict", [REQUEST], 40) as load:
            up = world.say("ada", second, "/deploy")
            kill_in(world, ledger, (Phase.HOLD,))
            assert world.ending(up, 200) == "rocket"
            report = load.stop()
        assert_the_second_serves(world, ledger, report)
        assert_nothing_was_done_twice(world, first, second, deployments=2)


@pytest.mark.slow
def test_a_rollout_survives_being_killed_in_each_of_its_phases(tmp_path):
    with live(tmp_path) as world, closing(Ledger(tmp_path)) as ledger:
        first, second = two_models(world)
        with Load(f"{world.endpoint('production')}/predict", [REQUEST], 40) as load:
            back = world.say("ada", second, "/deploy")
            world.until(lambda: ledger.phase() == Phase.HOLD, "the canary", 120)
            world.say("ada", second, "/canary abort")
            kill_in(world, ledger, BACK)
            assert world.ending(back) == "confused"
            assert_weights_and_ledger_agree(world, ledger, "1")

            up = world.say("ada", second, "/deploy")
            kill_in(world, ledger, UP)
            assert world.ending(up, 200) == "rocket"
            report = load.stop()
        assert_the_second_serves(world, ledger, report)
        assert_nothing_was_done_twice(world, first, second, deployments=3)


def two_models(world: Live) -> tuple[int, int]:
    """The first in production, trained by a bot that was killed meanwhile; the second has its run."""
    first = world.open_pull("first", "README.md", lambda text: f"{text}\nA first model.\n")
    run = world.say("ada", first, "/build_run")
    world.until(
        lambda: any("'train'" in log.read_text() for log in world.folder.glob("bot/pipelines/*/log.txt")),
        "training",
        60,
    )
    world.kill()
    world.start()
    assert world.ending(run) == "rocket"
    world.done("ada", first, "/deploy")

    second = world.open_pull("second", "README.md", lambda text: f"{text}\nA second model.\n")
    world.done("ada", second, "/build_run")
    return first, second


def assert_the_second_serves(world: Live, ledger: Ledger, report: LoadReport) -> None:
    assert_weights_and_ledger_agree(world, ledger, "2")
    assert not report.losses, report.losses[:5]
    assert set(report.by_version) == {"1", "2"}
