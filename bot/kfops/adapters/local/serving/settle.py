"""From what runs and what is wished for to what shall be done next. Pure: the stack carries it out.

An environment has two slots, each a cluster of Envoy with a socket of its own. A revision keeps its slot for life;
promotion only changes which slot is called stable, so nothing restarts and nothing moves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

SLOTS = ("a", "b")


class State(StrEnum):
    STARTING = "starting"
    READY = "ready"
    FAILED = "failed"
    DRAINING = "draining"  # gets no new requests; ends when its last one has been answered


@dataclass(frozen=True)
class Occupant:
    """The revision in a slot. `identity` is its digest and its label."""

    identity: str
    state: State


@dataclass(frozen=True)
class Target:
    """What is wished for, by identity."""

    stable: str | None = None
    candidate: str | None = None
    candidate_weight: int = 0


@dataclass(frozen=True)
class Settlement:
    """What follows. `weights` are per cent by slot; `share` of all requests is routed at all, the rest is told that
    nothing is deployed. `start` are (slot, identity); `drain` are slots whose occupant nobody wants any more.
    """

    stable: str | None
    candidate: str | None
    incoming: str | None
    weights: Mapping[str, int]
    share: int
    start: tuple[tuple[str, str], ...] = ()
    drain: tuple[str, ...] = ()


def settle(serving: str | None, occupants: Mapping[str, Occupant], target: Target) -> Settlement:
    """`serving` is the slot that is stable now.

    The old stable revision goes on serving until the one that was wished for is ready. A candidate that is not ready
    gets no requests, whatever its weight: users come first, the judge sees its failure.
    """
    wanted = _holder(occupants, target.stable, first=serving)
    stable = _stable(serving, wanted, occupants, target)
    incoming = wanted if wanted != stable else None
    candidate = _holder(occupants, target.candidate, but={stable, wanted})
    keep = {stable, wanted, candidate}
    missing = [
        identity
        for identity, holder in ((target.stable, wanted), (target.candidate, candidate))
        if identity is not None and holder is None
    ]
    free = [slot for slot in SLOTS if slot not in occupants]
    weights, share = _weights(stable, candidate, occupants, target.candidate_weight)
    return Settlement(
        stable=stable,
        candidate=candidate,
        incoming=incoming,
        weights=weights,
        share=share,
        start=tuple(zip(free, missing, strict=False)),
        drain=tuple(
            slot
            for slot, occupant in occupants.items()
            if slot not in keep and occupant.state is not State.DRAINING
        ),
    )


def _holder(
    occupants: Mapping[str, Occupant],
    identity: str | None,
    *,
    first: str | None = None,
    but: set[str | None] | None = None,
) -> str | None:
    found = [
        slot
        for slot, occupant in occupants.items()
        if occupant.identity == identity
        and occupant.state is not State.DRAINING
        and slot not in (but or set())
    ]
    return first if first in found else min(found, default=None)


def _stable(
    serving: str | None, wanted: str | None, occupants: Mapping[str, Occupant], target: Target
) -> str | None:
    if target.stable is None:
        return None
    if wanted is not None and occupants[wanted].state is State.READY:
        return wanted
    if serving is not None and serving in occupants and occupants[serving].state is not State.DRAINING:
        return serving
    return None


def _weights(
    stable: str | None, candidate: str | None, occupants: Mapping[str, Occupant], weight: int
) -> tuple[dict[str, int], int]:
    if candidate is not None and occupants[candidate].state is not State.READY:
        weight = 0
    if stable is not None:
        other = SLOTS[1 - SLOTS.index(stable)]
        given = weight if candidate is not None else 0
        return {stable: 100 - given, other: given}, 100
    if candidate is not None:
        other = SLOTS[1 - SLOTS.index(candidate)]
        return {candidate: 100, other: 0}, weight
    return {SLOTS[0]: 100, SLOTS[1]: 0}, 0
