"""SQLite has one bot process; a second one is told so instead of working against the first."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from kfops.bootstrap.problem import SettingsProblem

if TYPE_CHECKING:
    from kfops.settings import Settings


@contextmanager
def alone(settings: Settings) -> Iterator[None]:
    """Of all bots on this data folder, and of all on this database, wherever their folders are."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    with ExitStack() as held:
        if settings.ledger_url.startswith("sqlite"):
            place = settings.data_dir / "bot.lock"
            _hold(held, place, f"{settings.data_dir}; end it first, or set another KFOPS_DATA_DIR")
            database = _file(settings)
            if database is not None:
                mend = "end it first, or set another KFOPS_DATABASE_URL"
                _hold(held, database.with_name(f"{database.name}.lock"), f"{database}; {mend}")
        yield


def _file(settings: Settings) -> Path | None:
    """None where the database is no file with a plain name: in memory, or in SQLite's own kind of address."""
    try:
        name = sa.make_url(settings.ledger_url).database
    except sa.exc.ArgumentError:
        return None
    return Path(name).resolve() if name and not name.startswith((":", "file:")) else None


def _hold(held: ExitStack, path: Path, where: str) -> None:
    try:
        lock = held.enter_context(path.open("w"))
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise SettingsProblem(f"another bot works on {where}") from error
    except OSError as error:
        raise SettingsProblem(f"{path} cannot be locked: {error.strerror}") from error
