"""The rate limit: so many calls per caller and hour, told on every answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastapi import Request

from kfops.playground.errors import Refusal
from kfops.playground.forge import Forge

WINDOW_S = 3600


@dataclass
class Window:
    ends: int
    used: int = 0


def window_of(forge: Forge, request: Request) -> Window:
    """The caller's window: by credential, or by address where there is none."""
    windows: dict[str, Window] = request.app.state.windows
    key = request.headers.get("authorization") or (request.client.host if request.client else "")
    now = int(forge.now().timestamp())
    if key not in windows or windows[key].ends <= now:
        windows[key] = Window(now + WINDOW_S)
    return windows[key]


def spend(forge: Forge, request: Request) -> None:
    """Counts a call; 403 with the moment of the reset once the limit is reached."""
    window = window_of(forge, request)
    if window.used >= forge.rate_limit:
        raise Refusal(403, "API rate limit exceeded for this caller.")
    window.used += 1


def limit_headers(forge: Forge, request: Request) -> dict[str, str]:
    window = window_of(forge, request)
    return {
        "X-RateLimit-Limit": str(forge.rate_limit),
        "X-RateLimit-Remaining": str(max(0, forge.rate_limit - window.used)),
        "X-RateLimit-Used": str(window.used),
        "X-RateLimit-Reset": str(window.ends),
        "X-RateLimit-Resource": "core",
    }


def shown_limits(forge: Forge, request: Request) -> dict[str, Any]:
    window = window_of(forge, request)
    core = {
        "limit": forge.rate_limit,
        "used": window.used,
        "remaining": max(0, forge.rate_limit - window.used),
        "reset": window.ends,
    }
    search = {"limit": 30, "used": 0, "remaining": 30, "reset": window.ends}
    return {"resources": {"core": core, "search": search}, "rate": core}
