"""The bot's own folders as storerooms: one thing a folder, its name says what it belongs to."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from kfops.adapters.local.environments.adapter import LocalEnvironments
from kfops.domain.kept import Kept

_HALF_MADE = (".incoming-", ".removing-")
_HALF_MADE_FOR = timedelta(days=1)


@dataclass(frozen=True)
class FolderRoom:
    """`refers_to` gives a folder's owner by the match of `pattern` with its path below `root`. `depth`: of the folders."""

    label: str
    root: Path
    pattern: re.Pattern[str]
    refers_to: Callable[[re.Match[str]], str]
    now: Callable[[], datetime]
    depth: int = 1

    def kept(self) -> list[Kept]:
        found = []
        for path in self.root.glob("/".join(["*"] * self.depth)):
            name = str(path.relative_to(self.root))
            match = self.pattern.fullmatch(name)
            if path.name.startswith(_HALF_MADE):
                self._forget(path)
            elif match and path.is_dir() and not path.is_symlink():
                found.append(Kept(name, _used(path), self.refers_to(match)))
        return found

    def remove(self, name: str) -> None:
        path = self.root / name
        if not self.pattern.fullmatch(name) or not path.is_dir():
            return
        # Out of sight first: half of a model must never be found.
        away = Path(tempfile.mkdtemp(prefix=".removing-", dir=path.parent))
        path.rename(away / "it")
        shutil.rmtree(away, ignore_errors=True)

    def _forget(self, path: Path) -> None:
        """What a process that died left behind."""
        if self.now() - _used(path) > _HALF_MADE_FOR:
            shutil.rmtree(path, ignore_errors=True)


@dataclass(frozen=True)
class ModelRoom:
    """The store's models, each with the note of the environment that it was trained in."""

    folders: FolderRoom
    environments: LocalEnvironments

    @property
    def label(self) -> str:
        return self.folders.label

    def kept(self) -> list[Kept]:
        return self.folders.kept()

    def remove(self, name: str) -> None:
        self.folders.remove(name)
        self.environments.bind(name, "")


@dataclass(frozen=True)
class EnvironmentRoom:
    """Environments: one that a kept model was trained in is as needed as the model, and stays for as long."""

    folders: FolderRoom
    environments: LocalEnvironments

    @property
    def label(self) -> str:
        return self.folders.label

    def kept(self) -> list[Kept]:
        in_use = self.environments.bound_keys()
        return [one for one in self.folders.kept() if one.name not in in_use]

    def remove(self, name: str) -> None:
        self.folders.remove(name)


def storerooms(
    data_dir: Path, environments: LocalEnvironments, now: Callable[[], datetime]
) -> tuple[FolderRoom | ModelRoom | EnvironmentRoom, ...]:
    """All that piles up below the bot's data folder."""

    def room(
        label: str, folder: str, pattern: str, refers_to: Callable[[re.Match[str]], str], depth: int = 1
    ) -> FolderRoom:
        return FolderRoom(label, data_dir / folder, re.compile(pattern), refers_to, now, depth)

    def operation(match: re.Match[str]) -> str:
        return f"operation:{match[1]}"

    def digest(match: re.Match[str]) -> str:
        return match[0]

    return (
        room("runs", "pipelines", r"op-(\d+)-\d+", operation),
        room("scratch", "scratch", r"(\d+)", operation),
        room("checkouts", "sources", r"(\d+/[0-9a-f]{40})", lambda match: f"commit:{match[1]}", depth=2),
        room("git caches", "git", r"(\d+)\.git", lambda match: f"repository:{match[1]}"),
        ModelRoom(room("models", "models", r"[0-9a-f]{64}", digest), environments),
        EnvironmentRoom(room("environments", "environments", r"[0-9a-f]{64}", digest), environments),
    )


def _used(path: Path) -> datetime:
    """When it was made, or something was put in or taken out at its top; of a git cache, when it was last filled."""
    places = (path, path / "refs" / "kfops", path / "result.json")
    return datetime.fromtimestamp(max(one.stat().st_mtime for one in places if one.exists()), UTC)
