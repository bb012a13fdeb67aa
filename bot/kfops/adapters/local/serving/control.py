"""How the bot talks to the stack: one JSON line there, one JSON line back, over a Unix socket of its owner's only."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kfops.ports.errors import Refused, Unavailable

SOCKET = "control.sock"
IDENTITY = "stack.json"  # which process the stack is
_LARGEST_LINE = 1 << 20

Answering = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]


class NoAnswer(Unavailable):
    """Nobody listens, or who listened went away."""


def request(folder: Path, content: Mapping[str, Any], timeout_s: float = 10.0) -> dict[str, Any]:
    """NoAnswer when none comes; Unavailable or Refused when the stack says that."""
    try:
        with short_path(folder, SOCKET) as path, socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(timeout_s)
            connection.connect(path)
            connection.sendall(json.dumps(content).encode() + b"\n")
            line = connection.makefile("rb").readline(_LARGEST_LINE)
        answer = json.loads(line)
    except (OSError, ValueError) as error:
        raise NoAnswer(f"the serving stack does not answer: {error}") from error
    if "refused" in answer:
        raise Refused(answer["refused"])
    if "unavailable" in answer:
        raise Unavailable(answer["unavailable"])
    return dict(answer)


@contextmanager
def short_path(folder: Path, name: str) -> Iterator[str]:
    """A socket's path that is short however deep its folder lies: the kernel allows 107 bytes."""
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{name}"
    finally:
        os.close(descriptor)


async def listen(answer: Answering) -> asyncio.Server:
    """Serve requests on the socket in the working directory."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            reply = await _reply(answer, await reader.readline())
            writer.write(json.dumps(reply).encode() + b"\n")
            await writer.drain()
        except (OSError, ValueError):
            pass  # the asker went away, or said more than a line may hold
        finally:
            writer.close()

    return await asyncio.start_unix_server(serve, sock=_fresh_socket(), limit=_LARGEST_LINE)


def _fresh_socket() -> socket.socket:
    Path(SOCKET).unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(SOCKET)
    Path(SOCKET).chmod(0o600)
    return listening


async def _reply(answer: Answering, line: bytes) -> dict[str, Any]:
    try:
        return await answer(json.loads(line))
    except Refused as error:
        return {"refused": str(error)}
    except (Unavailable, OSError) as error:
        return {"unavailable": str(error)}
    except (KeyError, TypeError, ValueError) as error:
        return {"refused": f"the stack does not understand: {error!r}"}
