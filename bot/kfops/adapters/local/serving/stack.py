"""`python -m kfops.adapters.local.serving.stack DIRECTORY [READY_WITHIN_S]`: what serves, a process tree of its own.

It outlives the bot, so that users are served while the bot restarts. It ends when it is told to, and by itself when
its folder is gone. One stack a folder: a second one finds the lock taken and leaves.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import secrets
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

from kfops.adapters.local.processes import this_process
from kfops.adapters.local.serving import control, envoy_config
from kfops.adapters.local.serving.environment import Environment
from kfops.adapters.local.serving.envoy import Envoy
from kfops.ports.errors import Refused, Unavailable

_TICK_S = 0.5
_LOCK_TRIES = 20
_LOCK_PAUSE_S = 0.02
_LARGEST_ACCESS_LOG = 256 << 20


class Stack:
    """The working directory is the stack's folder: sockets are reached by short, relative paths."""

    def __init__(self, ready_within_s: float) -> None:
        self._folder = Path()
        self._inode = self._folder.stat().st_ino
        self._place = self._folder.absolute()
        self._ready_within_s = ready_within_s
        self._envoy = Envoy(self._folder)
        self._environments: dict[str, Environment] = {}
        self._opening = asyncio.Lock()
        self._over = asyncio.Event()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._over.set)
        for place in sorted((self._folder / "environments").glob("*.json")):
            content = json.loads(place.read_text())
            environment = self._make(place.stem, _port(content["port"]))
            await self._envoy.add(environment.front)
            environment.resume(content)
            self._environments[place.stem] = environment
        await self._envoy.start()
        try:
            await asyncio.gather(*(environment.turn() for environment in self._environments.values()))
            async with await control.listen(self._answer):
                await self._watch()
        finally:
            await asyncio.gather(*(environment.stop() for environment in self._environments.values()))
            await self._envoy.stop()

    async def _watch(self) -> None:
        """Until told to end; whatever was missed between two events is mended here."""
        ended = asyncio.create_task(self._envoy.wait())
        over = asyncio.create_task(self._over.wait())
        while self._is_there() and not self._over.is_set():
            await asyncio.wait({ended, over}, timeout=_TICK_S, return_when=asyncio.FIRST_COMPLETED)
            if ended.done() and not self._over.is_set():
                await self._envoy.start()
                ended = asyncio.create_task(self._envoy.wait())
            try:
                for environment in self._environments.values():
                    environment.tidy()
                    await environment.turn()
                await self._rotate()
            except Unavailable as error:
                print(f"kfops serving stack: {error}", file=sys.stderr, flush=True)  # noqa: T201
        ended.cancel()
        over.cancel()

    async def _answer(self, question: dict[str, Any]) -> dict[str, Any]:
        match question["do"]:
            case "ping":
                return {"pid": os.getpid()}
            case "apply":
                environment = await self._environment(question["environment"])
                await environment.apply(question["wish"])
                return environment.observe()
            case "observe":
                return (await self._environment(question["environment"])).observe()
            case "traffic":
                return await (await self._environment(question["environment"])).traffic()
            case other:
                raise Refused(f"unknown request {other!r}")

    async def _environment(self, slug: str) -> Environment:
        async with self._opening:
            if slug not in self._environments:
                environment = self._make(slug, _port())
                await self._envoy.add(environment.front)
                await environment.apply({"stable": None, "candidate": None, "candidate_weight": 0})
                self._environments[slug] = environment
        return self._environments[slug]

    def _make(self, slug: str, port: int) -> Environment:
        log = self._folder / envoy_config.access_log_path(slug)
        log.parent.mkdir(parents=True, exist_ok=True)
        lineage = log.parent / "lineage"
        if not lineage.exists():
            lineage.write_text(secrets.token_hex(8))
        front = envoy_config.Front(slug, port)
        return Environment(
            front, self._folder, self._envoy, now=time.time, ready_within_s=self._ready_within_s
        )

    async def _rotate(self) -> None:
        for slug in self._environments:
            log = self._folder / envoy_config.access_log_path(slug)
            if log.exists() and log.stat().st_size > _LARGEST_ACCESS_LOG:
                older = log.with_suffix(".old")
                if older.exists():
                    (log.parent / "shortened").touch()
                log.replace(older)
                await self._envoy.reopen_logs()

    def _is_there(self) -> bool:
        try:
            return self._place.stat().st_ino == self._inode
        except OSError:
            return False


def _port(wanted: int = 0) -> int:
    """The port that was wanted, or a free one where somebody else has taken it meanwhile."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main(directory: str, ready_within_s: str = "120") -> int:
    os.chdir(directory)
    with Path("lock").open("w") as lock:
        if not _take(lock.fileno()):
            return 0
        Path(control.IDENTITY).write_text(this_process().to_json())
        try:
            asyncio.run(_run(float(ready_within_s)))
        except (Refused, Unavailable) as error:
            print(f"kfops serving stack: {error}", file=sys.stderr)  # noqa: T201 - the stack's log
            return 1
    return 0


def _take(lock: int) -> bool:
    """False when another stack holds it. Tried for a while: whoever looks whether a stack runs holds it for a moment."""
    for _ in range(_LOCK_TRIES):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_LOCK_PAUSE_S)
        else:
            return True
    return False


async def _run(ready_within_s: float) -> None:
    await Stack(ready_within_s).run()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
