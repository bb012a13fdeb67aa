"""What stays after an operation has ended: runs, locks and the audit trail."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class RunRecord:
    """One execution of a pipeline and what it showed. `evidence` is `kfops.domain.evidence.Evidence` as JSON."""

    operation_id: int
    repository_id: int
    pull_request: int
    commit_sha: str
    state: str
    package_digest: str
    model_version: str | None
    model_digest: str | None
    evidence: Mapping[str, Any]
    created_at: datetime


@dataclass(frozen=True)
class RevisionRecord:
    """A model version as it was served in an environment; what a rollback goes back to."""

    id: int
    repository_id: int
    environment: str
    model: str
    version: str
    digest: str
    commit_sha: str
    pull_request: int
    run_operation_id: int
    by: str
    since: datetime
    is_active: bool


@dataclass(frozen=True)
class Lock:
    """Who holds an environment. `operation_id` None: a person's `/lock`."""

    key: str
    holder: str
    reason: str
    since: datetime
    until: datetime | None
    operation_id: int | None


@dataclass(frozen=True)
class AuditEntry:
    sequence: int
    repository_id: int
    pull_request: int
    at: datetime
    actor: str
    action: str
    detail: Mapping[str, Any]
    previous: str
    digest: str

    @property
    def name(self) -> str:
        """By which whoever had it written knows it again."""
        return f"{self.sequence}:{self.digest}"
