"""Processes that outlive the bot: started in a session of their own, found again by id and moment of start."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

_LOOK_EVERY_S = 0.05
_START_FIELD = 19  # of /proc/PID/stat, counted after the name: start time in clock ticks since boot
_GONE = "ZX"


@dataclass(frozen=True)
class Handle:
    """`started` is the boot's id and the kernel's start time, because an id alone can come to be another process's."""

    pid: int
    started: str

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Handle:
        """Raises ValueError for anything but what `to_json` wrote."""
        try:
            content = json.loads(text)
            return cls(int(content["pid"]), str(content["started"]))
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"no process handle: {text[:100]!r}") from error


def spawn(argv: Sequence[str], *, env: Mapping[str, str], cwd: Path, log: Path) -> Handle:
    """Start a process with exactly this environment, no input, and its output appended to `log`. OSError if it cannot."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            list(argv),
            env=dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    started = _started(process.pid)
    # It is meant to be there when the bot is not, so this object never waits for it; unset, Popen complains about that.
    process.returncode = 0
    return Handle(process.pid, started or "it ended at once")


def this_process() -> Handle:
    return Handle(os.getpid(), _started(os.getpid()) or "")


def of_this_boot(pid: int, ticks: int) -> Handle:
    """By the id and the kernel's start time alone, for whoever kept no more than that."""
    return Handle(pid, f"{_boot()} {ticks}")


def alive(handle: Handle) -> bool:
    """Does this very process run? One that ended and was this process's child is reaped on the way."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(handle.pid, os.WNOHANG)
    return _started(handle.pid) == handle.started


def stop(handle: Handle, *, grace_s: float, monotonic: Callable[[], float] = time.monotonic) -> None:
    """End it and its whole group: asked first, killed when something of it is left after `grace_s` seconds."""
    if not alive(handle):
        return
    _signal_group(handle.pid, signal.SIGTERM)
    deadline = monotonic() + grace_s
    while alive(handle) and monotonic() < deadline:
        time.sleep(_LOOK_EVERY_S)
    # The leader may be gone and its children not; a group keeps its number for as long as it has a member.
    _signal_group(handle.pid, signal.SIGKILL)
    while alive(handle) and monotonic() < deadline + 1:
        time.sleep(_LOOK_EVERY_S)


def _signal_group(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def _started(pid: int) -> str | None:
    """None for a process that is not there, or is dead and not yet waited for."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if fields[0] in _GONE else f"{_boot()} {fields[_START_FIELD]}"
    except OSError:
        return None


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
