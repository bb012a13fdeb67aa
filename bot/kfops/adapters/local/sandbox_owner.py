"""To whom a sandbox's folders belong, where it runs as a user of its own."""

from __future__ import annotations

import os
import zlib
from collections.abc import Mapping
from pathlib import Path

from kfops.ports.errors import Refused

NOBODY = 65534
# Ids that systemd sets aside for users that exist only while something runs. One sandbox's processes must not count
# against another's limit, so each writable folder has an id of its own.
_FIRST_UID, _LAST_UID = 61184, 65519
_OTHERS_MAY_ENTER = 0o005


def user_of(writable: Mapping[Path, Path]) -> int:
    first = next(iter(writable), None)
    if first is None:
        return NOBODY
    return _FIRST_UID + zlib.crc32(os.fsencode(first.absolute())) % (_LAST_UID - _FIRST_UID + 1)


def hand_over(writable: Mapping[Path, Path], uid: int) -> None:
    for path in writable:
        # Opened without following a link, so that nothing but this folder changes hands.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fchown(descriptor, uid, uid)
        finally:
            os.close(descriptor)


def check_readable(path: Path) -> None:
    mode = path.stat().st_mode
    wanted = _OTHERS_MAY_ENTER if path.is_dir() else 0o004
    if mode & wanted != wanted:
        raise Refused(
            f"{path} cannot be read by the sandbox's user: its mode is {mode & 0o777:03o}; expected others to have read access",
            fix=f"chmod -R go+rX {path}",
        )
