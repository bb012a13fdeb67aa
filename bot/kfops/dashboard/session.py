"""Who visits: a signed cookie that says whom the forge named, and for how long we believe it."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from fastapi import Request, Response
from itsdangerous import BadSignature, URLSafeSerializer

from kfops.domain.pull_request import Actor
from kfops.ports.clock import Clock

SESSION, HANDSHAKE = "kfops_session", "kfops_sign_in"
SIGNED_IN_FOR, HANDSHAKE_FOR = timedelta(hours=8), timedelta(minutes=10)


@dataclass(frozen=True)
class Handshake:
    """What must come back from the forge with the code, and where the visitor wanted to go."""

    state: str
    wanted: str


class Cookies:
    """`key` signs; who has it can be anybody. `is_https`: cookies then never travel in the clear."""

    def __init__(self, key: str, clock: Clock, *, is_https: bool) -> None:
        self._key, self._clock, self._is_https = key, clock, is_https
        self._ended: dict[str, datetime] = {}  # sign-ins that were ended here, while they would still last

    def visitor(self, request: Request) -> Actor | None:
        said = self._read(request, SESSION)
        return Actor(said["id"], said["login"]) if said and said.get("sign_in") not in self._ended else None

    def sign_in(self, response: Response, visitor: Actor) -> None:
        # A name of its own: signing out does not end the session that is begun next.
        said = {"id": visitor.id, "login": visitor.login, "sign_in": secrets.token_urlsafe(12)}
        self._write(response, SESSION, said, SIGNED_IN_FOR)
        response.delete_cookie(HANDSHAKE)

    def sign_out(self, request: Request, response: Response) -> None:
        """The browser forgets the cookie, and this replica no longer takes it: a page that is still open ends too."""
        now, said = self._clock.now(), self._read(request, SESSION)
        for name in [one for one, until in list(self._ended.items()) if until <= now]:
            self._ended.pop(name, None)
        if said and "sign_in" in said:
            self._ended[said["sign_in"]] = now + SIGNED_IN_FOR
        response.delete_cookie(SESSION)

    def begin(self, response: Response, wanted: str) -> str:
        """The state that the forge hands back: a code without it was not asked for by this browser."""
        state = secrets.token_urlsafe(24)
        self._write(response, HANDSHAKE, {"state": state, "wanted": wanted}, HANDSHAKE_FOR)
        return state

    def handshake(self, request: Request) -> Handshake | None:
        said = self._read(request, HANDSHAKE)
        return Handshake(said["state"], said["wanted"]) if said else None

    def csrf(self, request: Request) -> str:
        """A token that every form carries: another web site cannot read it."""
        given = request.cookies.get(SESSION, "")
        return hmac.new(self._key.encode(), f"csrf {given}".encode(), hashlib.sha256).hexdigest()

    def _write(self, response: Response, name: str, said: dict[str, Any], life: timedelta) -> None:
        until: datetime = self._clock.now() + life
        value = URLSafeSerializer(self._key, salt=name).dumps(said | {"until": until.timestamp()})
        # Lax, not strict: the way back from the forge is a navigation from another site.
        response.set_cookie(
            name,
            str(value),
            max_age=int(life.total_seconds()),
            httponly=True,
            samesite="lax",
            secure=self._is_https,
        )

    def _read(self, request: Request, name: str) -> dict[str, Any] | None:
        try:
            said: dict[str, Any] = URLSafeSerializer(self._key, salt=name).loads(
                request.cookies.get(name, "")
            )
        except BadSignature:
            return None
        return said if said["until"] > self._clock.now().timestamp() else None
