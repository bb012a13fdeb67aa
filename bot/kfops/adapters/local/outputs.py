"""Take what foreign code left in a folder: no link is followed, nothing but files and folders is taken, all bounded."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from kfops.ports.errors import Refused

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# A named pipe must not make us wait for somebody who writes to it.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_BLOCK = 1 << 20
_DEEPEST = 40


def read_output(root: Path, relative: str, largest: int) -> bytes:
    """The content of a regular file below `root`. Refused where there is none, it is larger, or a link is on the way."""
    with _opened(root, relative) as file:
        content = file.read(largest + 1)
    if len(content) > largest:
        raise Refused(f"{relative} has more than {largest} bytes")
    return content


def digest_output(root: Path, relative: str) -> str:
    """SHA-256 (hex) of a regular file below `root`. Refused like `read_output`."""
    content = hashlib.sha256()
    with _opened(root, relative) as file:
        while block := file.read(_BLOCK):
            content.update(block)
    return content.hexdigest()


def copy_output(root: Path, relative: str, target: Path, *, largest: int, most_files: int = 10_000) -> int:
    """Copy a file or a folder below `root` to `target`, which must not be there, and return the bytes copied.

    Refused like `read_output`, and for anything but files and folders; something may then be left at `target`.
    """
    with _reached(root, relative) as (folder, name):
        left = _Left(largest, most_files)
        if _is_folder(folder, name, relative):
            with _folder(folder, name, relative) as inner:
                _copy_folder(inner, target, relative, left, depth=0)
        else:
            _copy_file(folder, name, target, relative, left)
    return largest - left.bytes


def exists(root: Path, relative: str) -> bool:
    """Is there a file or a folder, reached without a link?"""
    try:
        with _reached(root, relative) as (folder, name):
            mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
    except (Refused, OSError):
        return False
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode)


def names(root: Path, relative: str = ".", *, most: int = 1000) -> list[str]:
    """What a folder holds, sorted; [] when it is not there."""
    try:
        with _descended(root, PurePosixPath(relative).parts, relative) as folder:
            return sorted(os.listdir(folder))[:most]  # noqa: PTH208 - a descriptor, not a path
    except Refused:
        return []


class _Left:
    """What may still be copied."""

    def __init__(self, largest: int, most_files: int) -> None:
        self.bytes = largest
        self.files = most_files


def _copy_folder(folder: int, target: Path, shown: str, left: _Left, *, depth: int) -> None:
    if depth > _DEEPEST:
        raise Refused(f"{shown} is nested more than {_DEEPEST} folders deep")
    target.mkdir()
    for name in sorted(os.listdir(folder)):
        below = f"{shown}/{name}"
        if not name.isprintable():
            raise Refused(f"{below!a}: the file name is not printable UTF-8")
        if _is_folder(folder, name, below):
            with _folder(folder, name, below) as inner:
                _copy_folder(inner, target / name, below, left, depth=depth + 1)
        else:
            _copy_file(folder, name, target / name, below, left)


def _copy_file(folder: int, name: str, target: Path, shown: str, left: _Left) -> None:
    left.files -= 1
    if left.files < 0:
        raise Refused(f"{shown}: more files than are taken")
    with _file(folder, name, shown) as reading, target.open("xb") as writing:
        left.bytes -= os.fstat(reading.fileno()).st_size
        if left.bytes < 0:
            raise Refused(f"{shown}: the output is larger than is taken")
        shutil.copyfileobj(reading, writing, _BLOCK)


def _is_folder(folder: int, name: str, shown: str) -> bool:
    try:
        return stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
    except OSError as error:
        raise Refused(f"{shown}: {error.strerror}") from error


@contextmanager
def _opened(root: Path, relative: str) -> Iterator[BinaryIO]:
    with _reached(root, relative) as (folder, name), _file(folder, name, relative) as file:
        yield file


@contextmanager
def _reached(root: Path, relative: str) -> Iterator[tuple[int, str]]:
    """The folder that holds what is meant, and its name there."""
    path = PurePosixPath(relative)
    if path.name in {"", ".."}:
        raise Refused(f"{relative}: expected a path below the folder")
    with _descended(root, path.parts[:-1], relative) as folder:
        yield folder, path.name


@contextmanager
def _descended(root: Path, parts: tuple[str, ...], shown: str) -> Iterator[int]:
    """The folder below `root` by its parts, each opened from the one before."""
    if PurePosixPath(*parts).is_absolute() or ".." in parts:
        raise Refused(f"{shown}: expected a path below the folder")
    here = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in parts:
            try:
                deeper = os.open(part, _FOLDER, dir_fd=here)
            except OSError as error:
                raise Refused(f"{shown}: {error.strerror}; expected a folder, not a link") from error
            os.close(here)
            here = deeper
        yield here
    finally:
        os.close(here)


@contextmanager
def _folder(folder: int, name: str, shown: str) -> Iterator[int]:
    try:
        inner = os.open(name, _FOLDER, dir_fd=folder)
    except OSError as error:
        raise Refused(f"{shown}: {error.strerror}; expected a folder, not a link") from error
    try:
        yield inner
    finally:
        os.close(inner)


@contextmanager
def _file(folder: int, name: str, shown: str) -> Iterator[BinaryIO]:
    try:
        descriptor = os.open(name, _FILE, dir_fd=folder)
    except OSError as error:
        raise Refused(f"{shown}: {error.strerror}; expected a regular file, not a link") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise Refused(f"{shown} is no regular file")
    with os.fdopen(descriptor, "rb") as file:
        yield file
