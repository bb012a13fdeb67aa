"""What a process has started, and how much memory all of it takes together. Read from /proc, from outside."""

from __future__ import annotations

import contextlib
import os
import re
import signal
from collections import defaultdict
from pathlib import Path

_PARENT_FIELD = 1  # of /proc/PID/stat, counted after the name
_RESIDENT = re.compile(rb"^Rss(?:Anon|Shmem):\s+(\d+) kB", re.MULTILINE)
_SHARED_FAIRLY = re.compile(rb"^Pss_(?:Anon|Shmem):\s+(\d+) kB", re.MULTILINE)


def descendants(pid: int) -> list[int]:
    """It and all below it, whatever sessions and namespaces they have moved to."""
    children = _children if Path(f"/proc/self/task/{os.getpid()}/children").exists() else _all_children().get
    found = [pid]
    for one in found:
        found += children(one, [])
    return found


def _children(pid: int, none: list[int]) -> list[int]:
    """As the kernel lists them by thread, where it does: a fraction of the work."""
    found = none
    for file in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found = found + [int(one) for one in file.read_text().split()]
    return found


def _all_children() -> dict[int, list[int]]:
    """Of every process on this machine, by its parent."""
    children = defaultdict(list)
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            stat = (place / "stat").read_text().rpartition(")")[2].split()
            children[int(stat[_PARENT_FIELD])].append(int(place.name))
    return children


def kill_tree(pid: int) -> None:
    """At once. What was started meanwhile is its session's, or its sandbox's, to end."""
    for one in descendants(pid):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(one, signal.SIGKILL)


def memory_of(pid: int, *, suspicious: int) -> int:
    """Bytes in memory that are not a file's: of it and all below it.

    Memory that several share is counted once for each, until that comes to more than `suspicious`; then fairly.
    """
    tree = descendants(pid)
    total = sum(_kib(Path(f"/proc/{one}/status"), _RESIDENT) for one in tree) << 10
    if total > suspicious:
        fair = sum(_kib(Path(f"/proc/{one}/smaps_rollup"), _SHARED_FAIRLY) for one in tree) << 10
        return fair or total  # not every kernel tells the fair share
    return total


def too_much_memory(pid: int, most_bytes: int, *, whose: str) -> str:
    """A sentence when it takes more than it may, else nothing."""
    if memory_of(pid, suspicious=most_bytes) <= most_bytes:
        return ""
    return f"{whose} took more than the {most_bytes / (1 << 30):g} GiB of memory that it may"


def _kib(file: Path, pattern: re.Pattern[bytes]) -> int:
    try:
        return sum(int(found) for found in pattern.findall(file.read_bytes()))
    except OSError:
        return 0  # it has ended
