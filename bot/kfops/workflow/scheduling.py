"""Starts what a repository's rules want done by a schedule: `schedule.retrain`.

Each moment is one operation, whoever sees that it is due: the delivery's name and the command's minute are unique in
the ledger. What was missed while no bot was up is caught up once, by the last of the moments. A retraining that is
still under way is not joined by another; the moment waits.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from kfops.config.cron import due
from kfops.config.errors import ConfigError
from kfops.config.load import rules_of
from kfops.config.policy import Policy, is_served
from kfops.domain.operation import Kind, Subject
from kfops.domain.pull_request import Actor
from kfops.domain.record import Lock
from kfops.ports.clock import Clock
from kfops.ports.errors import Refused, Unavailable
from kfops.ports.forge import PullRequests, Source
from kfops.ports.ledger import Arrival, Inbox, Locks, NewOperation, Steering
from kfops.workflow.gathering import CONFIG, rules_branch

EVERY = timedelta(seconds=20)
READ_EVERY = timedelta(minutes=5)  # how long an edit of the schedule may take to be seen
NOBODY = Actor(0, "schedule", is_human=False)
LOCK = "scheduling"
_MINUTE = timedelta(minutes=1)
_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
log = structlog.get_logger("kfops.scheduling")


class Rules(PullRequests, Source, Protocol):
    """Where the rules are read."""


class Book(Inbox, Locks, Steering, Protocol):
    """Where what was started is known."""


@dataclass(frozen=True)
class Scheduled:
    """`since`: the moment that was served last, or when this very schedule was first seen."""

    model: str
    schedule: str
    branch: str
    since: datetime


@dataclass(frozen=True)
class Scheduling:
    forge: Rules
    book: Book
    clock: Clock
    policy: Policy
    owner: str
    _read_at: dict[int, datetime] = field(default_factory=dict)
    _put_off: dict[int, datetime] = field(default_factory=dict)  # repositories that could not be looked at

    def look(self) -> int:
        """One round, by one of the replicas; how many operations were started."""
        now = self.clock.now()
        turn = Lock(LOCK, self.owner, "looks at schedules", now, now + 2 * EVERY, None)
        if self.book.acquire(turn).holder != self.owner:
            return 0
        started = 0
        for repository_id, name, _ in self.book.repositories():
            if not is_served(self.policy, name) or now < self._put_off.get(repository_id, now):
                continue
            try:
                started += self._one(repository_id, now)
            except (Unavailable, Refused) as error:
                # One that is gone would be asked for at every look, for ever.
                self._put_off[repository_id] = now + READ_EVERY
                log.info("not looked", repository=repository_id, error=str(error))
        return started

    def _one(self, repository_id: int, now: datetime) -> int:
        known = self._kept(repository_id)
        read_at = self._read_at.get(repository_id)
        if read_at is None or now - read_at >= READ_EVERY:
            known = self._read(repository_id, known, now)
        if known is None or self._moment(known, now) is None:
            return 0
        if read_at is not None and self._read_at[repository_id] == read_at:
            known = self._read(
                repository_id, known, now
            )  # something is to be done: by the rules of this minute
        moment = self._moment(known, now) if known else None
        if known is None or moment is None or self._is_under_way(repository_id):
            return 0
        self.book.accept([arrival_of_moment(repository_id, known, moment, now)])
        self._keep(repository_id, Scheduled(known.model, known.schedule, known.branch, moment))
        log.info("retraining", repository=repository_id, model=known.model, moment=moment.isoformat())
        return 1

    def _moment(self, known: Scheduled, now: datetime) -> datetime | None:
        every = self.policy.limits.retrain_every or timedelta(0)
        return due(known.schedule, known.since, now, every)

    def _is_under_way(self, repository_id: int) -> bool:
        return bool(self.book.open_operations(repository_id, kinds=frozenset({Kind.RETRAIN})))

    def _read(self, repository_id: int, known: Scheduled | None, now: datetime) -> Scheduled | None:
        """What the rules say now. Rules that cannot be understood keep what was known: its operation tells of them."""
        repository = self.forge.repository(repository_id)
        content = self.forge.file(repository_id, CONFIG, rules_branch(self.policy, repository))
        self._read_at[repository_id] = now
        try:
            rules = rules_of(content, repository_name=repository.full_name.rsplit("/", 1)[-1])
        except ConfigError as error:
            log.info("rules not understood", repository=repository_id, error=str(error))
            return known
        if rules.retrain is None:
            if known is not None:
                self.book.set_cursor(_cursor(repository_id), "")
            return None
        is_known = known is not None and (known.model, known.schedule) == (rules.model, rules.retrain)
        since = known.since if known is not None and is_known else now
        found = Scheduled(rules.model, rules.retrain, repository.default_branch, since)
        if found != known:
            self._keep(repository_id, found)
        return found

    def _kept(self, repository_id: int) -> Scheduled | None:
        text = self.book.cursor(_cursor(repository_id))
        if not text:
            return None
        plain = json.loads(text)
        return Scheduled(
            plain["model"], plain["schedule"], plain["branch"], datetime.fromisoformat(plain["since"])
        )

    def _keep(self, repository_id: int, scheduled: Scheduled) -> None:
        plain = vars(scheduled) | {"since": scheduled.since.isoformat()}
        self.book.set_cursor(_cursor(repository_id), json.dumps(plain))


def _cursor(repository_id: int) -> str:
    return f"schedule:{repository_id}"


def arrival_of_moment(repository_id: int, scheduled: Scheduled, moment: datetime, now: datetime) -> Arrival:
    """Named after repository, model and moment: the ledger takes it once."""
    name = f"schedule:{repository_id}:{scheduled.model}:{moment:%Y%m%dT%H%MZ}"
    command = {
        "kind": Kind.RETRAIN.value,
        "model": scheduled.model,
        "schedule": scheduled.schedule,
        "branch": scheduled.branch,
        "moment": moment.isoformat(),
    }
    subject = Subject(
        repository_id=repository_id,
        pull_request=0,
        comment_id=-((moment - _EPOCH) // _MINUTE),
        index=0,
        command=command,
        author=NOBODY,
        body_hash="",
        received_at=now,
    )
    return Arrival(
        delivery_id=name,
        event="schedule",
        body_digest=hashlib.sha256(json.dumps(command).encode()).hexdigest(),
        received_at=now,
        repository_id=repository_id,
        operations=(NewOperation(subject, Kind.RETRAIN, f"retrain:{repository_id}"),),
    )
