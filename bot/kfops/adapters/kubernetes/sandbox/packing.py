"""What a Job's work may read, as one archive: the same files make the same bytes, whose digest names the Job."""

from __future__ import annotations

import gzip
import hashlib
import os
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from kfops.ports.errors import Refused

_BLOCK = 1 << 20
_LARGEST = 4 << 30
_COMPILED = "__pycache__"


@dataclass(frozen=True)
class Packed:
    """`places`: what each top-level name of the archive is inside the pod. `unpacked_bytes` is what it takes there."""

    file: Path
    digest: str
    unpacked_bytes: int
    places: tuple[tuple[str, Path], ...]

    @property
    def size(self) -> int:
        return self.file.stat().st_size


def pack(read_only: Mapping[Path, Path], file: Path, *, largest: int = _LARGEST) -> Packed:
    """Into `file`. Files, folders and links as they are, without owners and times; Refused for anything else, and for
    more than `largest` bytes.
    """
    total, places = 0, []
    with (
        file.open("wb") as raw,
        gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=6, mtime=0, filename="") as compressed,
        tarfile.open(fileobj=compressed, mode="w|", format=tarfile.PAX_FORMAT) as archive,
    ):
        for number, (here, there) in enumerate(sorted(read_only.items(), key=lambda one: str(one[1]))):
            places.append((str(number), there))
            for path in _walk(here):
                below = path.relative_to(here)
                info = _entry(archive, path, str(Path(str(number)) / below))
                total += info.size
                if total > largest:
                    raise Refused(f"{here.name} has more than the {largest >> 20} MiB that a sandbox takes")
                if info.isreg():
                    with path.open("rb") as content:
                        archive.addfile(info, content)
                else:
                    archive.addfile(info)
    return Packed(file, _digest(file), total, tuple(places))


def _walk(here: Path) -> Iterator[Path]:
    """It, and what is below it, in the order of names; no link is followed below."""
    yield here
    if not here.is_dir():
        return
    for folder, folders, names in os.walk(here):
        folders[:] = sorted(name for name in folders if name != _COMPILED)
        yield from (Path(folder, name) for name in sorted([*folders, *names]))


def _entry(archive: tarfile.TarFile, path: Path, name: str) -> tarfile.TarInfo:
    if not (path.is_symlink() or path.is_file() or path.is_dir()):
        raise Refused(f"{path.name} is no file, folder or link; a sandbox takes nothing else")
    info = archive.gettarinfo(str(path), name)
    # A hard link's second name is a file of its own here.
    if info.islnk():
        info.type, info.linkname, info.size = tarfile.REGTYPE, "", path.stat().st_size
    info.mtime, info.uid, info.gid, info.uname, info.gname = 0, 0, 0, "", ""
    info.mode = 0o755 if info.isdir() or info.mode & 0o100 else 0o644
    return info


def _digest(file: Path) -> str:
    found = hashlib.sha256()
    with file.open("rb") as content:
        while block := content.read(_BLOCK):
            found.update(block)
    return found.hexdigest()
