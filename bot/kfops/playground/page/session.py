"""Who the page speaks as, and the token that every form carries.

The playground has no sign-in: whoever sits at the machine may speak as any of its users. What is kept out is another
web site: changes are POSTs only, with a token that such a site cannot read.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass

from fastapi import Request, Response

from kfops.playground.errors import Refusal
from kfops.playground.forge import Forge
from kfops.playground.roles import Caller
from kfops.playground.state import User

SESSION, SPEAKER = "playground_session", "playground_speaker"


@dataclass(frozen=True)
class Visit:
    """One request to a page."""

    forge: Forge
    request: Request
    session: str
    speaker: User | None

    @property
    def caller(self) -> Caller:
        return Caller(user=self.speaker)

    @property
    def csrf(self) -> str:
        return hmac.new(self.forge.secret.encode(), self.session.encode(), hashlib.sha256).hexdigest()

    def keep(self, made: Response) -> Response:
        """Gives the session's cookie to whoever has none yet."""
        if self.request.cookies.get(SESSION) != self.session:
            made.set_cookie(SESSION, self.session, httponly=True, samesite="strict")
        return made


def visit(request: Request) -> Visit:
    forge: Forge = request.app.state.forge
    people = speakers(forge)
    wanted = request.cookies.get(SPEAKER, "")
    speaker = next((user for user in people if user.login == wanted), people[0] if people else None)
    return Visit(forge, request, request.cookies.get(SESSION) or secrets.token_hex(16), speaker)


def speakers(forge: Forge) -> list[User]:
    """The people, in the order in which they were made; site admins come last."""
    people = [user for user in forge.state.users.values() if user.kind == "User"]
    return sorted(people, key=lambda user: user.site_admin)


def check_csrf(seen: Visit, given: str) -> None:
    known = SESSION in seen.request.cookies
    if not known or not hmac.compare_digest(seen.csrf.encode(), given.encode()):
        raise Refusal(403, "This form is stale or came from elsewhere: reload the page and send it again.")
