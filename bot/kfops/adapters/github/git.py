"""git as a child process that trusts nothing: not the machine's configuration, not the repository, not the server.

The credential goes in a header, given through the environment: not in argv, where others on the machine read it, not
in an address and not on disk (R17).
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from base64 import b64encode
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from kfops.ports.errors import Refused, Unavailable

# A proxy and the operator's certificates are the machine's business; nothing else of its environment is.
_PASSED = ("PATH", "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy", "SSL_CERT_FILE", "GIT_SSL_CAINFO")
_MESSAGE_CHARS = 500
# What a server says that will say it again: no such commit, no access, objects that are malformed.
_FINAL = (
    "not our ref",
    "error: 401",
    "error: 403",
    "error: 404",
    "not found",
    "Authentication failed",
    "fsck error",
)


@dataclass(frozen=True)
class Git:
    """A bare repository, the work tree and index that it is used with, and whom to speak to."""

    store: Path
    timeout_s: float
    work_tree: Path | None = None
    index: Path | None = None
    header_for: str = ""  # the address whose host gets the header
    header: str = field(default="", repr=False)

    def run(self, *arguments: str) -> str:
        """What git printed. Unavailable where it fails or takes longer than `timeout_s`, Refused where it always will."""
        process = self._start(arguments, subprocess.PIPE)
        with process:
            try:
                printed, said = process.communicate(timeout=self.timeout_s)
            except subprocess.TimeoutExpired:
                _end(process)
                raise self._too_slow(arguments) from None
        if process.returncode != 0:
            message = said.decode(errors="replace").strip()[-_MESSAGE_CHARS:]
            is_final = any(words in message for words in _FINAL)
            raise (Refused if is_final else Unavailable)(f"git {arguments[0]} failed: {message}")
        return printed.decode(errors="surrogateescape")

    def beginning(self, *arguments: str, most: int) -> tuple[str, bool]:
        """What git printed up to `most` bytes, and whether that was all: trees can be made that list without end."""
        process = self._start(arguments, subprocess.DEVNULL)
        watch = threading.Timer(self.timeout_s, _end, [process])
        watch.start()
        with process:
            out = process.stdout
            printed = out.read(most + 1) if out else b""
            is_all = len(printed) <= most
            if not is_all:
                _end(process)
        watch.cancel()
        if is_all and process.returncode != 0:
            raise self._too_slow(arguments)
        return printed[:most].decode(errors="surrogateescape"), is_all

    def _start(self, arguments: Sequence[str], errors: int) -> subprocess.Popen[bytes]:
        beside = [f"--work-tree={self.work_tree}"] if self.work_tree else []
        return subprocess.Popen(
            ["git", f"--git-dir={self.store}", *beside, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=self._environment(),
            start_new_session=True,
        )

    def _too_slow(self, arguments: Sequence[str]) -> Unavailable:
        return Unavailable(f"git {arguments[0]} took longer than {self.timeout_s:.0f} s and was ended")

    def _environment(self) -> dict[str, str]:
        settings = list(_SETTINGS.items())
        if self.header_for:
            settings.append((f"http.{root_of(self.header_for)}.extraHeader", self.header))
            settings.append((f"protocol.{urlsplit(self.header_for).scheme}.allow", "always"))
        return {
            **{name: os.environ[name] for name in _PASSED if name in os.environ},
            **_numbered(settings),
            **({"GIT_INDEX_FILE": str(self.index)} if self.index else {}),
            "GIT_CONFIG_COUNT": str(len(settings)),
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_LFS_SKIP_SMUDGE": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "HOME": os.devnull,
            "LC_ALL": "C",
        }


def _end(process: subprocess.Popen[bytes]) -> None:
    # git's own children (git-remote-https) would outlive it.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


_SETTINGS: Mapping[str, str] = {
    "core.hooksPath": os.devnull,
    "core.fsmonitor": "false",
    "core.attributesFile": os.devnull,
    "core.symlinks": "true",
    "credential.helper": "",
    "fetch.fsckObjects": "true",
    "fetch.recurseSubmodules": "false",
    "gc.auto": "0",
    "http.followRedirects": "false",  # an address that moved is learnt anew over REST; headers stay with this host
    "http.lowSpeedLimit": "1000",
    "http.lowSpeedTime": "30",
    "maintenance.auto": "false",
    "protocol.allow": "never",
    "submodule.recurse": "false",
}


def _numbered(settings: Sequence[tuple[str, str]]) -> dict[str, str]:
    numbered = {}
    for number, (key, value) in enumerate(settings):
        numbered[f"GIT_CONFIG_KEY_{number}"] = key
        numbered[f"GIT_CONFIG_VALUE_{number}"] = value
    return numbered


def basic(token: str) -> str:
    """The header by which GitHub takes a token over git."""
    return f"Authorization: Basic {b64encode(f'x-access-token:{token}'.encode()).decode()}"


def root_of(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}/"


def git_root(base_url: str) -> str:
    """Where git is spoken, by the address of the API: github.com, *.ghe.com, an Enterprise server, the playground."""
    parts = urlsplit(base_url)
    host = parts.netloc.removeprefix("api.") if parts.path in {"", "/"} else parts.netloc
    return f"{parts.scheme}://{host}"
