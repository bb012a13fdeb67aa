"""A deployment of which everything holds; each test takes one thing away."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from kfops.config.who import Who
from kfops.domain.pull_request import (
    Actor,
    Check,
    CheckState,
    Permission,
    PullRequest,
    Review,
    ReviewState,
)
from kfops.domain.record import Lock, RevisionRecord
from kfops.rules.gate import Approvals, Asker, Decision, DeployFacts, Live, Reject, Requirement

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
HEAD, OTHER = "a" * 40, "b" * 40
ANN, BOB, EVE = Actor(1, "ann"), Actor(2, "bob"), Actor(3, "eve")
APP = Actor(9, "renovate[bot]", is_human=False)
PULL = PullRequest(
    number=1,
    title="Better features",
    author=ANN,
    is_open=True,
    is_draft=False,
    is_merged=False,
    head_sha=HEAD,
    head_ref="features",
    head_repository_id=7,
    base_ref="main",
    base_sha=OTHER,
    mergeable=True,
)
LIVE = Live(PULL, 7, "main", HEAD)
ASKER = Asker(ANN, Permission.MAINTAIN)
NEEDED = (Who(Permission.MAINTAIN),)
WRITERS = (Who(Permission.WRITE),)
APPROVED = Review(BOB, ReviewState.APPROVED, HEAD, NOW)
FACTS = DeployFacts(
    environment="production",
    is_known_environment=True,
    requires=frozenset(Requirement) - {Requirement.OTHER_APPROVAL},
    rules_adopted=True,
    merges=True,
    needs_ready=True,
    run_succeeded=True,
    model_digest="d1",
    staging_digest="d1",
    is_up_to_date=True,
    checks=(Check("ci", CheckState.SUCCESS),),
    approvals=Approvals((APPROVED,), {2: Permission.WRITE}, ANN),
)
OF_A_PERSON = Lock("env:7:production", "bob", "sale weekend", NOW, None, None)
OF_AN_OPERATION = Lock("env:7:production", "operation 5", "/deploy of bob", NOW, NOW, 5)


def pull(**changes: object) -> Live:
    return replace(LIVE, pull_request=replace(PULL, **changes))


def approvals(*reviews: Review, pusher: Actor | None = ANN, **permissions: Permission) -> DeployFacts:
    """`_3=Permission.READ`: what the reviewer with the id 3 may do."""
    known = {2: Permission.WRITE, 1: Permission.ADMIN} | {int(k[1:]): v for k, v in permissions.items()}
    return replace(FACTS, approvals=Approvals(reviews, known, pusher))


def code(decision: Decision) -> str:
    """The reason code, or `proceed`."""
    return decision.code.value if isinstance(decision, Reject) else "proceed"


def revision(version: str, digest: str, *, is_active: bool = False) -> RevisionRecord:
    return RevisionRecord(0, 7, "production", "churn", version, digest, HEAD, 1, 4, "ann", NOW, is_active)
