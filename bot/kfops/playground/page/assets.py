"""Style, script, pictures of users, and Mermaid where its script is at hand."""

from __future__ import annotations

import os
from functools import lru_cache
from html import escape
from pathlib import Path

from fastapi import Response

from kfops.playground.errors import not_found
from kfops.playground.state import User

_STATIC = Path(__file__).parent / "static"
_KINDS = {"style.css": "text/css", "page.js": "text/javascript", "mark.svg": "image/svg+xml"}
_HUES = 360


def mermaid_script() -> Path | None:
    """KFOPS_MERMAID_JS names the file; without it Mermaid blocks are shown as their text."""
    named = os.environ.get("KFOPS_MERMAID_JS", "")
    return Path(named) if named and Path(named).is_file() else None


def asset(name: str) -> Response:
    if name == "mermaid.js":
        script = mermaid_script()
        if script is None:
            raise not_found()
        return _answer(script.read_bytes(), "text/javascript")
    if name not in _KINDS:
        raise not_found()
    return _answer(_read(name), _KINDS[name])


def _answer(data: bytes, kind: str) -> Response:
    headers = {"Cache-Control": "max-age=300", "X-Content-Type-Options": "nosniff"}
    return Response(data, media_type=f"{kind}; charset=utf-8", headers=headers)


@lru_cache(maxsize=8)
def _read(name: str) -> bytes:
    return (_STATIC / name).read_bytes()


def avatar(user: User) -> Response:
    """A letter on a colour of the account's own; bots are square."""
    hue = user.id * 137 % _HUES
    corner = "12" if user.kind != "User" else "32"
    picture = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64">'
        f'<rect width="64" height="64" rx="{corner}" fill="hsl({hue} 52% 46%)"/>'
        '<text x="32" y="33" fill="#fff" font-family="system-ui,sans-serif" font-size="31" font-weight="600" '
        f'text-anchor="middle" dominant-baseline="central">{escape(user.login[0].upper())}</text></svg>'
    )
    return Response(picture, media_type="image/svg+xml", headers={"Cache-Control": "max-age=3600"})
