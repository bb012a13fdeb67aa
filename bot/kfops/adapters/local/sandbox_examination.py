"""Whether a sandbox holds, tried with code of our own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from kfops.adapters.local.confinement import Limits
from kfops.adapters.local.short_work import ShortWork, Workroom

_INSIDE = Path(__file__).parent / "inside_probe.py"
_THERE = Path("/kfops/inside_probe.py")
_WORDS = {
    "tokens": "code in the sandbox finds a token of a service account",
    "reached": "code in the sandbox reaches the network",
    "written": "code in the sandbox writes to the root file system",
}


def examine_sandbox(room: Workroom) -> Iterator[tuple[str, str, bool]]:
    """(problem, what mends it, whether it is grave). May raise what the room raises."""
    work = ShortWork(
        "probe",
        (sys.executable, "-I", "-S", str(_THERE)),
        read_only={_INSIDE: _THERE},
        chdir=Path("/"),
        limits=Limits(memory_bytes=1 << 30, processes=64, file_bytes=1 << 20, scratch_bytes=16 << 20),
        timeout_s=30.0,
        largest_answer=1 << 16,
    )
    with room.start(work) as running:
        ended = running.finish()
    if ended.answer is None:
        why = ended.stopped or ended.last_line or f"exit code {ended.code}"
        yield f"nothing runs in {room.name}: {why}", "look at the sandbox's image and its limits", True
        return
    if ended.answer.get("user") == 0:
        yield f"code in {room.name} is root", "give the sandbox an unprivileged user", True
    for key, sentence in _WORDS.items():
        found = ended.answer.get(key)
        if found:
            yield f"{sentence}: {', '.join(map(str, found))}", "see deploy/base/sandbox.yaml", True
