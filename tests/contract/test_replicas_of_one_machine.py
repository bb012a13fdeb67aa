"""Bots that find one another in a ledger: some can share it, some cannot, and those are told so before they begin."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from tests.support.quick_ledger import empty_ledger, open_ledger

from kfops.adapters.sql.ledger import SqlLedger
from kfops.bootstrap.problem import SettingsProblem
from kfops.bootstrap.replicas import SEEN, Replicas, own
from kfops.settings import Settings

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
SHARED = Settings(pipelines="kubeflow", serving="kserve", storage="s3", mlflow_url="http://mlflow:8080")


@dataclass
class Hand:
    at: datetime = NOW

    def now(self) -> datetime:
        return self.at


@pytest.fixture
def book(tmp_path):
    empty_ledger(tmp_path / "ledger.db")
    ledger = open_ledger(tmp_path / "ledger.db")
    yield ledger
    ledger.close()


@pytest.fixture
def clock():
    return Hand()


def bot(book: SqlLedger, clock: Hand, name: str, settings: Settings = SHARED) -> Replicas:
    return Replicas(book, clock, name, own(settings))


def test_bots_that_keep_nothing_to_themselves_share_a_ledger(book, clock):
    for name in ("a:1", "b:1", "c:1"):
        bot(book, clock, name).enter()
    assert [one.key for one in book.locks("replica:")] == ["replica:a:1", "replica:b:1", "replica:c:1"]


@pytest.mark.parametrize(
    ("other", "word"),
    [
        ({"pipelines": "local"}, "KFOPS_PIPELINES=local"),
        ({"serving": "local"}, "KFOPS_SERVING=local"),
        ({"storage": "local"}, "KFOPS_STORAGE=local"),
        ({"mlflow_url": ""}, "no KFOPS_MLFLOW_URL"),
    ],
)
def test_one_that_does_works_alone_whoever_comes_first(book, clock, other, word):
    selfish = SHARED.model_copy(update=other)
    first = bot(book, clock, "a:1", selfish)
    first.enter()
    with pytest.raises(SettingsProblem, match=rf"a:1 works on this ledger too and keeps .*\({word}\)"):
        bot(book, clock, "b:1").enter()
    first.leave()

    bot(book, clock, "b:1").enter()
    with pytest.raises(
        SettingsProblem, match=rf"b:1 works on this ledger too, and this bot keeps .*\({word}\)"
    ):
        first.enter()
    assert [one.holder for one in book.locks("replica:")] == ["b:1"]


def test_a_bot_that_is_gone_is_forgotten_in_a_minute_and_one_that_goes_on_is_not(book, clock):
    bot(book, clock, "gone:1").enter()
    going_on = bot(book, clock, "b:1")
    going_on.enter()
    clock.at += SEEN + timedelta(seconds=1)
    going_on.renew()

    assert [one.holder for one in book.locks("replica:")] == ["b:1"]
    with pytest.raises(SettingsProblem, match="b:1"):
        bot(book, clock, "a:1", Settings()).enter()


def test_a_bot_of_this_machine_that_was_killed_is_not_waited_for(book, clock):
    killed = subprocess.Popen([sys.executable, "-c", ""])
    killed.wait(30)
    bot(book, clock, f"{socket.gethostname()}:{killed.pid}", Settings()).enter()

    bot(book, clock, f"{socket.gethostname()}:{os.getpid()}", Settings()).enter()
    with pytest.raises(SettingsProblem, match=f"{socket.gethostname()}:{os.getpid()}"):
        bot(book, clock, f"{socket.gethostname()}:1", Settings()).enter()
