"""Serving and traffic in memory: real state, the same `settle`, no process. Passes the contract that the stack passes."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import RLock
from typing import Any

from kfops.adapters.local.serving.settle import SLOTS, Occupant, Settlement, State, Target, settle
from kfops.adapters.local.serving.tally import Bounds, Request, Tally
from kfops.domain.canary_facts import ArmCounts, Counts, Failure, FailureKind, Readiness, Standstill, Unknown
from kfops.domain.environment import EnvironmentKey
from kfops.domain.rollout import Counting
from kfops.ports.clock import Clock
from kfops.ports.errors import Refused
from kfops.ports.serving import ABSENT, Answer, Arm, ArmName, ModelSource, Served, Wish

OK = (200, b'{"predictions": ["yes"], "probabilities": [[0.2, 0.8]]}')


@dataclass
class Behaviour:
    """What a model does. `starts`: READY, STARTING (for as long as this stays so) or a failure.

    `latency` of users' requests; each `slow_every`th takes three times as long.
    """

    answer: Callable[[bytes], tuple[int, bytes]] = lambda _: OK
    starts: Readiness | Failure = Readiness.READY
    latency: timedelta = timedelta(milliseconds=5)
    slow_every: int = 0


@dataclass
class _Revision:
    source: ModelSource
    behaviour: Behaviour
    bound_at: datetime
    died: Failure | None = None
    requests: int = 0
    last_request_at: datetime | None = None

    @property
    def readiness(self) -> Readiness | Failure:
        return self.died or self.behaviour.starts

    @property
    def state(self) -> State:
        if isinstance(self.readiness, Failure):
            return State.FAILED
        return State.READY if self.readiness is Readiness.READY else State.STARTING


@dataclass
class _Environment:
    wish: Wish = field(default_factory=Wish)
    slots: dict[str, _Revision] = field(default_factory=dict)
    stable: str | None = None
    settled: Settlement = field(default_factory=lambda: settle(None, {}, Target()))
    log: list[Request] = field(default_factory=list)
    newest: _Revision | None = None
    owed: int = 0  # what rounding has kept from the candidate so far, in per cent of a request


class InMemoryServing:
    """`behaviours` by digest; a model without one does what `behave` says: it answers everything with 200."""

    def __init__(self, clock: Clock, behaviours: Mapping[str, Behaviour] | None = None) -> None:
        self.behaviours = dict(behaviours or {})
        self.behave: Callable[[ModelSource], Behaviour] = lambda _: Behaviour()
        self.applied: list[tuple[EnvironmentKey, Wish]] = []
        self._clock = clock
        self._lock = RLock()
        self._environments: dict[EnvironmentKey, _Environment] = {}

    def observe(self, environment: EnvironmentKey) -> Served:
        with self._lock:
            here = self._settle(environment)
            settled, wish = here.settled, here.wish
            stable = _arm(here, settled.stable)
            arrived = wish.stable is None or (
                settled.stable is not None
                and _identity(here.slots[settled.stable].source) == _identity(wish.stable)
            )
            return Served(
                stable=stable,
                candidate=_arm(here, settled.candidate)
                if settled.candidate or not wish.candidate
                else Arm(Readiness.STARTING),
                candidate_weight=self._weight(here),
                url=self.url(environment),
                incoming=ABSENT
                if arrived
                else (_arm(here, settled.incoming) if settled.incoming else Arm(Readiness.STARTING)),
            )

    def apply(self, environment: EnvironmentKey, wish: Wish) -> None:
        with self._lock:
            if not 0 <= wish.candidate_weight <= 100:
                raise Refused(f"candidate_weight is {wish.candidate_weight}; expected 0 to 100 per cent")
            self.applied.append((environment, wish))
            self._environments.setdefault(environment, _Environment()).wish = wish
            self._settle(environment)

    def ask(
        self, environment: EnvironmentKey, arm: ArmName, body: bytes, timeout_s: float, path: str = "predict"
    ) -> Answer:
        assert path
        with self._lock:
            here = self._settle(environment)
            slot = here.settled.stable if arm is ArmName.STABLE else here.settled.candidate
            revision = here.slots.get(slot or "")
            if revision is None or revision.state is not State.READY:
                return Answer(None, b"", 0.0, f"no {arm} revision is running")
            seconds = revision.behaviour.latency.total_seconds()
            if seconds > timeout_s:
                return Answer(None, b"", timeout_s, f"no answer within {timeout_s:g} s")
            status, content = revision.behaviour.answer(body)
            return Answer(status, content, seconds)

    def url(self, environment: EnvironmentKey) -> str:
        return f"http://{environment.slug}.invalid"

    def counts(self, environment: EnvironmentKey, counting: Counting) -> Counts | Unknown:
        with self._lock:
            here = self._settle(environment)
            return Counts(
                candidate=_counted(here, here.settled.candidate, counting, counting.candidate_slow_ms),
                champion=_counted(here, here.settled.stable, counting, counting.champion_slow_ms),
                epoch="/".join(str(here.slots[slot].bound_at) for slot in sorted(here.slots)),
            )

    def standstill(self, environment: EnvironmentKey) -> Standstill | Unknown:
        with self._lock:
            newest = self._settle(environment).newest
            if newest is None:
                return Unknown("there was no candidate here")
            return Standstill(newest.requests, self._clock.now(), newest.last_request_at)

    def send(self, environment: EnvironmentKey, body: bytes) -> tuple[int, str | None]:
        """A user's request, now: the status and the version that answered. Shares come out exactly, not at random."""
        with self._lock:
            here = self._settle(environment)
            revision = here.slots.get(self._next_slot(here) or "")
            if revision is None:
                return 503, None
            slot = next(slot for slot, there in here.slots.items() if there is revision)
            status, _ = revision.behaviour.answer(body) if revision.state is State.READY else (503, b"")
            now, latency = self._clock.now(), revision.behaviour.latency
            revision.requests, revision.last_request_at = revision.requests + 1, now
            if revision.behaviour.slow_every and revision.requests % revision.behaviour.slow_every == 0:
                latency *= 3
            micros = round(latency.total_seconds() * 1_000_000)
            here.log.append(Request(now.timestamp(), slot, status, micros, micros // 1000, arrived=True))
            return status, revision.source.version if revision.state is State.READY else None

    def held(self) -> Any:
        """All it knows; `restore` takes a copy of it back."""
        return self._environments

    def restore(self, held: Any) -> None:
        self._environments = held

    def kill_candidate(self, environment: EnvironmentKey) -> None:
        """Its process dies. (A stable one would be brought back at once.)"""
        with self._lock:
            here = self._settle(environment)
            if here.settled.candidate is not None:
                died = Failure(FailureKind.DIED, "the server served and then ended with exit code 1")
                here.slots[here.settled.candidate].died = died

    def _settle(self, environment: EnvironmentKey) -> _Environment:
        """Until nothing more follows: nothing takes time here."""
        here = self._environments.setdefault(environment, _Environment())
        wish = here.wish
        target = Target(_identity(wish.stable), _identity(wish.candidate), wish.candidate_weight)
        sources = {_identity(source): source for source in (wish.stable, wish.candidate) if source}
        for _ in range(2 * len(SLOTS)):
            occupants = {
                slot: Occupant(_identity(revision.source) or "", revision.state)
                for slot, revision in here.slots.items()
            }
            here.settled = settle(here.stable, occupants, target)
            here.stable = here.settled.stable
            if here.settled.candidate:
                here.newest = here.slots[here.settled.candidate]
            for slot in here.settled.drain:
                del here.slots[slot]
            for slot, identity in here.settled.start:
                source = sources[identity]
                behaviour = self.behaviours.get(source.digest) or self.behave(source)
                here.slots[slot] = _Revision(source, behaviour, self._clock.now())
            if not (here.settled.drain or here.settled.start):
                break
        return here

    @staticmethod
    def _weight(here: _Environment) -> int:
        return min(here.settled.weights.get(here.settled.candidate or "", 0), here.settled.share)

    def _next_slot(self, here: _Environment) -> str | None:
        here.owed += self._weight(here)
        if here.owed >= 100:
            here.owed -= 100
            return here.settled.candidate
        return here.settled.stable


def _identity(source: ModelSource | None) -> str | None:
    return f"{source.digest} {source.version}" if source else None


def _arm(here: _Environment, slot: str | None) -> Arm:
    revision = here.slots.get(slot or "")
    if revision is None:
        return ABSENT
    if revision.state is not State.READY:
        return Arm(revision.readiness)
    return Arm(Readiness.READY, revision.source.digest, revision.source.version)


def _counted(here: _Environment, slot: str | None, counting: Counting, slow_ms: float | None) -> ArmCounts:
    revision = here.slots.get(slot or "")
    if slot is None or revision is None:
        return ArmCounts()
    slow_since = counting.slow_since.timestamp() if counting.slow_since else None
    since = max(counting.since, revision.bound_at).timestamp()
    tally = Tally(Bounds(slot, since, slow_since, slow_ms))
    for request in here.log[bisect_left(here.log, since, key=lambda one: one.began) :]:
        tally.add(request)
    return tally.counts()
