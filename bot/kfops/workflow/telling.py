"""The living comment: created once, edited as the operation moves, in a rhythm that spares the forge's limits."""

from __future__ import annotations

import hashlib
from datetime import timedelta

from kfops.domain.facts import DeployFacts
from kfops.domain.operation import ROLLOUTS, Operation, Outcome
from kfops.domain.pull_request import Reaction
from kfops.domain.rollout import Phase
from kfops.ports.errors import Refused, Unavailable
from kfops.rules.replies import View, marker, render
from kfops.workflow.context import Context, Facts

FIRST_MINUTE = timedelta(minutes=1)
COALESCED = timedelta(seconds=5)
REACTIONS = {
    Outcome.SUCCEEDED: Reaction.ROCKET,
    Outcome.REFUSED: Reaction.THUMBS_DOWN,
    Outcome.FAILED: Reaction.CONFUSED,
    Outcome.ROLLED_BACK: Reaction.CONFUSED,
    Outcome.CANCELED: Reaction.CONFUSED,
    Outcome.SUPERSEDED: Reaction.CONFUSED,
    Outcome.SKIPPED: Reaction.CONFUSED,
}


def external_id(operation: Operation) -> str:
    """By which the bot's check run and deployment are found again."""
    return f"kfops-{operation.id}"


def state_of(facts: Facts) -> str:
    """What a reader must see soon when it changes; everything else waits for the rhythm."""
    if isinstance(facts, DeployFacts) and facts.rollout:
        rollout = facts.rollout
        is_grave = rollout.phase in {Phase.ASK, Phase.ABORT, Phase.RESTORE}
        return f"{rollout.step} {rollout.verdict} {rollout.paused_at} {rollout.phase if is_grave else ''}"
    return ""


def is_time(operation: Operation, context: Context, *, has_moved: bool) -> bool:
    """At once when nothing was told yet; soon when the state changed; else in a rhythm that spares the forge."""
    if operation.told_at is None:
        return True
    if has_moved and context.now - operation.told_at >= COALESCED:
        return True
    age = context.now - operation.created_at
    slow = timedelta(seconds=30) if operation.kind in ROLLOUTS else timedelta(seconds=60)
    interval = timedelta(seconds=15) if age < FIRST_MINUTE else slow
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
