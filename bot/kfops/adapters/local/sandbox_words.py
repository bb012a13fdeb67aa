"""Words of the commands that begin a sandbox: its environment, the rights that are given up, the limits."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from kfops.adapters.local.confinement import Limits

SYSTEM_PATH = "/usr/bin:/bin"
SEALING = Path(__file__).parent / "sealing"
_SEAL_INSIDE = Path("/kfops-sealing")


def environment_inside(variables: Mapping[str, str]) -> list[str]:
    pairs = variables_inside(variables).items()
    return ["--clearenv", *(word for name, value in pairs for word in ("--setenv", name, value))]


def variables_inside(more: Mapping[str, str]) -> dict[str, str]:
    return {
        "PATH": f"{Path(sys.executable).parent}:{SYSTEM_PATH}",
        "HOME": "/tmp",  # noqa: S108 - inside
        "USER": "sandbox",
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        # Each arena takes 64 MiB of address space, which is what the limit on memory counts.
        "MALLOC_ARENA_MAX": "2",
        **more,
    }


def give_up_rights(uid: int) -> list[str]:
    return [
        *("setpriv", "--reuid", str(uid), "--regid", str(uid), "--clear-groups", "--no-new-privs"),
        *("--bounding-set=-all", "--inh-caps=-all", "--"),
    ]


def limited(limits: Limits) -> list[str]:
    words = [
        # When the machine runs out of memory after all, this goes before the bot does.
        *("choom", "-n", "1000", "--"),
        *("prlimit", "--core=0", f"--as={limits.memory_bytes}", f"--fsize={limits.file_bytes}"),
        f"--nofile={limits.open_files}",
    ]
    if limits.processes:
        words.append(f"--nproc={limits.processes}")
    if limits.cpu_s is not None:
        words.append(f"--cpu={limits.cpu_s}")
    return [*words, "--"]


def sealed() -> list[str]:
    """Before the limits, and after everything that needs a right; `seal_place` must be bound."""
    return [sys.executable, "-I", "-S", str(_SEAL_INSIDE / "seal.py")]


def seal_place() -> dict[Path, Path]:
    return {SEALING: _SEAL_INSIDE}


def die_with_parent() -> list[str]:
    return ["setpriv", "--pdeathsig", "KILL", "--"]
