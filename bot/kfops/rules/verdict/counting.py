"""Counters as they are read, made into counts that only grow."""

from __future__ import annotations

from kfops.domain.canary_facts import ArmCounts, Counts


def absorb(before: Counts | None, carried: Counts | None, reading: Counts) -> tuple[Counts, Counts | None]:
    """The step's counts after a new reading, and the part of them from before the counter last started anew.

    A counter started anew when its epoch is another, or when it shows less than half of what it showed: then what
    was counted stays counted. A smaller dip is an estimate that wavers (a rate extrapolated by Prometheus), and the
    counts stay where they were.
    """
    if before is None:
        return reading, None
    base = carried or Counts(ArmCounts(), ArmCounts())
    if _started_anew(before, base, reading):
        base = before
    total = Counts(
        _grown(before.candidate, base.candidate, reading.candidate),
        _grown(before.champion, base.champion, reading.champion),
        reading.epoch,
    )
    return total, base if base.candidate.requests or base.champion.requests else None


def add(one: ArmCounts, other: ArmCounts) -> ArmCounts:
    """Both stretches of one arm together; the p95 is the later one's, which cannot be added."""
    firsts = [at for at in (one.first_bad_at, other.first_bad_at) if at is not None]
    return ArmCounts(
        requests=one.requests + other.requests,
        errors=one.errors + other.errors,
        client_errors=one.client_errors + other.client_errors,
        timed=one.timed + other.timed,
        slow=one.slow + other.slow,
        p95_ms=one.p95_ms if other.p95_ms is None else other.p95_ms,
        first_bad_at=min(firsts, default=None),
    )


def _started_anew(before: Counts, base: Counts, reading: Counts) -> bool:
    if reading.epoch != before.epoch:
        return True
    shown = [
        before.candidate.requests - base.candidate.requests,
        before.champion.requests - base.champion.requests,
    ]
    now = [reading.candidate.requests, reading.champion.requests]
    return any(2 * new < old for new, old in zip(now, shown, strict=True))


def _grown(before: ArmCounts, base: ArmCounts, reading: ArmCounts) -> ArmCounts:
    total = add(base, reading)
    return total if total.requests >= before.requests else before
