"""Runs the tracking server, and ends it when its data folder goes away.

A script of the standard library only (`python -I keeper.py FOLDER COMMAND…`): it stands beside the server for days,
so it stays small. The bot may die and come back meanwhile; the folder is what the server belongs to.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

_LOOK_EVERY_S = 2.0
_GRACE_S = 5.0


def keep(folder: Path, command: list[str]) -> None:
    """Run `command` until it ends, a SIGTERM comes, or `folder` is not the same folder any more.

    The keeper leads a process group, and whoever kills that group kills the server too.
    """
    if os.getpgrp() != os.getpid():
        os.setpgid(0, 0)
    identity = _identity(folder)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        while child.poll() is None and _identity(folder) == identity:
            time.sleep(_LOOK_EVERY_S)
    except KeyboardInterrupt:
        pass
    finally:
        _end_group(child)


def _end_group(child: subprocess.Popen[bytes]) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.killpg(0, signal.SIGTERM)
    try:
        child.wait(_GRACE_S)
    except subprocess.TimeoutExpired:
        pass
    else:
        time.sleep(1)  # `mlflow server` ends before the web server that it started
    os.killpg(0, signal.SIGKILL)


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        found = folder.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


if __name__ == "__main__":
    keep(Path(sys.argv[1]), sys.argv[2:])
