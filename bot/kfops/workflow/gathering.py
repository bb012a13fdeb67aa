"""Facts that several workflows ask for, through ports. Nothing is decided here."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from kfops.command.catalog import PermissionKey
from kfops.config.errors import ConfigError
from kfops.config.load import rules_of
from kfops.config.meaning import Rules
from kfops.config.tighten import tighten
from kfops.config.who import Who
from kfops.domain.facts import Refusal
from kfops.domain.pull_request import Permission, Repository
from kfops.ports.errors import Unavailable
from kfops.rules.gate import Asker, Live, Needed, Reject
from kfops.rules.reasons import ReasonCode
from kfops.workflow.context import Context

CONFIG = "kfops.yaml"
STALE = timedelta(minutes=15)


@dataclass(frozen=True)
class RulesRead:
    """The rules in force, and the default branch's file that they come from."""

    rules: Rules
    repository: Repository
    content: bytes | None


def rules(context: Context) -> RulesRead | Refusal:
    """R10: from the default branch, resolved by the forge, then tightened by the operator's policy."""
    subject = context.operation.subject
    repository = context.ports.forge.repository(subject.repository_id)
    content = context.ports.forge.file(subject.repository_id, CONFIG, repository.default_branch)
    kept = _kept(context)
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_bytes(content or b"")
    return _meant(context, repository, content)


def rules_when_asked(context: Context) -> RulesRead | Refusal:
    """As the gate of this very operation read them: a run is judged by the rules under which it was asked for."""
    kept = _kept(context)
    if not kept.is_file():
        return rules(context)
    repository = context.ports.forge.repository(context.operation.subject.repository_id)
    return _meant(context, repository, kept.read_bytes() or None)


def _kept(context: Context) -> Path:
    return context.options.data_dir / "scratch" / str(context.operation.id) / CONFIG


def _meant(context: Context, repository: Repository, content: bytes | None) -> RulesRead | Refusal:
    name = repository.full_name.rsplit("/", 1)[-1]
    try:
        meant = rules_of(content, repository_name=name)
    except ConfigError as error:
        return Refusal(
            ReasonCode.RULES_INVALID.value,
            f"`{CONFIG}` on `{repository.default_branch}` has errors.",
            fix=f"Mend it on `{repository.default_branch}`.",
            detail=str(error),
        )
    tightened = tighten(meant, context.options.policy, repository.full_name)
    if not isinstance(tightened, Rules):
        return Refusal(
            ReasonCode.POLICY.value,
            "The server's policy does not allow what `kfops.yaml` asks for.",
            fix="Ask the operator of Kfops.",
            detail="\n".join(str(one) for one in tightened),
        )
    return RulesRead(tightened, repository, content)


def live(
    context: Context, repository: Repository, *, said_sha: str | None = None, reread: bool = False
) -> Live:
    """The pull request as it stands now. `reread`: the comment too, before what cannot be undone (R5)."""
    subject, forge = context.operation.subject, context.ports.forge
    pull = forge.pull_request(subject.repository_id, subject.pull_request)
    unchanged = True
    if reread:
        comment = forge.comment(subject.repository_id, subject.comment_id)
        unchanged = (
            comment is not None and hashlib.sha256(comment.body.encode()).hexdigest() == subject.body_hash
        )
    return Live(
        pull_request=pull,
        repository_id=subject.repository_id,
        default_branch=repository.default_branch,
        pinned_sha=subject.head_sha,
        comment_is_unchanged=unchanged,
        is_late=subject.is_late,
        is_recovered_late=subject.is_recovered and context.now - subject.received_at > STALE,
        said_sha=said_sha,
        fork_allowed=context.ports.ledger.fork_allowed(
            subject.repository_id, subject.pull_request, pull.head_sha
        ),
    )


def asker(context: Context, entries: tuple[Who, ...]) -> tuple[Asker, Needed]:
    """R6: asked live. All entries must hold, so the strictest role and all teams that are asked for count."""
    subject, forge = context.operation.subject, context.ports.forge
    role = max((entry.permission for entry in entries), default=Permission.READ)
    wanted = tuple(team for entry in entries for team in entry.teams)
    try:
        permission = forge.permission(subject.repository_id, subject.author)
        teams = frozenset(
            team for team in wanted if forge.in_team(subject.repository_id, team, subject.author)
        )
    except Unavailable:
        permission, teams = Permission.UNKNOWN, frozenset()
    return Asker(subject.author, permission, teams), Needed(role, wanted)


def needed(meant: Rules, keys: tuple[PermissionKey, ...]) -> tuple[Who, ...]:
    return tuple(entry for key in keys for entry in meant.permissions[key])


def refusal(decision: Reject) -> Refusal:
    """A gate's refusal as plain text, to be kept with the operation's facts."""
    return Refusal(decision.code.value, decision.sentence, decision.found, decision.expected, decision.fix)


def checkout(context: Context) -> None:
    """The pinned commit's tree, once. A half-made folder never has the final name."""
    target = context.source_dir
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    incoming = target.with_name(f".{target.name}.{context.operation.fence}.{context.operation.id}")
    incoming.mkdir(exist_ok=False)
    subject = context.operation.subject
    context.ports.forge.checkout(subject.repository_id, str(subject.head_sha), incoming)
    if not target.exists():
        incoming.rename(target)
