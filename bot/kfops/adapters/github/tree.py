"""What a commit would put on the disk, looked at before it does; and the links that lead out of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kfops.ports.errors import Refused

MOST_FILES = 100_000
MOST_BYTES = 2 * 2**30
MOST_LISTING = 64 * 2**20  # bytes of `git ls-tree` that are read


@dataclass(frozen=True)
class Size:
    files: int
    bytes: int


def measure(listing: str) -> Size:
    """Of `git ls-tree -r -l -z`: mode, kind, object, size, path; submodules have no size."""
    files = total = 0
    for entry in filter(None, listing.split("\0")):
        size = entry.partition("\t")[0].split()[-1]
        files += 1
        total += int(size) if size.isdecimal() else 0
    return Size(files, total)


def check_size(size: Size, *, is_all: bool = True) -> None:
    """`is_all`: the listing that was measured was whole."""
    if not is_all or size.files > MOST_FILES or size.bytes > MOST_BYTES:
        raise Refused(
            f"the commit has {size.files:,} files with {size.bytes / 2**20:,.0f} MiB; "
            f"expected at most {MOST_FILES:,} files and {MOST_BYTES / 2**20:,.0f} MiB",
            fix="keep data sets out of the repository (`kfc data add FILE` stores them)",
        )


def remove_leaving_links(folder: Path) -> tuple[str, ...]:
    """Removes symbolic links that are absolute or lead out of the folder, chains included; their paths. Refused where not
    all of the folder can be looked at.
    """
    try:
        leaving = list(_leaving(folder))
        for path in leaving:
            path.unlink()
    except OSError as error:
        told = str(error.filename or "")
        raise Refused(
            f"the commit has a path that cannot be looked at here (…{told[-60:]!r}, {len(told)} characters): {error.strerror}",
            fix="give the repository's files shorter paths",
        ) from error
    return tuple(str(path.relative_to(folder)) for path in leaving)


def _leaving(folder: Path) -> Iterator[Path]:
    root = os.path.realpath(folder)

    def stop(error: OSError) -> None:
        raise error

    for place, folders, files in os.walk(folder, onerror=stop, followlinks=False):
        for name in (*folders, *files):
            path = Path(place, name)
            if path.is_symlink() and _leaves(path, root):
                yield path


def _leaves(link: Path, root: str) -> bool:
    if link.readlink().is_absolute():
        return True
    target = os.path.realpath(link)
    return target != root and not target.startswith(f"{root}{os.sep}")
