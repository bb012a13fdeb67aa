"""From an event of the forge to one `Arrival`: what will be stored before anything is answered (R2)."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import assert_never

from kfops.command.model import Command, Deploy, Problem, Rollback, StagingDeploy
from kfops.command.parse import parse
from kfops.command.serialise import to_json
from kfops.config.meaning import STAGING
from kfops.domain.events import Commented, Event, Poked, PullRequestChanged
from kfops.domain.operation import RUNS, Subject
from kfops.domain.pull_request import Head
from kfops.ports.ledger import Arrival, NewOperation

STALE = timedelta(minutes=15)


def arrival_of(
    event: Event | None,
    *,
    name: str,
    delivery_id: str,
    body_digest: str,
    now: datetime,
) -> Arrival:
    """`event` None: a delivery that means nothing to the bot; it is stored all the same."""
    if event is None:
        return Arrival(delivery_id, name, body_digest, now)
    head: Head | None = None
    operations: tuple[NewOperation, ...] = ()
    pokes, pull_request = True, None
    match event:
        case Commented():
            operations, pokes, pull_request = _operations(event, now), False, event.pull_request
        case PullRequestChanged():
            head, pull_request = event.head(now), event.number
        case Poked():
            pull_request = event.pull_requests[0] if len(event.pull_requests) == 1 else None
        case _:
            assert_never(event)
    return Arrival(
        delivery_id=delivery_id,
        event=name,
        body_digest=body_digest,
        received_at=now,
        repository_id=event.repository.id,
        repository_name=event.repository.full_name,
        default_branch=event.repository.default_branch,
        installation_id=event.installation_id,
        pull_request=pull_request,
        head=head,
        operations=operations,
        pokes=pokes,
    )


def _operations(event: Commented, now: datetime) -> tuple[NewOperation, ...]:
    comment = event.comment
    found = []
    for index, command in enumerate(parse(comment.body)):
        subject = Subject(
            repository_id=event.repository.id,
            pull_request=event.pull_request,
            comment_id=comment.id,
            index=index,
            command=to_json(command),
            author=comment.author,
            body_hash=hashlib.sha256(comment.body.encode()).hexdigest(),
            received_at=now,
            # Whoever brings it: a delivery that the forge sends again carries the comment's own time.
            is_recovered=now - comment.created_at > STALE,
        )
        found.append(NewOperation(subject, command.kind, serial_key(subject, command)))
    return tuple(found)


def serial_key(subject: Subject, command: Command | Problem) -> str:
    """Runs wait in line per pull request, rollouts per environment; signals never wait."""
    repository = subject.repository_id
    if command.kind in RUNS:
        return f"run:{repository}:{subject.pull_request}"
    match command:
        case Deploy(environment=environment):
            return f"rollout:{repository}:{environment}"
        case StagingDeploy():
            return f"rollout:{repository}:{STAGING}"
        case Rollback(environment=environment):
            return f"rollback:{repository}:{environment}"
        case _:
            return f"signal:{repository}:{subject.comment_id}:{subject.index}"
