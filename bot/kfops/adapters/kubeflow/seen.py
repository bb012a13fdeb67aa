"""A run as the server shows it, as a status: pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from kfops.domain.run import ENDED, RunState, RunStatus, Step

_EPOCH_YEAR = 1970  # "not yet", in the server's words


def status_of(run: Any, names: Sequence[str], now: datetime, link: str) -> RunStatus:
    """`names`: the package's steps in their order; the server lists drivers and executors too, in any order."""
    state = state_of(run.state)
    details = getattr(run.run_details, "task_details", None) or []
    return RunStatus(
        state=state,
        steps=tuple(_step(name, details, state, now) for name in names),
        started_at=_moment(run.created_at),
        ended_at=_moment(run.finished_at) if state in ENDED else None,
        link=link,
    )


def state_of(said: Any) -> RunState:
    """The server may leave it out while the run is new, and knows one that means nothing to anybody else."""
    try:
        return RunState(str(said))
    except ValueError:
        return RunState.PENDING


def error_of(run: Any) -> str:
    """The server's own words, from the run or its history; empty where it says nothing."""
    candidates = [run.error, *(getattr(one, "error", None) for one in reversed(run.state_history or []))]
    return next((str(one.message) for one in candidates if one is not None and one.message), "")


def _step(name: str, details: Iterable[Any], run: RunState, now: datetime) -> Step:
    short = name.rpartition("/")[2]
    found = next((one for one in details if one.display_name == short), None)
    if found is None:
        return Step(name, RunState.SKIPPED if run in ENDED else RunState.PENDING)
    state = state_of(found.state)
    began, ended = _moment(found.start_time), _moment(found.end_time)
    seconds = None if began is None else max(0.0, ((ended or now) - began).total_seconds())
    return Step(name, state, None if seconds is None else round(seconds, 1))


def _moment(at: Any) -> datetime | None:
    if not isinstance(at, datetime) or at.year <= _EPOCH_YEAR:
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
