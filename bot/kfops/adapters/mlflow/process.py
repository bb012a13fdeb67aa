"""A process that outlives the bot, found again by its id and the moment it started."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_LOOK_EVERY_S = 0.05


@dataclass(frozen=True)
class Handle:
    """`started` is the kernel's start time in clock ticks since boot: an id alone can come to be another process's."""

    pid: int
    started: int


def spawn(argv: Sequence[str], *, cwd: Path, env: Mapping[str, str], log: Path) -> Handle:
    """Start a process in a session of its own, its output appended to `log`."""
    with log.open("ab") as output:
        # The child is never waited for through this object: it is meant to be there when the bot is not.
        process = subprocess.Popen(
            argv,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    started = _started(process.pid)
    process.returncode = 0  # else Popen complains about a child that still runs when the object goes
    return Handle(process.pid, -1 if started is None else started)


def alive(handle: Handle) -> bool:
    """Does this very process run? One that ended and was the bot's child is reaped on the way."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(handle.pid, os.WNOHANG)
    return _started(handle.pid) == handle.started


def stop(handle: Handle, *, grace_s: float = 15.0) -> None:
    """End it and its group: asked first, killed when it does not go within `grace_s`."""
    if not alive(handle):
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(handle.pid, signal.SIGTERM)
    deadline = time.monotonic() + grace_s
    while alive(handle) and time.monotonic() < deadline:
        time.sleep(_LOOK_EVERY_S)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(handle.pid, signal.SIGKILL)


def _started(pid: int) -> int | None:
    """None for a process that is not there, or is dead and not yet waited for."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])
