"""Signing in with a GitHub account: the web application flow of the app (OAuth 2.0, RFC 6749, 4.1).

Documented by GitHub under "Generating a user access token for a GitHub App".
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

import httpx

from kfops.domain.pull_request import Actor
from kfops.ports.errors import Unavailable

_TIMEOUT_S = 10.0


class GitHubVisitors:
    """The person's token answers one question, who they are, and is forgotten at once (R17)."""

    def __init__(self, client_id: str, client_secret: str, *, page_url: str, api_url: str) -> None:
        self._id, self._secret = client_id, client_secret
        self._page, self._api = page_url.rstrip("/"), api_url.rstrip("/")

    def sign_in_url(self, *, state: str, back: str) -> str:
        asked = {"client_id": self._id, "redirect_uri": back, "state": state, "allow_signup": "false"}
        return f"{self._page}/login/oauth/authorize?{urlencode(asked)}"

    def visitor(self, code: str, *, back: str) -> Actor | None:
        given = {
            "client_id": self._id,
            "client_secret": self._secret,
            "code": code,
            "redirect_uri": back,
        }
        try:
            with httpx.Client(timeout=_TIMEOUT_S, headers={"Accept": "application/json"}) as client:
                token = _json(client.post(f"{self._page}/login/oauth/access_token", data=given))
                if not isinstance(token.get("access_token"), str):
                    return None  # GitHub answers 200 with an `error` when the code is old or was used
                bearer = {"Authorization": f"Bearer {token['access_token']}"}
                user = _json(client.get(f"{self._api}/user", headers=bearer))
        except httpx.HTTPError as error:
            raise Unavailable(f"the forge did not answer a sign-in: {type(error).__name__}") from error
        if not isinstance(user.get("id"), int) or not isinstance(user.get("login"), str):
            return None
        return Actor(user["id"], user["login"], user.get("type") == "User")


def page_of(api_url: str) -> str:
    """The address of the forge's pages, from that of its API (GitHub.com, or GitHub Enterprise Server)."""
    plain = api_url.rstrip("/")
    return "https://github.com" if plain == "https://api.github.com" else plain.removesuffix("/api/v3")


def _json(answer: httpx.Response) -> dict[str, Any]:
    if answer.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise Unavailable(f"the forge answered a sign-in with {answer.status_code}")
    try:
        found = answer.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
