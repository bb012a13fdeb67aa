"""The playground's forge in this process: served on loopback under `Weather`, its webhooks kept until somebody delivers them."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import uvicorn
from tests.support.weather import Weather

from kfops.playground.actions.apps import new_key
from kfops.playground.actions.refs import tell_changes
from kfops.playground.app import create_app
from kfops.playground.playground import Playground
from kfops.playground.state import Delivery, Hook, Repository, User
from kfops.playground.webhooks.delivery import Outbox


class Postbox(Outbox):
    """Webhooks wait here, signed, until they are taken out."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.waiting: list[Delivery] = []

    def _queue(self, hook: Hook, delivery: Delivery) -> None:
        assert hook.active
        self._state.deliveries[delivery.id] = delivery
        self.waiting.append(delivery)


@lru_cache(maxsize=1)
def app_key() -> str:
    """One private key for all tests: making one takes longer than most of them."""
    return new_key()


@lru_cache(maxsize=1)
def signing_key() -> Any:
    """The same key, read already: reading it takes longer than signing with it."""
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    return load_pem_private_key(app_key().encode(), password=None)


@contextmanager
def served(playground: Playground) -> Iterator[Weather]:
    """The forge over HTTP while the block runs; its address is in `playground.base_url`."""
    weather = Weather(create_app(playground))
    quiet = logging.getLogger("uvicorn.error")
    quiet.disabled = True  # a call that is cut off on purpose is no error of the server's
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        playground.base_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        config = uvicorn.Config(
            weather, log_level="critical", access_log=False, lifespan="off", loop="asyncio"
        )
        server = _Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield weather
        finally:
            server.end()
            thread.join(10)


class _Server(uvicorn.Server):
    """One that ends when it is told to. uvicorn's own looks ten times a second whether it should, and then waits a
    tenth more for callers: longer than many a test takes.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._runs = threading.Event()

    async def main_loop(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        self._runs.set()
        await self.on_tick(0)
        await self._ended.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.transport.abort()

    def end(self) -> None:
        assert self._runs.wait(10)
        self._loop.call_soon_threadsafe(self._ended.set)


def commit(
    playground: Playground,
    repository: Repository,
    branch: str,
    change: Mapping[str, str | None],
    *,
    onto: str,
    by: User,
    message: str = "Change",
) -> str:
    """A commit with these files (None deletes one) on the branch, which is made from `onto`; told as a push."""
    with playground.lock:
        bare = playground.bare(repository)
        parent = bare.resolve(f"refs/heads/{branch}") or bare.resolve(onto)
        who = f"{by.login} <{by.email}> {int(playground.now().timestamp())} +0000"
        said = message.encode()
        lines = [f"commit refs/heads/{branch}\ncommitter {who}\ndata {len(said)}\n".encode() + said + b"\n"]
        lines += [f"from {parent}\n".encode()] if parent else []
        for name, text in change.items():
            if text is None:
                lines.append(f"D {name}\n".encode())
                continue
            content = text.encode()
            lines.append(f"M 100644 inline {name}\ndata {len(content)}\n".encode() + content + b"\n")
        bare.run("fast-import", "--quiet", "--force", stdin=b"".join(lines))
        tell_changes(playground, repository, by)
        return str(bare.resolve(f"refs/heads/{branch}"))
