"""A retraining by schedule: a `/build_run` of the default branch that nobody asked for, told in one issue.

Only what differs from a run in a pull request is here; when one is due is `scheduling`'s to know.
"""

from __future__ import annotations

import hashlib

from kfops.config.policy import grant_of
from kfops.domain.facts import Refusal
from kfops.domain.operation import Operation
from kfops.domain.pull_request import NOBODY, Head
from kfops.rules.reasons import ReasonCode
from kfops.rules.replies import View, render_issue
from kfops.rules.replies import issue as said
from kfops.workflow.context import Context, Facts
from kfops.workflow.gathering import RulesRead


def head(context: Context) -> Head:
    """The default branch as it is when the retraining begins."""
    repository = context.ports.forge.repository(context.operation.subject.repository_id)
    branch = repository.default_branch
    sha = context.ports.forge.branch_head(repository.id, branch)
    return Head(sha, sha, branch, repository.id, NOBODY, context.now)


def forbidden(context: Context, read: RulesRead) -> Refusal | None:
    """What the operator has to say. Told in the issue: a schedule that is kept silently by nobody helps nobody."""
    grant = grant_of(context.options.policy, read.repository.full_name)
    if grant is None or grant.retrain:
        return None
    return Refusal(
        ReasonCode.POLICY.value,
        "The server's policy keeps no schedules of this repository.",
        "`schedule.retrain`",
        "no schedule (policy: repositories.….retrain)",
        "Leave `schedule.retrain` out, or ask the operator of Kfops.",
    )


def issue_of(context: Context, model: str) -> int | None:
    """The number of the issue where it is told; None before the first retraining."""
    number = context.ports.ledger.cursor(_cursor(context.operation.subject.repository_id, model))
    return int(number) if number else None


def _cursor(repository_id: int, model: str) -> str:
    return f"issue:{repository_id}:{model}"


def tell(context: Context, operation: Operation, facts: Facts, repository_url: str) -> None:
    """Bring the repository's issue to what is so. Raises what the forge raises."""
    model, repository_id = str(operation.subject.command["model"]), operation.subject.repository_id
    ledger, forge = context.ports.ledger, context.ports.forge
    view = View(operation, facts, repository_url, context.now, context.options.secrets)
    body = render_issue(view, model, ledger.runs(repository_id, pull_request=0))
    digest = hashlib.sha256(body.encode()).hexdigest()
    made: list[int] = []

    def create() -> str:
        made.append(forge.create_issue(repository_id, title=said.title(model), body=body, label=said.LABEL))
        return str(made[0])

    def find_or_create() -> str:
        # An earlier retraining may have made it and died before it was written down.
        found = forge.find_issue(repository_id, said.LABEL, said.marker(model))
        return create() if found is None else str(found)

    cursor = _cursor(repository_id, model)
    number = ledger.cursor(cursor) or context.effect("issue", find_or_create)
    if (
        not made
        and digest != operation.told_digest
        and not forge.edit_issue(repository_id, int(number), body)
    ):
        number = context.effect(f"issue instead of {number}", find_or_create)
    if number != ledger.cursor(cursor):
        ledger.set_cursor(cursor, number, operation)
    ledger.told(operation, digest, context.now)
