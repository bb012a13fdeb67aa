"""How much a folder that foreign code writes to has grown."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

_BLOCK = 512  # what st_blocks counts, whatever the file system's own is
_MOST_FILES = 200_000


def too_much(folder: Path, most_bytes: int, *, whose: str, most_files: int = _MOST_FILES) -> str:
    """A sentence when it holds more than it may, else nothing. Space on the disk counts, not what sizes pretend."""
    used = files = 0
    for here, folders, names in os.walk(folder):
        files += len(names) + len(folders)
        for name in names:
            with contextlib.suppress(OSError):
                used += (Path(here) / name).lstat().st_blocks * _BLOCK
        if used > most_bytes:
            return f"{whose} wrote more than the {most_bytes / (1 << 30):g} GiB that it may"
        if files > most_files:
            return f"{whose} wrote more than {most_files} files"
    return ""
