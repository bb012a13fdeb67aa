"""One question to one model server, with a bound on time and on size: the answer is a stranger's."""

from __future__ import annotations

import time
from pathlib import Path

import httpx

from kfops.adapters.local.serving.control import short_path
from kfops.adapters.local.serving.plain_http import NO_TLS
from kfops.ports.serving import Answer

_LARGEST_ANSWER = 16 << 20


def ask(socket: Path, path: str, body: bytes, timeout_s: float) -> Answer:
    """POST `body` as JSON. The time-out is for the whole answer, however slowly it drips."""
    began = time.monotonic()
    try:
        with short_path(socket.parent, socket.name) as short:
            status, content, complaint = _exchange(short, path, body, began + timeout_s)
    except httpx.TimeoutException:
        return Answer(None, b"", time.monotonic() - began, f"no answer within {timeout_s:g} s")
    except (httpx.HTTPError, OSError) as error:
        return Answer(None, b"", time.monotonic() - began, f"no answer: {error}")
    return Answer(None if complaint else status, content, time.monotonic() - began, complaint)


def _exchange(socket: str, path: str, body: bytes, deadline: float) -> tuple[int, bytes, str]:
    headers = {"content-type": "application/json"}
    left = max(0.001, deadline - time.monotonic())
    with (
        httpx.Client(
            transport=httpx.HTTPTransport(uds=socket, verify=NO_TLS), timeout=left, trust_env=False
        ) as client,
        client.stream("POST", f"http://model/{path.lstrip('/')}", content=body, headers=headers) as answer,
    ):
        content = bytearray()
        for chunk in answer.iter_raw(65536):
            content += chunk
            if len(content) > _LARGEST_ANSWER:
                return 0, b"", f"the answer is over {_LARGEST_ANSWER >> 20} MiB"
            if time.monotonic() > deadline:
                raise httpx.ReadTimeout("the answer is not complete")
        return answer.status_code, bytes(content), ""
