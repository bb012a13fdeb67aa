"""Which of the things that pile up may go."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from kfops.domain.kept import Kept

YOUNG = timedelta(days=1)  # whatever the number: what has just been made may be needed in a moment


def superfluous(
    kept: Sequence[Kept], needed: frozenset[str], now: datetime, *, longest: timedelta, most: int
) -> tuple[str, ...]:
    """Names of what nobody refers to and is older than `longest`, or beyond the newest `most` that nobody refers to."""
    unneeded = sorted(
        (one for one in kept if one.refers_to not in needed), key=lambda one: one.used_at, reverse=True
    )
    return tuple(
        one.name
        for place, one in enumerate(unneeded)
        if now - one.used_at > longest or (place >= most and now - one.used_at > YOUNG)
    )
