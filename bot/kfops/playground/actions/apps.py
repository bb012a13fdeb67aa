"""GitHub Apps: registering, signing in by JWT, installation tokens."""

from __future__ import annotations

import re
import secrets
from datetime import timedelta
from functools import lru_cache
from typing import Any

from kfops.playground.actions.repositories import install
from kfops.playground.errors import Refusal, not_found
from kfops.playground.forge import Forge
from kfops.playground.state import App, Installation, InstallationToken, User

TOKEN_LIFE = timedelta(hours=1)
JWT_LIFE_S = 600
PERMISSIONS = {
    "checks": "write",
    "contents": "write",
    "deployments": "write",
    "issues": "write",
    "members": "read",
    "metadata": "read",
    "pull_requests": "write",
    "statuses": "write",
}
EVENTS = [
    "check_run",
    "check_suite",
    "issue_comment",
    "pull_request",
    "pull_request_review",
    "push",
    "status",
]


def new_key() -> str:
    """A private RSA key, PEM."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    ).decode()


@lru_cache(maxsize=16)
def _public_part(private_key: str) -> str:
    from cryptography.hazmat.primitives import serialization

    key = serialization.load_pem_private_key(private_key.encode(), password=None)
    return (
        key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )


def register(
    forge: Forge,
    name: str,
    private_key: str,
    owner: User,
    *,
    permissions: dict[str, str] | None = None,
    events: list[str] | None = None,
) -> App:
    """The app with its bot account, installed on its owner's account and on each that owns a repository, now or later."""
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    bot_login = f"{slug}[bot]"
    if not slug or forge.state.user(bot_login) is not None:
        raise Refusal(422, "Name is already taken" if slug else "Name must have a letter or digit")
    now = forge.now()
    bot = User(forge.state.next_id(), bot_login, secrets.token_hex(20), now, kind="Bot")
    forge.state.users[bot.id] = bot
    app = App(
        id=forge.state.next_id(),
        name=name,
        slug=slug,
        owner_id=owner.id,
        bot_id=bot.id,
        public_key=_public_part(private_key),
        client_id=f"Iv1.{secrets.token_hex(8)}",
        client_secret=secrets.token_hex(20),
        created_at=now,
        permissions=dict(permissions or PERMISSIONS),
        events=list(events or EVENTS),
    )
    forge.state.apps[app.id] = app
    for account in [
        owner,
        *(forge.state.owner(repository) for repository in forge.state.repositories.values()),
    ]:
        install(forge, app.id, account)
    return app


def app_of_jwt(forge: Forge, token: str) -> App:
    """401 unless the token is signed by the app that it names, is not yet over, and lasts 10 minutes at most."""
    import jwt

    try:
        claims = jwt.decode(
            token, options={"verify_signature": False, "verify_exp": False, "verify_iat": False}
        )
        issuer = str(claims.get("iss", ""))
        app = next(one for one in forge.state.apps.values() if issuer in {str(one.id), one.client_id})
        options: Any = {"verify_exp": False, "verify_iat": False, "verify_iss": False}
        jwt.decode(token, app.public_key, algorithms=["RS256"], options=options)
        ends, begins = float(claims["exp"]), float(claims.get("iat", claims["exp"]))
    except (jwt.InvalidTokenError, StopIteration, KeyError, TypeError, ValueError):
        raise Refusal(401, "A JSON web token could not be decoded") from None
    now = forge.now().timestamp()
    if ends <= now:
        raise Refusal(
            401,
            "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires",
        )
    if ends > now + JWT_LIFE_S + 60 or begins > now + 60:
        raise Refusal(401, "'Expiration time' claim ('exp') is too far in the future")
    return app


def issue_token(
    forge: Forge,
    installation: Installation,
    *,
    permissions: dict[str, str] | None = None,
    repository_ids: list[int] | None = None,
    repositories: list[str] | None = None,
) -> tuple[str, InstallationToken]:
    """A token of one hour, for all the app may or for less. 422 for more than the app has."""
    granted = forge.state.apps[installation.app_id].permissions
    wanted = permissions or granted
    order = ["read", "write", "admin"]
    for name, level in wanted.items():
        if name not in granted or level not in order or order.index(level) > order.index(granted[name]):
            raise Refusal(422, "The permissions requested are not granted to this installation.")
    reachable = {
        one.id: one for one in forge.state.repositories.values() if one.owner_id == installation.account_id
    }
    chosen = list(repository_ids or [])
    for name in repositories or []:
        chosen += [one.id for one in reachable.values() if one.name.lower() == name.lower()] or [-1]
    if any(number not in reachable for number in chosen):
        raise Refusal(
            422,
            "There is at least one repository that does not exist or is not accessible to the parent installation.",
        )
    text = f"ghs_{secrets.token_urlsafe(27)}"
    made = InstallationToken(installation.id, forge.now() + TOKEN_LIFE, dict(wanted), tuple(chosen) or None)
    forge.state.installation_tokens[text] = made
    return text, made


def find_installation(forge: Forge, app: App, installation_id: int) -> Installation:
    found = forge.state.installations.get(installation_id)
    if found is None or found.app_id != app.id:
        raise not_found()
    return found


def convert_manifest(forge: Forge, manifest: dict[str, Any], owner: User) -> dict[str, Any]:
    """Registers the app that a manifest describes; what the one-time code answers with."""
    key = new_key()
    hook = manifest.get("hook_attributes") or {}
    app = register(
        forge,
        str(manifest.get("name") or ""),
        key,
        owner,
        permissions=manifest.get("default_permissions") or None,
        events=manifest.get("default_events") or None,
    )
    secret = secrets.token_hex(20) if hook.get("url") else None
    return {
        "app_id": app.id,
        "hook_url": hook.get("url") or "",
        "client_secret": app.client_secret,
        "webhook_secret": secret,
        "pem": key,
    }
