"""What must survive a restart. Only the ledger decides (R12).

Split by who needs it: the inbox writes what arrived, the reconciler claims and saves, workflows keep records.
Every write of an operation carries its claim, which is the operation as it was claimed; a writer whose lease was taken
over gets `Fenced`, and nothing is written. Where `claim` may be None, others write as well: operators and repairs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from kfops.domain.operation import Kind, Operation, Outcome, Signal, Subject
from kfops.domain.pull_request import Head
from kfops.domain.record import AuditEntry, Lock, RevisionRecord, RunRecord


class Fenced(Exception):  # noqa: N818
    """Another worker took this operation over; whatever this one still holds is void."""


@dataclass(frozen=True)
class NewOperation:
    """A command to be stored together with the operation that executes it."""

    subject: Subject
    kind: Kind
    serial_key: str


@dataclass(frozen=True)
class Arrival:
    """One delivery and all that it means, stored in one transaction (R2)."""

    delivery_id: str
    event: str
    body_digest: str
    received_at: datetime
    repository_id: int | None = None
    repository_name: str = ""
    default_branch: str = ""
    installation_id: int | None = None
    pull_request: int | None = None
    head: Head | None = None
    operations: tuple[NewOperation, ...] = ()
    pokes: bool = False


class Inbox(Protocol):
    def accept(self, arrivals: Sequence[Arrival]) -> None:
        """Store them all, or none, in one transaction; what is known already is passed over."""
        ...

    def cursor(self, name: str) -> str | None: ...

    def set_cursor(self, name: str, value: str, claim: Operation | None = None) -> None: ...

    def repositories(self) -> tuple[tuple[int, str, int | None], ...]:
        """(id, full name, installation) of every repository that was ever heard of."""
        ...

    def knows_comment(self, repository_id: int, comment_id: int) -> bool: ...

    def forget_deliveries(self, before: datetime, most: int) -> int:
        """Those that were received before then, the oldest first, `most` at once; how many. Their commands stay."""
        ...


@dataclass(frozen=True)
class Saved:
    """How one step leaves its operation."""

    phase: str
    facts: Mapping[str, Any]
    due_at: datetime
    failures: int = 0
    defects: int = 0
    failing_since: datetime | None = None
    outcome: Outcome | None = None
    reason_code: str | None = None
    ended_at: datetime | None = None
    settle_at: datetime | None = None  # ended, and something outside is to be looked at again then (R18)


class Work(Protocol):
    """The reconciler's side."""

    def claim(self, owner: str, now: datetime, lease: timedelta) -> Operation | None:
        """The next due operation, at most one a serial key, oldest first; leased and with a new fence."""
        ...

    def claim_unsettled(self, owner: str, now: datetime, lease: timedelta) -> Operation | None:
        """The next ended operation that left something outside in no final state (R18); leased and with a new fence."""
        ...

    def end_leases(self) -> None:
        """Of owners that are known to be gone: what they held can be claimed at once. A fence keeps them out."""
        ...

    def renew(self, operation: Operation, now: datetime, lease: timedelta) -> None: ...

    def save(self, operation: Operation, saved: Saved) -> None:
        """Write a step down and give the lease back. Who asked for attention during the step gets it: `due_at` is theirs."""
        ...

    def effect_about(self, operation: Operation, name: str, now: datetime) -> bool:
        """Say "about to". True when an earlier attempt said so already: then look outside before doing it."""
        ...

    def effect_done(self, operation: Operation, name: str, identity: str, now: datetime) -> None: ...

    def told(self, operation: Operation, digest: str, now: datetime) -> None: ...

    def next_due(self) -> datetime | None: ...


class Steering(Protocol):
    """How operations see and steer one another."""

    def operation(self, operation_id: int) -> Operation | None: ...

    def open_operations(
        self, repository_id: int, pull_request: int | None = None, kinds: frozenset[Kind] = frozenset()
    ) -> tuple[Operation, ...]: ...

    def request_cancel(
        self, operation_id: int, by: str, now: datetime, claim: Operation | None = None
    ) -> None: ...

    def signal(self, operation_id: int, signal: Signal, claim: Operation | None = None) -> None: ...

    def signals(self, operation_id: int) -> tuple[Signal, ...]: ...

    def wake_first(self, kinds: frozenset[Kind], phase: str, now: datetime) -> None:
        """Of each repository the oldest open operation of these kinds that is in this phase is looked at now."""
        ...

    def head(self, repository_id: int, pull_request: int) -> Head | None: ...

    def pin(self, operation: Operation, head: Head) -> None:
        """Late pin of a command that had no `heads` row when it arrived (R7)."""
        ...


class Records(Protocol):
    """Evidence, revisions, trust marks."""

    def add_run(self, claim: Operation, run: RunRecord) -> None: ...

    def runs(
        self, repository_id: int, *, pull_request: int | None = None, commit_sha: str | None = None
    ) -> tuple[RunRecord, ...]:
        """Newest first."""
        ...

    def activate(self, claim: Operation, revision: RevisionRecord) -> None:
        """Make it the active revision of its environment. Idempotent by (environment, digest, pull request, since)."""
        ...

    def revisions(self, repository_id: int, environment: str) -> tuple[RevisionRecord, ...]:
        """Newest first."""
        ...

    def allow_fork(self, claim: Operation, commit_sha: str, now: datetime) -> None:
        """On the pull request and in the name of whoever gave the claimed command (R9)."""
        ...

    def fork_allowed(self, repository_id: int, pull_request: int, commit_sha: str) -> bool: ...


class Locks(Protocol):
    def acquire(self, lock: Lock, claim: Operation | None = None) -> Lock:
        """Take it, or return who holds it. Taking again what one holds renews it (R14)."""
        ...

    def release(self, key: str, holder: str, claim: Operation | None = None) -> bool:
        """Compare and delete."""
        ...

    def held(self, key: str, now: datetime) -> Lock | None: ...


class Audit(Protocol):
    def append(
        self,
        repository_id: int,
        pull_request: int,
        at: datetime,
        actor: str,
        action: str,
        detail: Mapping[str, Any],
        claim: Operation | None = None,
    ) -> AuditEntry: ...

    def trail(self, repository_id: int, pull_request: int | None = None) -> tuple[AuditEntry, ...]: ...

    def verify(self, repository_id: int) -> str | None:
        """None when the chain holds and has what ended operations wrote; else a sentence naming the first broken link."""
        ...


class History(Protocol):
    """What pages show, in bounded pieces."""

    def recent(
        self, repository_id: int, *, pull_request: int | None = None, limit: int = 50
    ) -> tuple[Operation, ...]:
        """Operations, ended ones included, newest first."""
        ...

    def active_revisions(self, repository_id: int) -> tuple[RevisionRecord, ...]:
        """What serves now, one an environment, by its name."""
        ...

    def locks(self, prefix: str) -> tuple[Lock, ...]:
        """All locks whose key begins so, those that ran out included."""
        ...


class Ledger(Inbox, Work, Steering, Records, Locks, Audit, History, Protocol):
    """All of it; what an adapter implements."""
