"""The forge, and the pages that its accounts sign in to."""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING

from kfops.adapters.system_clock import SystemClock
from kfops.bootstrap.problem import SettingsProblem

if TYPE_CHECKING:
    from fastapi import FastAPI

    from kfops.adapters.github.auth import AppCredentials, TokenCredentials
    from kfops.adapters.github.forge import GitHubForge
    from kfops.adapters.sql.ledger import SqlLedger
    from kfops.settings import Settings


def credentials(settings: Settings) -> AppCredentials | TokenCredentials:
    from kfops.adapters.github.auth import AppCredentials, TokenCredentials

    if settings.app_id and settings.app_key_file:
        return AppCredentials(settings.app_id, settings.app_key_file.read_text())
    if settings.forge_token:
        return TokenCredentials(settings.forge_token.get_secret_value())
    raise SettingsProblem(
        "the bot has no credentials: set KFOPS_APP_ID and KFOPS_APP_KEY_FILE, or KFOPS_FORGE_TOKEN"
    )


def forge(settings: Settings) -> GitHubForge:
    from kfops.adapters.github.forge import GitHubForge

    return GitHubForge(
        credentials(settings),
        now=SystemClock().now,
        base_url=settings.forge_url,
        cache_dir=settings.data_dir / "git",
    )


def dashboard(
    settings: Settings,
    app: FastAPI,
    book: SqlLedger,
    server: GitHubForge,
    clock: SystemClock,
) -> None:
    """The pages, where people can sign in; without an address and the app's OAuth client there are none."""
    if not (settings.public_url and settings.oauth_client_id and settings.oauth_client_secret):
        return
    from kfops.adapters.github.signing_in import GitHubVisitors, page_of
    from kfops.dashboard.app import mount
    from kfops.dashboard.door import Dashboard
    from kfops.dashboard.session import Cookies

    secret, url = settings.oauth_client_secret.get_secret_value(), settings.public_url.rstrip("/")
    page = page_of(settings.forge_url)
    # The cookies' key follows from the client's secret: the same on every replica, changed when that one is.
    key = hmac.new(secret.encode(), b"kfops dashboard cookies", hashlib.sha256).hexdigest()
    pages = Dashboard(
        book=book,
        access=server,
        visitors=GitHubVisitors(settings.oauth_client_id, secret, page_url=page, api_url=settings.forge_url),
        cookies=Cookies(key, clock, is_https=url.startswith("https://")),
        clock=clock,
        url=url,
        page_url=page,
        secrets=settings.secrets,
    )
    mount(app, pages)
