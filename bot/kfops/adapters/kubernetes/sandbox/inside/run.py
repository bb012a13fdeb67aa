"""`python run.py WORK SEAL [SAID]`: the second container of a sandbox's pod: run one command, and report.

WORK is a JSON file: the command, where, with which variables and limits. SEAL is the file with the filter of system
calls that every sandbox of Kfops has; here it also takes sockets away, as the network of a pod is only as closed as
the cluster's network plug-in makes it. The report is one frame on standard output, which becomes the container's log:
base64 of compressed JSON between two markers, the second with size and digest. What the command writes goes to files
and into the report. Stands alone: it imports nothing of Kfops.
"""

from __future__ import annotations

import base64
import contextlib
import ctypes
import errno
import hashlib
import importlib.util
import json
import os
import platform
import resource
import signal
import struct
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path
from typing import IO, Any

BEGIN, END = "-----BEGIN KFOPS REPORT-----", "-----END KFOPS REPORT"
# A container's log is rotated at 10 MiB unless the node's operator says otherwise, and then its beginning is gone.
LARGEST_FRAME = 6 << 20
_LINE = 1 << 10
_TAIL = 4000
_SET_DUMPABLE = 4
_LOAD, _EQUAL, _RETURN, _ALLOW, _DENY = 0x20, 0x15, 0x06, 0x7FFF0000, 0x00050000
_SOCKETS = {"x86_64": 41, "aarch64": 198}
_UNIX = 1


def main(work: str, seal: str, said: str = os.devnull) -> None:
    order = json.loads(Path(work).read_text(encoding="utf-8"))
    # Neither this process' descriptors nor its environment are for the command, which has the same user.
    ctypes.CDLL(None).prctl(_SET_DUMPABLE, 0, 0, 0, 0)
    with tempfile.TemporaryFile() as answer, tempfile.TemporaryFile() as log:
        report = {"code": done(order, Path(seal), said, answer, log), "log": tail(log)}
        answer.seek(0)
        content = answer.read(int(order["largest_answer"]) + 1)
    if len(content) > int(order["largest_answer"]):
        tell(report | {"is_too_large": True})
    else:
        tell(report | {"answer": content.decode(errors="replace")})


def done(order: dict[str, Any], seal: Path, said: str, answer: IO[bytes], log: IO[bytes]) -> int | None:
    """Its exit code; None when its time was up."""
    command = [sys.executable if word == "python" else word for word in order["command"]]
    limits = order["limits"]
    variables = {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "HOME": "/tmp",  # noqa: S108 - the pod's own
        "USER": "sandbox",
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        "MALLOC_ARENA_MAX": "2",
        **order["variables"],
    }

    def confine() -> None:
        # Its own entries in /proc belong to root as long as it cannot be dumped, as its parent cannot.
        ctypes.CDLL(None).prctl(_SET_DUMPABLE, 1, 0, 0, 0)
        with contextlib.suppress(OSError):  # when memory runs out, this goes before the one who reports it
            Path("/proc/self/oom_score_adj").write_text("1000")
        for name, value in limits.items():
            bound(getattr(resource, name), value)
        sealed(seal)

    with Path(said).open("rb") as told:
        process = subprocess.Popen(
            command,
            env=variables,
            cwd=order["chdir"],
            stdin=told,
            stdout=answer,
            stderr=log,
            start_new_session=True,
            preexec_fn=confine,  # noqa: PLW1509 - there is one thread
        )
        try:
            code = process.wait(order["timeout_s"])
        except subprocess.TimeoutExpired:
            code = None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return code


def bound(what: int, value: int) -> None:
    """As the order says, or as the node does where that is less."""
    most = resource.getrlimit(what)[1]
    value = value if most == resource.RLIM_INFINITY else min(value, most)
    resource.setrlimit(what, (value, value))


def sealed(seal: Path) -> None:
    """Without the system calls that confined code has no use for, and without sockets but those of one machine."""
    spec = importlib.util.spec_from_file_location("seal", seal)
    assert spec is not None  # noqa: S101 - a .py file
    assert spec.loader is not None  # noqa: S101
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    libc = ctypes.CDLL(None, use_errno=True)
    machine = platform.machine()
    if machine in _SOCKETS:
        module.install(libc, no_network(_SOCKETS[machine]))
        known = module._MACHINES[machine]  # noqa: SLF001 - the same people's
        module.install(libc, module.program(*known))


def no_network(socket: int) -> bytes:
    """In the kernel's packet-filter code; only AF_UNIX is left of `socket`. Other sets of numbers are the seal's affair."""
    words = [
        (_LOAD, 0, 0, 0),
        *((_EQUAL, 1, 0, socket), (_RETURN, 0, 0, _ALLOW)),
        *((_LOAD, 0, 0, 16), (_EQUAL, 0, 1, _UNIX), (_RETURN, 0, 0, _ALLOW)),
        (_RETURN, 0, 0, _DENY | errno.EACCES),
    ]
    return b"".join(struct.pack("HBBI", *word) for word in words)


def tail(log: IO[bytes]) -> str:
    size = log.seek(0, os.SEEK_END)
    log.seek(max(0, size - _TAIL))
    return log.read(_TAIL).decode(errors="replace")


def tell(report: dict[str, Any]) -> None:
    content = zlib.compress(json.dumps(report).encode(), 6)
    if len(content) > LARGEST_FRAME:
        content = zlib.compress(
            json.dumps({**report, "answer": None, "log": "", "is_too_large": True}).encode()
        )
    text = base64.b64encode(content).decode()
    lines = [text[start : start + _LINE] for start in range(0, len(text), _LINE)]
    end = f"{END} {len(content)} {hashlib.sha256(content).hexdigest()}-----"
    sys.stdout.write("\n".join((BEGIN, *lines, end, "")))
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
