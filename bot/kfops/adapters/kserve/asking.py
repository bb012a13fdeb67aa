"""One question to one arm, with a bound on time and on size: the answer is a stranger's."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from dataclasses import replace
from http import HTTPStatus

import httpx

from kfops.adapters.kserve import open_inference
from kfops.ports.serving import Answer

_LARGEST_ANSWER = 16 << 20


class Asker:
    """`through`: where requests go instead of to the arm's own address, which then is their Host: an ingress gateway,
    for a bot that runs outside the cluster. Empty: straight to the arm.
    """

    def __init__(self, through: str = "") -> None:
        self._through = through.rstrip("/")
        # The certificates are loaded once: that takes longer than a prediction.
        self._tls = ssl.create_default_context()

    def ask(self, address: str, path: str, body: bytes | None, timeout_s: float) -> Answer:
        """POST `body` as JSON; GET without one. The time-out is for the whole answer, however slowly it drips."""
        began = time.monotonic()
        try:
            status, content, complaint = self._exchange(address, path, body, began + timeout_s)
        except httpx.TimeoutException:
            return Answer(None, b"", time.monotonic() - began, f"no answer within {timeout_s:g} s")
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            return Answer(None, b"", time.monotonic() - began, f"no answer: {error}")
        return Answer(None if complaint else status, content, time.monotonic() - began, complaint)

    def _exchange(
        self, address: str, path: str, body: bytes | None, deadline: float
    ) -> tuple[int, bytes, str]:
        target = httpx.URL(address)
        headers = {"content-type": "application/json"}
        if self._through:
            headers["host"] = target.netloc.decode()
        url = f"{self._through or address.rstrip('/')}/{path.lstrip('/')}"
        left = max(0.001, deadline - time.monotonic())
        with (
            httpx.Client(verify=self._tls, timeout=left, trust_env=False) as client,
            client.stream("GET" if body is None else "POST", url, content=body, headers=headers) as answer,
        ):
            content = bytearray()
            for chunk in answer.iter_raw(65536):
                content += chunk
                if len(content) > _LARGEST_ANSWER:
                    return 0, b"", f"the answer is over {_LARGEST_ANSWER >> 20} MiB"
                if time.monotonic() > deadline:
                    raise httpx.ReadTimeout("the answer is not complete")
            return answer.status_code, bytes(content), ""


def in_tensors(ask: Callable[[str, bytes | None], Answer], path: str, body: bytes) -> Answer:
    """What the model takes is asked of its server first: the names and types of tensors are the exporter's choice."""
    told = ask(path.removesuffix("/infer"), None)
    if told.status != HTTPStatus.OK:
        return told
    try:
        asked = open_inference.request(body, told.body)
    except ValueError as error:
        return Answer(None, b"", told.seconds, f"not asked: {error}")
    answer = ask(path, asked)
    return replace(answer, body=open_inference.answer(answer.body))
