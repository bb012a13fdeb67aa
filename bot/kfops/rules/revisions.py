"""Which recorded revision a rollback goes to (R20)."""

from __future__ import annotations

from collections.abc import Sequence

from kfops.domain.record import RevisionRecord

_LEAST = 7  # hexadecimal digits: fewer name too many digests


def target(
    revisions: Sequence[RevisionRecord], to: str | None, *, takes_back: bool = False
) -> RevisionRecord | None:
    """The one that `to` names by version or by the beginning of its digest; else the last good one.

    `revisions`: newest first, as the ledger has them. `takes_back`: a rollout that was under way is what is taken back,
    so that the last good one is what served beside it.
    """
    if to is None and takes_back:
        return next((one for one in revisions if one.is_active), None)
    if to is None:
        return last_good(revisions)
    of_version = next((one for one in revisions if one.version == to), None)
    if of_version or len(to) < _LEAST:
        return of_version
    found = {one.digest: one for one in reversed(revisions) if one.digest.startswith(to)}
    return next(iter(found.values())) if len(found) == 1 else None


def last_good(revisions: Sequence[RevisionRecord]) -> RevisionRecord | None:
    """What served before the active one, without those that were taken back already.

    A revision that comes again after others is the way back to it: they were not good enough to stay.
    """
    served: list[RevisionRecord] = []
    for one in reversed(revisions):
        known = [earlier.digest for earlier in served]
        if one.digest in known:
            del served[known.index(one.digest) :]
        served.append(one)
    return served[-2] if len(served) > 1 else None


def named(revisions: Sequence[RevisionRecord]) -> tuple[str, ...]:
    """The versions that a rollback may name, newest first, without the one that serves."""
    active = next((one.digest for one in revisions if one.is_active), None)
    return tuple(dict.fromkeys(one.version for one in revisions if one.digest != active))
