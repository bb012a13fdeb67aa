r"""What a file or a directory of files is, as one SHA-256.

A directory's digest is over its regular files, in the order of their paths: SHA-256 of the lines
`<sha256 of the content> <size> <path>\0`, the path relative and with forward slashes. Times, owners, modes and empty
directories do not count: they do not survive an artifact store. Links and devices are refused, never followed,
because the directory may have been written by code that nobody trusts.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from kfops.ports.errors import Refused

_BLOCK = 1 << 20


def digest_of_directory(directory: Path) -> str:
    """The digest in hex. Refused where it is no directory, has no files, or holds anything but files and folders."""
    total = hashlib.sha256()
    empty = True
    for name, path in files_of(directory):
        empty = False
        total.update(f"{digest_of_file(path)} {path.lstat().st_size} {name}\0".encode())
    if empty:
        raise Refused(f"{directory.name}: the directory has no files; expected at least one")
    return total.hexdigest()


def digest_of_file(path: Path) -> str:
    """SHA-256 of the content in hex. Refused where it is not a regular file."""
    content = hashlib.sha256()
    with open_regular(path) as file:
        while block := file.read(_BLOCK):
            content.update(block)
    return content.hexdigest()


def files_of(directory: Path) -> Iterator[tuple[str, Path]]:
    """Every file below `directory` as (relative path with forward slashes, path), sorted by the former."""
    if directory.is_symlink() or not directory.is_dir():
        raise Refused(f"{directory.name}: expected a directory")
    yield from sorted(_walk(directory, ""))


def _walk(directory: Path, prefix: str) -> Iterator[tuple[str, Path]]:
    with os.scandir(directory) as entries:
        for entry in entries:
            name = prefix + entry.name
            if not name.isprintable():  # undecodable bytes arrive as lone surrogates, which are not printable
                raise Refused(f"{name!a}: the file name is not printable UTF-8")
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(Path(entry.path), name + "/")
            elif entry.is_file(follow_symlinks=False):
                yield name, Path(entry.path)
            else:
                kind = "a link" if entry.is_symlink() else "neither a file nor a directory"
                raise Refused(
                    f"{name} is {kind}; expected files and directories only",
                    fix="hand over a copy of the file",
                )


def open_regular(path: Path) -> BinaryIO:
    """The file for reading; Refused when the last part of the path is a link, a pipe or a device."""
    try:
        # O_NONBLOCK: opening a named pipe must not wait for somebody to write to it.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise Refused(f"{path.name}: {error.strerror}; expected a regular file that can be read") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise Refused(f"{path.name}: expected a regular file")
    return os.fdopen(descriptor, "rb")
