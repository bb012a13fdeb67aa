"""What there is to see of an operation: values for a page, and the same ones for the API."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from kfops.dashboard.door import NotHere, Place
from kfops.domain.operation import Operation
from kfops.domain.record import AuditEntry, Lock, RevisionRecord
from kfops.rules.replies import View, render
from kfops.rules.replies.view import without_secrets
from kfops.workflow.holding import key_of
from kfops.workflow.reconcile import facts_of


def operation(here: Place, number: int) -> Operation:
    """NotHere also for an operation of another repository: numbers are not secret, what they name is."""
    found = here.book.operation(number)
    if found is None or found.subject.repository_id != here.repository_id:
        raise NotHere
    return found


def reply(here: Place, found: Operation) -> str:
    """The very reply of the pull request, as it would read now."""
    dashboard = here.seen.dashboard
    try:
        facts = facts_of(found)
    except ValueError:  # another release wrote them; `workflow.unreadable` sees to the operation
        return "This release of Kfops cannot read what is known of this operation."
    return render(View(found, facts, here.address, dashboard.clock.now(), dashboard.secrets))


def locks(here: Place) -> tuple[Lock, ...]:
    now = here.seen.dashboard.clock.now()
    found = here.book.locks(key_of(here.repository_id, ""))
    return tuple(one for one in found if one.until is None or one.until >= now)


def environment_of(lock: Lock) -> str:
    return lock.key.rpartition(":")[2]


def summary(here: Place, one: Operation) -> dict[str, Any]:
    subject = one.subject
    return {
        "id": one.id,
        "command": one.kind.value,
        "pull_request": subject.pull_request or None,
        "commit": subject.head_sha,
        "asked_by": subject.author.login,
        "created_at": one.created_at.isoformat(),
        "phase": one.phase,
        "outcome": one.outcome.value if one.outcome else None,
        "reason_code": one.reason_code,
        "ended_at": one.ended_at.isoformat() if one.ended_at else None,
        "url": f"{here.seen.dashboard.url}/dashboard/{here.name}/operations/{one.id}",
    }


def whole(here: Place, one: Operation) -> dict[str, Any]:
    effects = [
        {"name": effect.name, "state": effect.state.value, "identity": effect.identity}
        for effect in one.effects.values()
    ]
    return summary(here, one) | {"effects": effects, "reply": reply(here, one)}


def served(one: RevisionRecord) -> dict[str, Any]:
    return {
        "environment": one.environment,
        "model": one.model,
        "version": one.version,
        "digest": one.digest,
        "commit": one.commit_sha,
        "pull_request": one.pull_request,
        "by": one.by,
        "since": one.since.isoformat(),
    }


def told(here: Place, entry: AuditEntry) -> dict[str, Any]:
    """Without its secrets: what a command's reason said is foreign text."""
    hidden = without_secrets(entry.detail, here.seen.dashboard.secrets)
    return asdict(entry) | {"at": entry.at.isoformat(), "detail": hidden}
