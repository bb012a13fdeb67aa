"""The tracking server of one machine: `mlflow server` on SQLite, started by the bot, outliving it."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import httpx

from kfops.adapters.local.processes import Handle, alive, of_this_boot, spawn, stop
from kfops.adapters.mlflow import keeper
from kfops.ports.errors import Refused, Unavailable

_HOST = "127.0.0.1"
_ATTEMPTS = 3
_LOOK_EVERY_S = 0.1
_LOG_TAIL = 800
_PORT_IS_TAKEN = "address already in use"  # somebody else took it between our look and the server's
_GRACE_S = 15.0


@dataclass(frozen=True)
class _Started:
    handle: Handle
    port: int


class MlflowServer:
    """One server per data folder, whoever asks and however often; it ends with `shutdown` or with the folder.

    `folder` holds its database, artifacts, log and `server.json`, which names the process and the port. The port is
    kept over restarts where it is free, so that links in old comments go on working.
    """

    def __init__(
        self, folder: Path, *, ready_within_s: float = 90.0, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._folder = folder.absolute()
        self._ready_within_s = ready_within_s
        self._monotonic = monotonic

    def start(self) -> str:
        """The URL of the server, which is started if it does not run, and may not answer yet."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._alone():
            known = self._known()
            if known is None or not alive(known.handle):
                known = self._spawn(_free_port(known.port if known else 0))
            return f"http://{_HOST}:{known.port}"

    def ensure_running(self) -> str:
        """The URL of a server that answers. Unavailable when none does within the deadline, with the log's last words."""
        deadline = self._monotonic() + self._ready_within_s
        for _ in range(_ATTEMPTS):
            url = self.start()
            if self._answers(url, deadline):
                return url
            if _PORT_IS_TAKEN not in self._last_words():
                break
        raise Unavailable(
            f"mlflow server could not be started; {self._folder / 'server.log'} ends: {self._last_words()}"
        )

    def shutdown(self) -> None:
        """End the server if it runs. The data stays."""
        if not self._folder.is_dir():
            return
        with self._alone():
            known = self._known()
            if known is not None:
                stop(known.handle, grace_s=_GRACE_S)

    def _answers(self, url: str, deadline: float) -> bool:
        """False when the process ended or the time is up."""
        with httpx.Client(trust_env=False, timeout=5.0) as client:
            while self._monotonic() < deadline:
                known = self._known()
                if known is None or not alive(known.handle):
                    return False
                try:
                    if client.get(f"{url}/health").is_success:
                        return True
                except httpx.TransportError:
                    pass
                time.sleep(_LOOK_EVERY_S)
        return False

    def _spawn(self, port: int) -> _Started:
        _require_mlflow()
        (self._folder / "artifacts").mkdir(exist_ok=True)
        handle = spawn(
            [sys.executable, "-I", keeper.__file__, str(self._folder), *_command(port)],
            cwd=self._folder,
            env=_environment(self._folder),
            log=self._folder / "server.log",
        )
        started = _Started(handle, port)
        self._remember(started)
        return started

    def _known(self) -> _Started | None:
        try:
            state = json.loads((self._folder / "server.json").read_text())
            return _Started(_handle(state["process"]), int(state["port"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _remember(self, started: _Started) -> None:
        handle = started.handle
        state = {"process": json.loads(handle.to_json()), "port": started.port}
        incoming = self._folder / "server.json.new"
        incoming.write_text(json.dumps(state))
        incoming.replace(self._folder / "server.json")

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Threads and processes that ask at the same time wait for each other, so that one server comes of it."""
        with (self._folder / "server.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _last_words(self) -> str:
        try:
            return (self._folder / "server.log").read_text(errors="replace")[-_LOG_TAIL:].strip()
        except OSError:
            return "(no log)"


def _handle(process: dict[str, Any]) -> Handle:
    """Earlier versions wrote the start as clock ticks alone; a server that they started is adopted."""
    if isinstance(process["started"], int):
        return of_this_boot(process["pid"], process["started"])
    return Handle.from_json(json.dumps(process))


def _command(port: int) -> list[str]:
    return [
        *(sys.executable, "-m", "mlflow", "server"),
        # Relative to the folder it is started in: no character of its path can upset a URI.
        *("--backend-store-uri", "sqlite:///mlflow.db", "--artifacts-destination", "./artifacts"),
        *("--host", _HOST, "--port", str(port), "--workers", "1"),
        # A page elsewhere must not reach the server through a name that it points at this machine.
        *("--allowed-hosts", f"{_HOST}:{port},localhost:{port}"),
        *("--uvicorn-opts", "--log-level warning"),
    ]


def _environment(folder: Path) -> dict[str, str]:
    """Nothing of the bot's own environment: its tokens are none of the server's business."""
    return {
        "PATH": os.defpath,
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "PYTHONWARNINGS": "ignore",
    }


def _require_mlflow() -> None:
    try:
        version("mlflow")
    except PackageNotFoundError as error:
        raise Refused(
            "the package `mlflow` is not installed; the tracking server of one machine needs it",
            fix="pip install 'kfops[local]', or set the URL of an MLflow server in the operator's settings",
        ) from error


def _free_port(wanted: int) -> int:
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((_HOST, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise Unavailable(f"no free port on {_HOST}")
