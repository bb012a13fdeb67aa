"""Facts that several workflows ask for, through ports. Nothing is decided here."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from kfops.command.catalog import PermissionKey
from kfops.config.errors import ConfigError
from kfops.config.load import rules_of
from kfops.config.meaning import Rules
from kfops.config.policy import Policy, grant_of
from kfops.config.tighten import environment_refusal, tighten
from kfops.config.who import Who
from kfops.domain.facts import Refusal
from kfops.domain.pull_request import Permission, PullRequest, Repository
from kfops.ports.errors import Refused, Unavailable
from kfops.rules.gate import Asker, Live, Reject
from kfops.rules.reasons import ReasonCode
from kfops.workflow.context import Context

CONFIG = "kfops.yaml"


@dataclass(frozen=True)
class RulesRead:
    """The rules in force, and the file that they come from: the default branch's, or that of the policy's branch."""

    rules: Rules
    repository: Repository
    content: bytes | None
    branch: str

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.content or b"").hexdigest()


def rules(context: Context) -> RulesRead | Refusal:
    """R10: from the default branch, resolved by the forge, then tightened by the operator's policy."""
    subject = context.operation.subject
    repository = context.ports.forge.repository(subject.repository_id)
    content = context.ports.forge.file(
        subject.repository_id, CONFIG, rules_branch(context.options.policy, repository)
    )
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


def rules_branch(policy: Policy, repository: Repository) -> str:
    """Where the rules come from: never where a pull request points, and elsewhere only if the operator says so."""
    grant = grant_of(policy, repository.full_name)
    return (grant.rules_branch if grant else None) or repository.default_branch


def _meant(context: Context, repository: Repository, content: bytes | None) -> RulesRead | Refusal:
    policy = context.options.policy
    name, branch = repository.full_name.rsplit("/", 1)[-1], rules_branch(policy, repository)
    try:
        meant = rules_of(content, repository_name=name)
    except ConfigError as error:
        return Refusal(
            ReasonCode.RULES_INVALID.value,
            f"`{CONFIG}` on `{branch}` has errors.",
            fix=f"Mend it on `{branch}`.",
            detail=str(error),
        )
    tightened = tighten(meant, policy, repository.full_name)
    if not isinstance(tightened, Rules):
        return Refusal(
            ReasonCode.POLICY.value,
            "The server's policy does not allow what `kfops.yaml` asks for.",
            fix="Ask the operator of Kfops.",
            detail="\n".join(str(one) for one in tightened),
        )
    return RulesRead(tightened, repository, content, branch)


def live(
    context: Context,
    read: RulesRead,
    *,
    said_sha: str | None = None,
    reread: bool = False,
    pull: PullRequest | None = None,
) -> Live:
    """The pull request as it stands now. `reread`: the comment too, before what cannot be undone (R5)."""
    subject, forge = context.operation.subject, context.ports.forge
    pull = pull or forge.pull_request(subject.repository_id, subject.pull_request)
    unchanged = True
    if reread:
        comment = forge.comment(subject.repository_id, subject.comment_id)
        unchanged = (
            comment is not None and hashlib.sha256(comment.body.encode()).hexdigest() == subject.body_hash
        )
    return Live(
        pull_request=pull,
        repository_id=subject.repository_id,
        rules_branch=read.branch,
        pinned_sha=subject.head_sha,
        comment_is_unchanged=unchanged,
        is_late=subject.is_late,
        is_stale=subject.is_recovered,
        said_sha=said_sha,
        fork_allowed=context.ports.ledger.fork_allowed(
            subject.repository_id, subject.pull_request, pull.head_sha
        ),
    )


def asker(context: Context, needed: tuple[Who, ...]) -> Asker:
    """R6: asked live. What cannot be had is unknown, and an unknown allows nothing."""
    subject, forge = context.operation.subject, context.ports.forge
    wanted = tuple(dict.fromkeys(team for entry in needed for team in entry.teams))
    is_trusted = subject.author.login in context.options.policy.apps
    try:
        permission = forge.permission(subject.repository_id, subject.author)
        teams = frozenset(
            team for team in wanted if forge.in_team(subject.repository_id, team, subject.author)
        )
    except (Unavailable, Refused):
        return Asker(subject.author, Permission.UNKNOWN, None, is_trusted)
    return Asker(subject.author, permission, teams, is_trusted)


def needed(meant: Rules, keys: tuple[PermissionKey, ...]) -> tuple[Who, ...]:
    """Everything that the author must satisfy: the repository's entry and the operator's, of every key."""
    return tuple(entry for key in keys for entry in meant.permissions[key])


def policy_refusal(context: Context, read: RulesRead, environment: str) -> str | None:
    """Why the operator does not let this repository have the environment (R10); None: it may."""
    refused = environment_refusal(context.options.policy, read.repository.full_name, environment)
    return str(refused) if refused else None


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
