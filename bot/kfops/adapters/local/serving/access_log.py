"""An environment's access log on disk: read on from where the last look ended, through rotations."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_BLOCK = 1 << 20
_TAIL = 1 << 20
# A line is written when its request ends, so a request that began later than `since` is found after every line
# written before `since`; requests end within Envoy's time-outs, and this is well over them.
_LONGEST_REQUEST_S = 180.0


@dataclass
class Position:
    inode: int
    offset: int


class AccessLog:
    """`folder` holds `access.jsonl`, before a rotation's end also `access.old`, and `lineage`, the log's identity."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def lineage(self) -> str:
        """Another one than before: the log began anew, and what was counted from it is over."""
        try:
            return (self._folder / "lineage").read_text()
        except OSError:
            return ""

    def reaches_back_to(self, since: float) -> bool:
        if not (self._folder / "shortened").exists():
            return True
        return any((first := _first_began(path)) is not None and first <= since for path in self._files())

    def start(self, since: float) -> Position | None:
        """Before the first line of a request that began at `since` or later; None while there is no log."""
        for path in self._files():
            with path.open("rb") as file:
                inode, size = _identity(file)
                offset = _find(file, size, since - _LONGEST_REQUEST_S)
            if offset < size or path.name == "access.jsonl":
                return Position(inode, offset)
        return None

    def read(self, position: Position) -> Iterator[bytes]:
        """Whole lines from `position` on, which moves along. A log that was cut gets a new lineage."""
        files = self._files()
        known = [index for index, path in enumerate(files) if path.stat().st_ino == position.inode]
        if not known:
            self._renew()
            return
        for index, path in enumerate(files[known[0] :]):
            with path.open("rb") as file:
                inode, size = _identity(file)
                if index:
                    position.inode, position.offset = inode, 0
                elif size < position.offset:
                    self._renew()
                    return
                yield from _lines(file, position)

    def tail(self) -> list[bytes]:
        """The newest lines, newest last."""
        path = self._folder / "access.jsonl"
        try:
            with path.open("rb") as file:
                _, size = _identity(file)
                file.seek(max(0, size - _TAIL))
                return file.read().splitlines()
        except OSError:
            return []

    def _files(self) -> list[Path]:
        return [path for name in ("access.old", "access.jsonl") if (path := self._folder / name).exists()]

    def _renew(self) -> None:
        fresh = self._folder / ".lineage.new"
        fresh.write_text(secrets.token_hex(8))
        fresh.replace(self._folder / "lineage")


def _identity(file: BinaryIO) -> tuple[int, int]:
    status = os.fstat(file.fileno())
    return status.st_ino, status.st_size


def _lines(file: BinaryIO, position: Position) -> Iterator[bytes]:
    file.seek(position.offset)
    while block := file.read(_BLOCK):
        end = block.rfind(b"\n") + 1
        if not end:
            return  # the writer is in the middle of a line
        position.offset += end
        file.seek(position.offset)
        yield from block[:end].splitlines()


def _find(file: BinaryIO, size: int, ended_before: float) -> int:
    """By halving: the start of a line such that all requests before it began before `ended_before`."""
    low, high = 0, size
    while high - low > _BLOCK:
        middle = (low + high) // 2
        file.seek(middle)
        file.readline()
        start = file.tell()
        began = _began(file.readline())
        if began is None or start >= high or began >= ended_before:
            high = middle
        else:
            low = start
    return low


def _first_began(path: Path) -> float | None:
    with path.open("rb") as file:
        return _began(file.readline())


def _began(line: bytes) -> float | None:
    try:
        return float(json.loads(line)["began"])
    except (ValueError, KeyError, TypeError):
        return None
