"""The living comment: created once, edited as the operation moves, in a rhythm that spares the forge's limits."""

from __future__ import annotations

import hashlib
from datetime import timedelta

from kfops.domain.facts import DeployFacts, RunFacts
from kfops.domain.operation import ROLLOUTS, Operation, Outcome
from kfops.domain.pull_request import Reaction
from kfops.ports.errors import Refused, Unavailable
from kfops.rules.replies import View, marker, render
from kfops.workflow.context import Context, Facts

FIRST_MINUTE = timedelta(minutes=1)
REACTIONS = {
    Outcome.SUCCEEDED: Reaction.ROCKET,
    Outcome.REFUSED: Reaction.THUMBS_DOWN,
    Outcome.FAILED: Reaction.CONFUSED,
    Outcome.ROLLED_BACK: Reaction.CONFUSED,
    Outcome.CANCELED: Reaction.CONFUSED,
    Outcome.SUPERSEDED: Reaction.CONFUSED,
    Outcome.SKIPPED: Reaction.CONFUSED,
}


def state_of(phase: str, facts: Facts) -> str:
    """What a reader must see at once when it changes; everything else waits for the rhythm."""
    match facts:
        case RunFacts(status=status) if status:
            return f"{phase} {status.state} {[(step.name, step.state) for step in status.steps]}"
        case DeployFacts(rollout=rollout) if rollout:
            return f"{phase} {rollout.phase} {rollout.step} {rollout.verdict} {rollout.paused_at}"
        case _:
            return phase


def is_time(operation: Operation, context: Context) -> bool:
    """At 10, 30 and 60 s, then every minute; a rollout every 30 s."""
    if operation.told_at is None:
        return True
    age = context.now - operation.created_at
    slow = timedelta(seconds=30) if operation.kind in ROLLOUTS else timedelta(seconds=60)
    interval = timedelta(seconds=10) if age < FIRST_MINUTE else slow
    return context.now - operation.told_at >= interval


def tell(context: Context, operation: Operation, facts: Facts, repository_url: str) -> None:
    """Bring the comment to what is so. Raises what the forge raises."""
    body = render(View(operation, facts, repository_url, context.now, context.options.secrets))
    digest = hashlib.sha256(body.encode()).hexdigest()
    subject, forge = operation.subject, context.ports.forge
    mark = marker(operation.id)
    made: list[int] = []

    def create() -> str:
        made.append(forge.create_comment(subject.repository_id, subject.pull_request, body))
        return str(made[0])

    def find() -> str | None:
        found = forge.find_comment(subject.repository_id, subject.pull_request, mark)
        return None if found is None else str(found)

    comment = context.effect("comment", create, find)
    if not made and digest != operation.told_digest:
        forge.edit_comment(subject.repository_id, int(comment), body)
    context.ports.ledger.told(operation, digest, context.now)


def react(context: Context, reaction: Reaction) -> None:
    """Decoration: one that fails never fails the work."""
    subject = context.operation.subject
    try:
        context.ports.forge.react(subject.repository_id, subject.comment_id, reaction)
    except (Unavailable, Refused):
        return
