"""A bot that runs for months keeps what serves and what can be gone back to, and not what nobody needs."""

from __future__ import annotations

import os
from datetime import timedelta

import pytest
import sqlalchemy as sa
from tests.support.world import model, world

from kfops.adapters.local.storerooms import storerooms
from kfops.workflow.pruning import Pruning


@pytest.fixture
def here(tmp_path):
    with world(tmp_path) as made:
        yield made


def deployed(here, roc_auc):
    number = here.pull_request("ana", model(roc_auc=roc_auc))
    here.comment(number, "/build_run", by="ana")
    here.settle()
    here.comment(number, "/deploy", by="ana")
    here.settle()
    assert here.pull(number).is_merged


def aged(folder, moment):
    for path in (folder, *folder.rglob("*")):
        os.utime(path, (moment.timestamp(), moment.timestamp()), follow_symlinks=False)


def pruned(here, after, *, most=100):
    """After that long without anything happening."""
    data = here.folder / "bot"
    aged(data, here.clock.now())
    here.clock.at += after
    rooms = storerooms(data, here.ports.environments, here.clock.now)
    Pruning(here.ledger, here.clock, rooms, timedelta(days=30), most).prune()


def stored(here):
    return {path.name for path in (here.folder / "bot" / "models").iterdir()}


def names(here, folder):
    place = here.folder / "bot" / folder
    return sorted(path.name for path in place.rglob("*") if path.is_dir()) if place.is_dir() else []


def test_what_revisions_refer_to_stays_and_the_rest_goes(here):
    deployed(here, 0.80)
    deployed(here, 0.84)
    tried = here.pull_request("cleo", model(roc_auc=0.72))
    here.comment(tried, "/build_run", by="cleo")
    here.settle()
    assert len(stored(here)) == 3
    pruned(here, timedelta(days=29))
    assert len(stored(here)) == 3
    pruned(here, timedelta(days=31))
    revisions = here.ledger.revisions(here.repository.id, "production")
    assert stored(here) == {one.digest for one in revisions}
    assert len(revisions) == 2
    assert names(here, "sources") == [str(here.repository.id)]
    assert names(here, "scratch") == []
    # What stays is enough to go back.
    here.comment(tried, '/rollback --reason "the old one was better"', by="ana")
    here.settle()
    assert here.serving().stable.version == "1", here.reply(tried)


def test_what_an_open_operation_refers_to_stays(here):
    number = here.pull_request("ana", model(roc_auc=0.82, steps={"train": 3600.0}))
    asked = here.comment(number, "/build_run", by="ana")
    for _ in range(20):
        here.turn(timedelta(seconds=1))
        if here.operation(asked).phase == "follow":
            break
    operation = here.operation(asked)
    (here.folder / "bot" / "pipelines" / f"op-{operation.id}-1").mkdir(parents=True)
    (here.folder / "bot" / "pipelines" / "op-9999-1").mkdir()
    pruned(here, timedelta(days=400), most=1)
    assert names(here, "pipelines") == [f"op-{operation.id}-1"]
    assert operation.subject.head_sha in names(here, "sources")
    assert names(here, "scratch") == [str(operation.id)]


def test_what_a_dead_process_left_half_made_goes_after_a_day(here):
    data = here.folder / "bot"
    for name in (".incoming-a", ".removing-b", "kept"):
        (data / "models" / name).mkdir(parents=True)
    pruned(here, timedelta(hours=2))
    assert stored(here) == {".incoming-a", ".removing-b", "kept"}
    pruned(here, timedelta(days=2))
    assert stored(here) == {"kept"}  # and what is no model's name is nobody's business


def test_r3_deliveries_are_forgotten_when_no_forge_sends_them_again_and_their_commands_are_not(here):
    number = here.pull_request("ana", model())
    here.is_mail_held = True
    here.comment(number, "/help")
    told = list(here.mail)
    here.is_mail_held = False
    here.settle()

    pruned(here, timedelta(days=13))
    assert delivered(here) > 0
    pruned(here, timedelta(days=2))
    assert delivered(here) == 0
    for one in told:
        assert here.receive(one) == 202
    here.settle()
    assert len(here.replies(number)) == 1


def delivered(here):
    with here.ledger.database.read() as connection:
        return connection.execute(sa.text("SELECT count(*) FROM deliveries")).scalar_one()


def test_an_environment_stays_as_long_as_a_model_that_needs_it(here):
    environments, key, digest = here.folder / "bot" / "environments", "e" * 64, "d" * 64
    for place in (environments / key / "packages", here.folder / "bot" / "models" / digest):
        place.mkdir(parents=True)
    here.ports.environments.bind(digest, key)
    pruned(here, timedelta(days=31))
    assert not (here.folder / "bot" / "models" / digest).exists()
    assert (environments / key).exists()
    pruned(here, timedelta(days=31))
    assert not (environments / key).exists()
    assert here.ports.environments.packages_of(digest) is None
