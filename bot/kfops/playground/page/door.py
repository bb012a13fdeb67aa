"""What every page file needs: the visit, and the repository if it may be seen."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends

from kfops.playground.errors import Refusal
from kfops.playground.page.session import Visit, visit
from kfops.playground.roles import see
from kfops.playground.state import Repository

Seen = Annotated[Visit, Depends(visit)]


def seen_repository(seen: Visit, owner: str, repo: str) -> Repository:
    return see(seen.forge.state.repository(owner, repo), seen.caller)


def sentence(refusal: Refusal) -> str:
    told: list[Any] = [
        one if isinstance(one, str) else one.get("message") or one.get("field") for one in refusal.errors
    ]
    return ": ".join([refusal.message, *(str(one) for one in told if one)])
