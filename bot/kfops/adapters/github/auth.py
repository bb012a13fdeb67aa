"""Who the bot is: a GitHub App with a token for each repository and purpose, or one plain token (R17)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from types import MappingProxyType
from typing import Any

from kfops.adapters.github.answer import INVALID, NOT_FOUND, Answer
from kfops.adapters.github.call import Call
from kfops.adapters.github.transport import Transport
from kfops.ports.errors import Refused

_JWT_LIFE, _JWT_SKEW = (
    timedelta(minutes=9),
    timedelta(minutes=1),
)  # GitHub allows 10 minutes, and clocks differ
_RENEW_BEFORE = timedelta(minutes=5)


class Purpose(Enum):
    """What a call is for; an installation token of that purpose may do this much and no more."""

    READ = MappingProxyType(
        {
            "checks": "read",
            "contents": "read",
            "deployments": "read",
            "issues": "read",
            "metadata": "read",
            "pull_requests": "read",
            "statuses": "read",
        }
    )
    TELL = MappingProxyType(
        {
            "checks": "write",
            "deployments": "write",
            "issues": "write",
            "metadata": "read",
            "pull_requests": "write",
        }
    )
    MERGE = MappingProxyType({"contents": "write", "metadata": "read", "pull_requests": "write"})
    FETCH = MappingProxyType({"contents": "read", "metadata": "read"})
    TEAMS = MappingProxyType({"members": "read", "metadata": "read"})

    @property
    def permissions(self) -> Mapping[str, str]:
        return self.value


@dataclass(frozen=True)
class AppCredentials:
    """A GitHub App. `private_key` is PEM."""

    app_id: int | str
    private_key: str = field(repr=False)


@dataclass(frozen=True)
class TokenCredentials:
    """A personal access token, or any other token that GitHub takes as it is."""

    token: str = field(repr=False)


Credentials = AppCredentials | TokenCredentials


@dataclass(frozen=True)
class _Issued:
    token: str
    expires_at: datetime


class Tokens:
    """Installation tokens, asked for once and kept until 5 minutes before they end. Thread-safe."""

    def __init__(self, transport: Transport, credentials: Credentials, now: Callable[[], datetime]) -> None:
        self.transport, self.credentials, self._now = transport, credentials, now
        self._issued: dict[tuple[int, int | None, Purpose], _Issued] = {}
        self._lock = threading.Lock()

    @property
    def is_app(self) -> bool:
        return isinstance(self.credentials, AppCredentials)

    def jwt(self) -> str:
        """The app's own signature, for the few calls that an app makes as itself. Refused for a plain token."""
        import jwt

        if not isinstance(self.credentials, AppCredentials):
            raise Refused("only a GitHub App can ask this; the bot works with a plain token")
        now = self._now()
        claims = {
            "iat": int((now - _JWT_SKEW).timestamp()),
            "exp": int((now + _JWT_LIFE).timestamp()),
            "iss": str(self.credentials.app_id),
        }
        try:
            return jwt.encode(claims, self.credentials.private_key, algorithm="RS256")
        except (ValueError, TypeError, jwt.InvalidKeyError):
            raise Refused(
                "the GitHub App's private key cannot be read: expected the PEM file that GitHub gave",
                fix="set the private key to the whole file, from -----BEGIN to -----END",
            ) from None

    def as_app(self, method: str, template: str, **names: str | int) -> Answer:
        return self.transport.send(Call(method, template, names, reads_as="app", payer="app"), self.jwt())

    def all_as_app(self, template: str) -> list[Any]:
        """All items of a list, as the app."""
        call = Call("GET", template, query={"per_page": 100}, reads_as="app", payer="app")
        return [item for answer in self.transport.pages(call, self.jwt()) for item in answer.data]

    def token(self, installation_id: int | None, repository_id: int | None, purpose: Purpose) -> str:
        """A token for this repository alone (None: all that the installation reaches)."""
        if isinstance(self.credentials, TokenCredentials):
            return self.credentials.token
        if installation_id is None:
            raise Refused("the GitHub App is not installed on this repository", fix="install the app on it")
        key = (installation_id, repository_id, purpose)
        with self._lock:
            kept = self._issued.get(key)
        if kept is None or kept.expires_at - _RENEW_BEFORE <= self._now():
            kept = self._issue(installation_id, repository_id, purpose)
            with self._lock:
                self._issued[key] = kept
        return kept.token

    def forget(self, token: str) -> None:
        """For a token that GitHub no longer takes."""
        with self._lock:
            self._issued = {key: one for key, one in self._issued.items() if one.token != token}

    def _issue(self, installation_id: int, repository_id: int | None, purpose: Purpose) -> _Issued:
        body: dict[str, Any] = {"permissions": dict(purpose.permissions)}
        if repository_id is not None:
            body["repository_ids"] = [repository_id]
        template = "/app/installations/{installation_id}/access_tokens"
        names = {"installation_id": installation_id}
        answer = self.transport.send(
            Call("POST", template, names, body=body, reads_as="app", payer="app"), self.jwt()
        )
        if answer.status in {NOT_FOUND, INVALID}:
            wanted = ", ".join(f"{name}: {level}" for name, level in purpose.permissions.items())
            raise Refused(
                f"GitHub gives the app no token for this repository: {answer.message}",
                fix=f"install the app on the repository and grant it {wanted}",
            )
        found = answer.accepted()
        return _Issued(str(found["token"]), datetime.fromisoformat(found["expires_at"]))
