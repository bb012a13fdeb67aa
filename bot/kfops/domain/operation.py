"""The durable execution of one command, and what it leaves outside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from kfops.domain.canary_facts import SignalKind
from kfops.domain.pull_request import Actor


class Kind(StrEnum):
    """One per command. The second group are signals: they never queue behind what they steer."""

    BUILD = "build"
    RUN = "run"
    BUILD_RUN = "build_run"
    STAGING_DEPLOY = "staging_deploy"
    DEPLOY = "deploy"
    ROLLBACK = "rollback"

    HELP = "help"
    STATUS = "status"
    PLAN = "plan"
    CANCEL = "cancel"
    CANARY = "canary"
    LOCK = "lock"
    UNLOCK = "unlock"
    OK_TO_TEST = "ok_to_test"
    MISTAKE = "mistake"  # a command that could not be read: its reply says so

    RETRAIN = "retrain"  # nobody's command: `schedule.retrain` is due


RUNS = frozenset({Kind.BUILD, Kind.RUN, Kind.BUILD_RUN})
TRAININGS = RUNS | {Kind.RETRAIN}
ROLLOUTS = frozenset({Kind.STAGING_DEPLOY, Kind.DEPLOY})


class Outcome(StrEnum):
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    REFUSED = "refused"
    CANCELED = "canceled"
    SUPERSEDED = "superseded"
    SKIPPED = "skipped"
    ROLLED_BACK = "rolled_back"


@dataclass(frozen=True)
class Subject:
    """Who asked for what, about which commit: pinned when the comment arrived, never looked up again.

    Of what nobody commented (`Kind.RETRAIN`) the pull request is 0, and `comment_id` is the negative number of the
    minute for which it was scheduled, so that each minute of a repository is there once.

    `is_late`: there was no `heads` row to pin from, so the commit is what the forge showed later (R7).
    """

    repository_id: int
    pull_request: int
    comment_id: int
    index: int
    command: Mapping[str, Any]
    author: Actor
    body_hash: str
    received_at: datetime
    head_sha: str | None = None
    base_sha: str | None = None
    base_ref: str | None = None
    head_repository_id: int | None = None
    is_late: bool = False
    is_recovered: bool = False  # found more than 15 minutes after it was written (R3)


class EffectState(StrEnum):
    ABOUT = "about"  # the row says "about to": after a crash the outside is asked first
    DONE = "done"


@dataclass(frozen=True)
class EffectRecord:
    name: str
    state: EffectState
    identity: str
    at: datetime | None = None


@dataclass(frozen=True)
class Operation:
    id: int
    kind: Kind
    subject: Subject
    serial_key: str
    phase: str
    facts: Mapping[str, Any]
    created_at: datetime
    due_at: datetime
    after: int | None = None
    failures: int = 0  # in a row, for what was not there
    defects: int = 0  # in a row, for what nobody expected
    failing_since: datetime | None = None  # the first of these in a row
    fence: int = 0
    cancel_by: str | None = None
    outcome: Outcome | None = None
    reason_code: str | None = None
    ended_at: datetime | None = None
    told_digest: str = ""
    told_at: datetime | None = None
    takeovers: int = 0  # how often a lease ran out and another worker went on
    effects: Mapping[str, EffectRecord] = field(default_factory=dict)

    def identity(self, effect: str) -> str | None:
        """What the effect got outside (a comment id, a run id, a merge sha), once it is done."""
        record = self.effects.get(effect)
        return record.identity if record and record.state is EffectState.DONE else None

    @property
    def short_sha(self) -> str:
        return (self.subject.head_sha or "")[:7]


@dataclass(frozen=True)
class Signal:
    """What a person asked of an operation under way; its target reads it at its next step."""

    kind: SignalKind
    by: str
    reason: str
    at: datetime
