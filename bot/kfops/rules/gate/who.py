"""May this person give this command (R5, R6)? As the forge says now."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kfops.config.who import Who
from kfops.domain.pull_request import Permission
from kfops.rules.gate.decision import Reject
from kfops.rules.gate.facts import Asker
from kfops.rules.reasons import ReasonCode


def who(asker: Asker, needed: Sequence[Who], command: str) -> Iterator[Reject]:
    """A person, or an app that the operator lists; and every one of `needed` must be satisfied."""
    login = asker.actor.login
    if not asker.actor.is_human and not asker.is_trusted_app:
        yield Reject(
            ReasonCode.NOT_HUMAN,
            f"`{command}` was written by an app.",
            login,
            "a person, or an app that the server's policy lists",
        )
    if asker.permission is Permission.UNKNOWN or asker.teams is None:
        yield Reject(
            ReasonCode.PERMISSION_UNKNOWN,
            f"The role of {login} on this repository could not be read.",
            "unknown",
            " and ".join(map(str, needed)) or "the role read or higher",
            "Try again in a minute.",
        )
    for one in needed or (Who(Permission.READ),):
        yield from _entry(asker, one, command)


def _entry(asker: Asker, needed: Who, command: str) -> Iterator[Reject]:
    login, held = asker.actor.login, asker.permission.name.lower()
    if needed.teams:
        if not set(needed.teams) & (asker.teams or frozenset()):
            teams = ", ".join(needed.teams)
            yield Reject(
                ReasonCode.PERMISSION_DENIED,
                f"`{command}` is for members of {teams}.",
                f"{login} is in none of them",
                f"membership of {teams}",
                f"Ask a member of {teams} to comment `{command}`.",
            )
    elif asker.permission < needed.permission:
        role = needed.permission.name.lower()
        yield Reject(
            ReasonCode.PERMISSION_DENIED,
            f"`{command}` needs the role `{role}` on this repository.",
            f"{login} has `{held}`",
            f"`{role}` or higher",
            f"Ask somebody with the role `{role}` to comment `{command}`.",
        )
