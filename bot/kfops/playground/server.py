"""Serving the playground on this machine, in a thread, for programs and tests."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from kfops.playground.app import create_app
from kfops.playground.playground import Playground

STARTUP_S = 20.0


class _Server(uvicorn.Server):
    """Says when it is ready; leaves the process's signals alone, as it is not the process."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()


@contextmanager
def running(playground: Playground, port: int = 0, host: str = "127.0.0.1") -> Iterator[str]:
    """Serves while the block runs and gives the base URL; port 0 takes a free one. OSError where the port is taken."""
    # asyncio turns Nagle's algorithm off only where the socket names its protocol; else every answer waits 40 ms.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        playground.base_url = f"http://{host}:{listener.getsockname()[1]}"
        config = uvicorn.Config(
            create_app(playground),
            log_level="warning",
            access_log=False,
            lifespan="off",
            loop="asyncio",
            timeout_graceful_shutdown=2,
        )
        server = _Server(config)
        thread = threading.Thread(
            target=server.run, kwargs={"sockets": [listener]}, name="playground-http", daemon=True
        )
        thread.start()
        try:
            if not server.ready.wait(STARTUP_S):
                raise RuntimeError(
                    f"the playground did not start within {STARTUP_S:.0f} s on {playground.base_url}"
                )
            yield playground.base_url
        finally:
            server.should_exit = True
            thread.join(10)
            playground.close()
