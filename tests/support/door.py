"""A signed webhook straight into the application, without a socket."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kfops.playground.state import Delivery


async def post(app: Any, delivery: Delivery) -> int:
    """The status of the answer."""
    headers = [(name.lower().encode(), value.encode()) for name, value in delivery.headers.items()]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "path": "/webhooks/github",
        "raw_path": b"/webhooks/github",
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    status: list[int] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": delivery.body, "more_body": False}

    async def send(message: Mapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            status.append(message["status"])

    await app(scope, receive, send)
    return status[0]
