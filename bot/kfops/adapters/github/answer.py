"""One answer of GitHub's REST API, as data; what its refusals mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kfops.ports.errors import Refused, Unavailable

OK, NOT_MODIFIED, UNAUTHORIZED, FORBIDDEN, NOT_FOUND = 200, 304, 401, 403, 404
NOT_ALLOWED, CONFLICT, INVALID, TOO_MANY, SERVER_ERROR = 405, 409, 422, 429, 500
MOVED = frozenset({301, 302, 307, 308})

_REDIRECTS = 300
_SECONDARY_PAUSE_S = 60.0  # what GitHub asks for where it names no time
_FIXES = {
    UNAUTHORIZED: "check the bot's token, or its app id and private key; a token may have expired",
    FORBIDDEN: "give the bot's app (or token) the permission that the message names, on this repository",
    NOT_FOUND: "install the bot's app on this repository, or give its token access to it",
}


@dataclass(frozen=True)
class Answer:
    """`headers` have lower-case names; `data` is the parsed body, None where there is none."""

    what: str  # method and template, for messages
    status: int
    headers: Mapping[str, str]
    data: Any = None

    @property
    def message(self) -> str:
        """GitHub's own sentence, with the fields that it complains about."""
        if not isinstance(self.data, dict):
            return ""
        said = str(self.data.get("message") or "")
        fields = self.data.get("errors")
        details = [_error_text(one) for one in fields] if isinstance(fields, list) else []
        return f"{said} ({'; '.join(details)})" if details else said

    def accepted(self) -> Any:
        """The body of a success; Refused for anything else."""
        if not self.is_success:
            raise self.refusal()
        return self.data

    @property
    def is_success(self) -> bool:
        return OK <= self.status < _REDIRECTS

    @property
    def has_moved(self) -> bool:
        return self.status in MOVED

    def refusal(self) -> Refused:
        return Refused(
            f"GitHub refused {self.what}: {self.status} {self.message}".rstrip(),
            fix=_FIXES.get(self.status, ""),
        )


def _error_text(error: object) -> str:
    if not isinstance(error, dict):
        return str(error)
    return str(error.get("message") or f"{error.get('field', '?')}: {error.get('code', 'invalid')}")


def limit_of(answer: Answer, now: datetime) -> Unavailable | None:
    """The pause that a rate limit asks for, if this answer is one (primary or secondary)."""
    if answer.status not in {FORBIDDEN, TOO_MANY}:
        return None
    said = answer.message.lower()
    retry_after = _number(answer.headers.get("retry-after"))
    if retry_after is not None:
        return _pause(answer, retry_after)
    if answer.headers.get("x-ratelimit-remaining") == "0":
        reset = _number(answer.headers.get("x-ratelimit-reset"))
        return _pause(answer, _SECONDARY_PAUSE_S if reset is None else reset - now.timestamp())
    if answer.status == TOO_MANY or "rate limit" in said or "abuse" in said:
        return _pause(answer, _SECONDARY_PAUSE_S)
    return None


def _pause(answer: Answer, seconds: float) -> Unavailable:
    wait = max(1.0, seconds)
    return Unavailable(
        f"GitHub limits the rate of calls ({answer.what}): {answer.message}; it asks to wait {wait:.0f} s",
        retry_after_s=wait,
    )


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text is not None else None
    except ValueError:
        return None
