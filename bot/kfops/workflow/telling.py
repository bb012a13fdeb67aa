"""The living comment: created once, edited as the operation moves, in a rhythm that spares the forge's limits."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

from kfops.domain.facts import DeployFacts
from kfops.domain.operation import ROLLOUTS, Kind, Operation, Outcome
from kfops.domain.pull_request import Reaction
from kfops.domain.rollout import Phase
from kfops.ports.errors import Refused, Unavailable
from kfops.rules.replies import View, marker, render
from kfops.workflow import retraining
from kfops.workflow.context import Context, Facts

BEATS = (timedelta(seconds=10), timedelta(seconds=30), timedelta(minutes=1))
NEWS = frozenset({Phase.HOLD, Phase.SHADOW, Phase.ASK, Phase.WATCH, Phase.MERGE, Phase.ABORT})
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


def moved_at(facts: Facts) -> datetime | None:
    """When last something happened that a reader must see soon; everything else waits for the rhythm."""
    if not isinstance(facts, DeployFacts) or facts.rollout is None:
        return None
    return max((one.at for one in facts.rollout.timeline if one.phase in NEWS), default=None)


def is_time(operation: Operation, facts: Facts, now: datetime) -> bool:
    """At once when nothing was told yet; soon after something happened; else after 10, 30 and 60 s, and then every
    minute, a canary every half: a rhythm that spares the forge.
    """
    told = operation.told_at
    if told is None:
        return True
    moved = moved_at(facts)
    if moved is not None and moved >= told and now - told >= COALESCED:
        return True
    pause = timedelta(seconds=30) if operation.kind in ROLLOUTS else timedelta(seconds=60)
    return _beats(now - operation.created_at, pause) > _beats(told - operation.created_at, pause)


def _beats(age: timedelta, pause: timedelta) -> int:
    return sum(age >= one for one in BEATS) + max(0, (age - BEATS[-1]) // pause)


def tell(context: Context, operation: Operation, facts: Facts, repository_url: str) -> None:
    """Bring the comment to what is so; of a retraining, the repository's issue. Raises what the forge raises."""
    if operation.kind is Kind.RETRAIN:
        retraining.tell(context, operation, facts, repository_url)
        return
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
    if not made and (digest != operation.told_digest or may_be_overwritten(operation)):
        forge.edit_comment(subject.repository_id, int(comment), body)
    context.ports.ledger.told(operation, digest, context.now)


def may_be_overwritten(operation: Operation) -> bool:
    """It has ended, and a worker before the last one may have told something late: what was told is not what is there."""
    return operation.ended_at is not None and operation.takeovers > 0


def keep_one(context: Context) -> None:
    """The comment that is written down, when a worker that was paused made another one late."""
    operation, subject = context.operation, context.operation.subject
    kept = operation.identity("comment")
    if kept is not None and may_be_overwritten(operation):
        forge, mark = context.ports.forge, marker(operation.id)
        forge.keep_one_comment(subject.repository_id, subject.pull_request, mark, int(kept))


def react(context: Context, reaction: Reaction) -> None:
    """Decoration: one that fails never fails the work."""
    subject = context.operation.subject
    if context.operation.kind is Kind.RETRAIN:
        return  # nobody commented
    try:
        context.ports.forge.react(subject.repository_id, subject.comment_id, reaction)
    except (Unavailable, Refused):
        return
