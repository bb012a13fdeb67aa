"""One bot works on a SQLite ledger, whatever its settings call it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kfops.bootstrap.alone import alone
from kfops.bootstrap.problem import SettingsProblem
from kfops.settings import Settings


def settings(folder: Path, url: str = "") -> Settings:
    return Settings(data_dir=folder, database_url=url)


def test_r14_two_bots_with_folders_of_their_own_do_not_share_a_sqlite_file(tmp_path):
    shared, other_name = tmp_path / "shared.db", tmp_path / "link.db"
    other_name.symlink_to(shared)
    with alone(settings(tmp_path / "a", f"sqlite:///{shared}")):
        for name in (shared, other_name):
            second = settings(tmp_path / "b", f"sqlite:///{name}")
            said = re.escape(
                f"another bot works on {shared}; end it first, or set another KFOPS_DATABASE_URL"
            )
            with pytest.raises(SettingsProblem, match=said), alone(second):
                pass
        with alone(settings(tmp_path / "b", f"sqlite:///{tmp_path}/another.db")):
            pass
    with alone(settings(tmp_path / "b", f"sqlite:///{shared}")):
        pass


def test_r14_two_bots_do_not_share_a_folder(tmp_path):
    said = re.escape(f"another bot works on {tmp_path}; end it first, or set another KFOPS_DATA_DIR")
    with (
        alone(settings(tmp_path)),
        pytest.raises(SettingsProblem, match=said),
        alone(settings(tmp_path, f"sqlite:///{tmp_path}/another.db")),
    ):
        pass


def test_a_database_that_cannot_be_locked_is_said(tmp_path):
    url = f"sqlite:///{tmp_path}/nowhere/ledger.db"
    with (
        pytest.raises(SettingsProblem, match=r"ledger\.db\.lock cannot be locked"),
        alone(settings(tmp_path, url)),
    ):
        pass


def test_bots_on_a_database_for_several_are_not_kept_apart_here(tmp_path):
    shared = settings(tmp_path, "postgresql://bot@db/ledger")
    with alone(shared), alone(shared):
        pass
