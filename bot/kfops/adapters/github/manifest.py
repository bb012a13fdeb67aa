"""A GitHub App made from a manifest, with exactly the permissions that the bot's calls need (R17).

Documented by GitHub under "Registering a GitHub App from a manifest".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx

from kfops.adapters.github.auth import Purpose
from kfops.adapters.github.signing_in import page_of
from kfops.ports.errors import Refused, Unavailable

EVENTS = ("check_run", "check_suite", "issue_comment", "pull_request", "pull_request_review", "status")
_LEVELS = ("read", "write")
_TIMEOUT_S = 20.0


@dataclass(frozen=True)
class AppMade:
    """What GitHub tells once. `private_key` is PEM; `page` is where the app is installed from."""

    id: int
    slug: str
    page: str
    client_id: str
    client_secret: str = field(repr=False)
    webhook_secret: str = field(repr=False)
    private_key: str = field(repr=False)


class GitHubRegistration:
    """What `kfops setup github` asks of the forge whose API is at `api_url`."""

    def __init__(self, api_url: str) -> None:
        self._api_url = api_url

    def form_address(self, organisation: str, state: str) -> str:
        return form_address(self._api_url, organisation, state)

    def manifest(self, name: str, *, bot_url: str, redirect_url: str) -> Mapping[str, Any]:
        return manifest(name, bot_url=bot_url, redirect_url=redirect_url)

    def settings(self, code: str) -> tuple[Mapping[str, str], str, str]:
        made = convert(self._api_url, code)
        variables = {
            "KFOPS_FORGE_URL": self._api_url,
            "KFOPS_APP_ID": str(made.id),
            "KFOPS_WEBHOOK_SECRETS": json.dumps([made.webhook_secret]),
            "KFOPS_OAUTH_CLIENT_ID": made.client_id,
            "KFOPS_OAUTH_CLIENT_SECRET": made.client_secret,
        }
        return variables, made.private_key, made.page


def permissions() -> dict[str, str]:
    """The union of what tokens are asked for: `Purpose` is the one place that says what a call needs."""
    found: dict[str, str] = {}
    for purpose in Purpose:
        for name, level in purpose.permissions.items():
            found[name] = max(found.get(name, "read"), level, key=_LEVELS.index)
    return dict(sorted(found.items()))


def manifest(name: str, *, bot_url: str, redirect_url: str) -> dict[str, Any]:
    """`bot_url`: where the forge reaches the bot, without a slash at the end."""
    return {
        "name": name,
        "url": bot_url,
        "hook_attributes": {"url": f"{bot_url}/webhooks/github", "active": True},
        "redirect_url": redirect_url,
        "callback_urls": [f"{bot_url}/dashboard/signed-in"],
        "public": False,
        "default_permissions": permissions(),
        "default_events": list(EVENTS),
    }


def form_address(api_url: str, organisation: str, state: str) -> str:
    """Where a browser posts the manifest to. `organisation` empty: the person's own account."""
    page = page_of(api_url)
    place = f"/organizations/{quote(organisation, safe='')}" if organisation else ""
    return f"{page}{place}/settings/apps/new?state={quote(state, safe='')}"


def convert(api_url: str, code: str) -> AppMade:
    """The app behind a one-time code, which is good for an hour. Refused for one that is not, or was used."""
    address = f"{api_url.rstrip('/')}/app-manifests/{quote(code, safe='')}/conversions"
    try:
        answer = httpx.post(address, headers={"Accept": "application/vnd.github+json"}, timeout=_TIMEOUT_S)
    except httpx.HTTPError as error:
        raise Unavailable(f"the forge did not answer: {type(error).__name__}") from error
    if answer.status_code != HTTPStatus.CREATED:
        raise Refused(
            f"the forge answered {answer.status_code} to the code",
            fix="run `kfops setup github` again: a code is good once, for an hour",
        )
    told = answer.json()
    return AppMade(
        id=int(told["id"]),
        slug=str(told["slug"]),
        page=str(told["html_url"]),
        client_id=str(told["client_id"]),
        client_secret=str(told["client_secret"]),
        webhook_secret=str(told["webhook_secret"] or ""),
        private_key=str(told["pem"]),
    )
