"""Directories kept by what they are: a model is served from here, so that what was measured is what runs."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path

from kfops.adapters.local.digest import digest_of_directory, files_of, open_regular
from kfops.ports.errors import Refused

_DIGEST = re.compile(r"[0-9a-f]{64}")


class Store:
    """Content-addressed, read-only copies of directories below `root`, safe to fill from several processes."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def put(self, directory: Path) -> str:
        """Copy the directory in and return its digest; links are refused. Nothing half-written ever shows."""
        self._root.mkdir(parents=True, exist_ok=True)
        digest = digest_of_directory(directory)
        if self.path(digest):
            return digest
        incoming = Path(tempfile.mkdtemp(prefix=".incoming-", dir=self._root))
        try:
            _copy(directory, incoming)
            # The copy is measured, not the original: that one may have changed under our hands.
            digest = digest_of_directory(incoming)
            _sync_directory(incoming)
            self._take(incoming, digest)
        finally:
            shutil.rmtree(incoming, ignore_errors=True)
        return digest

    def path(self, digest: str) -> Path | None:
        """Where that directory lies; None when it is not here. Refused when it is no digest."""
        if not _DIGEST.fullmatch(digest):
            raise Refused(f"{digest!r} is no digest; expected 64 hexadecimal digits")
        place = self._root / digest
        return place if place.is_dir() else None

    def _take(self, incoming: Path, digest: str) -> None:
        try:
            incoming.rename(self._root / digest)
        except OSError:
            if self.path(digest) is None:  # else another process was faster with the same content
                raise
        _sync_directory(self._root)


def _copy(source: Path, target: Path) -> None:
    for name, path in files_of(source):
        place = target / name
        place.parent.mkdir(parents=True, exist_ok=True)
        with open_regular(path) as reading, place.open("xb") as writing:
            shutil.copyfileobj(reading, writing, 1 << 20)
            writing.flush()
            os.fsync(writing.fileno())
        place.chmod(0o444)
    # Folders stay writable for their owner, so that rename and removal work; others may only read.
    for folder in (target, *(path for path in target.rglob("*") if path.is_dir())):
        folder.chmod(0o755)
        _sync_directory(folder)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
