"""One model server: starts it, sees when it can answer, and tells in which way it failed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import stat
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx

from kfops.adapters.local.disk import too_much
from kfops.adapters.local.process_tree import too_much_memory
from kfops.adapters.local.serving.child import die_with_parent
from kfops.adapters.local.serving.plain_http import NO_TLS
from kfops.adapters.local.serving.settle import State
from kfops.domain.canary_facts import Failure, FailureKind

_POLL_S = 0.03
_ASK_TIMEOUT_S = 2.0
_LONG_LIFE_S = 60.0
_LARGEST_LOG = 8 << 20
_LARGEST_FOLDER = 64 << 20
_MOST_FILES = 1000
_TAIL_BYTES = 8192
_TAIL_LINES = 15
_EXIT_OUT_OF_MEMORY = 4  # agreed with model_server.__main__
_KILLED = {
    -signal.SIGKILL,
    128 + signal.SIGKILL,
}  # by the kernel, when memory runs out; the second through the sandbox
_MEMORY_WORDS = ("MemoryError", "std::bad_alloc", "Cannot allocate memory", "cannot allocate memory")


@dataclass(frozen=True)
class Source:
    """What to serve. `commands`: the program for each slot, sandbox included. `memory_bytes`: of all its processes
    together; None: no such bound.
    """

    digest: str
    version: str
    model: str
    commands: Mapping[str, Sequence[str]]
    memory_bytes: int | None = None

    @property
    def identity(self) -> str:
        return f"{self.digest} {self.version}"

    @classmethod
    def read(cls, content: Mapping[str, Any] | None) -> Source | None:
        return cls(**content) if content else None


class ServerProcess:
    """`changed` is called at every change of `state`. Starts at once; all methods belong to one event loop."""

    def __init__(
        self,
        source: Source,
        slot: str,
        folder: Path,
        *,
        bound_at: float,
        ready_within_s: float,
        changed: Callable[[], None],
    ) -> None:
        self.source = source
        self.state = State.STARTING
        self.failure: Failure | None = None
        self.reported: tuple[str, str] | None = None  # digest and version, in the server's own words
        self.restarts = 0
        self.quick_deaths = 0  # in a row
        self.bound_at = bound_at
        self._slot = slot
        self._folder = folder
        self._ready_within_s = ready_within_s
        self._changed = changed
        self._process: asyncio.subprocess.Process | None = None
        self._started = 0.0
        self._excess: Failure | None = None
        self._life = asyncio.create_task(self._live())

    def restart(self) -> None:
        """Once it has failed."""
        self.restarts += 1
        lived = asyncio.get_running_loop().time() - self._started
        self.quick_deaths = 0 if lived > _LONG_LIFE_S else self.quick_deaths + 1
        self._turn(State.STARTING)
        self._life = asyncio.create_task(self._live())

    def drain(self) -> None:
        self._turn(State.DRAINING)

    async def stop(self) -> None:
        self._life.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._life
        await self._end()
        self._forget_sockets()

    def trim_log(self) -> None:
        """The model may write as much as it likes; what is kept is bounded."""
        with contextlib.suppress(OSError):
            if self._log.stat().st_size > _LARGEST_LOG:
                os.truncate(self._log, 0)

    def end_if_excessive(self) -> None:
        """The model has a folder of its own for its socket and may start processes: both have an end."""
        process = self._process
        if process is None or process.returncode is not None or self._excess is not None:
            return
        most = self.source.memory_bytes
        if written := too_much(
            self._offered.parent, _LARGEST_FOLDER, whose="the server", most_files=_MOST_FILES
        ):
            self._excess = Failure(FailureKind.DIED, written)
        elif most and (taken := too_much_memory(process.pid, most, whose="the server")):
            self._excess = Failure(FailureKind.OUT_OF_MEMORY, taken)
        else:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

    @property
    def _offered(self) -> Path:
        """Where the server puts its socket: in a folder in which it may do what it likes."""
        return self._folder / "sock" / "m.sock"

    @property
    def _socket(self) -> Path:
        """Where everybody connects: a hard link of our own. Through the server's folder, a symbolic link put in the
        socket's place would lead users, or the bot, to any other socket of this machine, Envoy's admin for one.
        """
        return self._folder / "m.sock"

    def _take_socket(self) -> bool:
        try:
            os.link(self._offered, self._socket, follow_symlinks=False)
        except FileExistsError:
            return True
        except OSError:
            return False
        if stat.S_ISSOCK(self._socket.lstat().st_mode):
            return True
        self._socket.unlink()
        return False

    def _forget_sockets(self) -> None:
        self._socket.unlink(missing_ok=True)
        # Whatever the model has made there, folders in the socket's place included; links are not followed.
        for path in self._offered.parent.glob("*"):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

    @property
    def _log(self) -> Path:
        return self._folder / "server.log"

    def _turn(self, state: State, failure: Failure | None = None) -> None:
        self.state, self.failure = state, failure
        self._changed()

    async def _live(self) -> None:
        try:
            self._process = process = await self._spawn()
        except OSError as error:
            self._turn(
                State.FAILED, Failure(FailureKind.DOES_NOT_START, f"the server cannot be started: {error}")
            )
            return
        ended = asyncio.create_task(process.wait())
        try:
            was_ready = await self._until_ready(ended)
            if was_ready and self.state is State.STARTING:
                self._turn(State.READY)
            elif not ended.done():
                await self._end()
                message = f"the server did not become ready within {self._ready_within_s:g} s"
                self._fail(Failure(FailureKind.NEVER_READY, self._with_tail(message)))
                return
            self._fail(self._verdict(await ended, was_ready=was_ready))
        finally:
            ended.cancel()

    def _fail(self, failure: Failure) -> None:
        if self.state is not State.DRAINING:
            self._turn(State.FAILED, failure)

    async def _spawn(self) -> asyncio.subprocess.Process:
        self._started = asyncio.get_running_loop().time()
        self._forget_sockets()
        self._excess = None
        self._log.unlink(missing_ok=True)
        with self._log.open("ab") as output:  # appending, so that a log that was cut does not grow a hole
            return await asyncio.create_subprocess_exec(
                *die_with_parent(*self.source.commands[self._slot]),
                env={"PATH": "/usr/bin:/bin"},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    async def _until_ready(self, ended: asyncio.Task[int]) -> bool:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._ready_within_s
        transport = httpx.AsyncHTTPTransport(uds=str(self._socket), verify=NO_TLS)
        async with httpx.AsyncClient(transport=transport, trust_env=False, timeout=_ASK_TIMEOUT_S) as client:
            while loop.time() < deadline and not ended.done():
                if self._take_socket() and await self._is_ready(client):
                    return True
                await asyncio.wait({ended}, timeout=_POLL_S)
        return False

    async def _is_ready(self, client: httpx.AsyncClient) -> bool:
        url = f"http://model/v2/models/{self.source.model}/ready"
        try:
            async with asyncio.timeout(_ASK_TIMEOUT_S), client.stream("GET", url) as answer:
                self.reported = (
                    answer.headers.get("x-kfops-revision", "")[:200],
                    answer.headers.get("x-kfops-version", "")[:200],
                )
                return answer.status_code == httpx.codes.OK
        except (httpx.HTTPError, TimeoutError):
            return False

    async def _end(self) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # it has no request left, or it does not answer
        await process.wait()

    def _verdict(self, code: int, *, was_ready: bool) -> Failure:
        if self._excess is not None:
            return replace(self._excess, message=self._with_tail(self._excess.message))
        tail = self._tail()
        if code == _EXIT_OUT_OF_MEMORY or code in _KILLED or any(word in tail for word in _MEMORY_WORDS):
            message = "the server ran out of the memory that it is allowed, or of the machine's"
            return Failure(FailureKind.OUT_OF_MEMORY, self._with_tail(message))
        how = f"by signal {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        if was_ready:
            return Failure(FailureKind.DIED, self._with_tail(f"the server served and then ended {how}"))
        return Failure(
            FailureKind.DOES_NOT_START, self._with_tail(f"the server ended {how} before it was ready")
        )

    def _with_tail(self, message: str) -> str:
        tail = self._tail()
        return f"{message}\n{tail}" if tail else message

    def _tail(self) -> str:
        try:
            with self._log.open("rb") as log:
                log.seek(max(0, self._log.stat().st_size - _TAIL_BYTES))
                text = log.read(_TAIL_BYTES).decode(errors="replace")
        except OSError:
            return ""
        return "\n".join([line for line in text.splitlines() if line.strip()][-_TAIL_LINES:])
