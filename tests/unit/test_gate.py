"""The gate table of the design, row by row. Every row changes one fact of a deployment that may proceed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from kfops.domain.pull_request import (
    Actor,
    Check,
    CheckState,
    Permission,
    PullRequest,
    Review,
    ReviewState,
)
from kfops.domain.record import Lock
from kfops.rules import gate
from kfops.rules.gate import Approvals, Asker, DeployFacts, Live, Needed, Proceed, Reject, Requirement
from kfops.rules.reasons import MEANING, ReasonCode

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
HEAD, OTHER = "a" * 40, "b" * 40
ANN, BOB, EVE = Actor(1, "ann"), Actor(2, "bob"), Actor(3, "eve")
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
NEEDED = Needed(Permission.MAINTAIN)
APPROVED = Review(BOB, ReviewState.APPROVED, HEAD, NOW)
FACTS = DeployFacts(
    environment="production",
    is_known_environment=True,
    requires=frozenset(Requirement),
    rules_adopted=True,
    merges=True,
    run_succeeded=True,
    model_digest="d1",
    staging_digest="d1",
    is_up_to_date=True,
    checks=(Check("ci", CheckState.SUCCESS),),
    approvals=Approvals((APPROVED,), {2: Permission.WRITE}, ANN),
)


def deploy(live: Live = LIVE, asker: Asker = ASKER, facts: DeployFacts = FACTS) -> str:
    match gate.deploy(live, asker, NEEDED, facts, "/deploy"):
        case Proceed():
            return "proceed"
        case Reject(code=code):
            return code.value


def pull(**changes: object) -> Live:
    return replace(LIVE, pull_request=replace(PULL, **changes))


def approvals(*reviews: Review, pusher: Actor = ANN, **permissions: Permission) -> DeployFacts:
    known = {2: Permission.WRITE, 1: Permission.ADMIN} | {int(k[1:]): v for k, v in permissions.items()}
    return replace(FACTS, approvals=Approvals(reviews, known, pusher))


def test_a_deployment_of_which_everything_holds_may_proceed():
    assert deploy() == "proceed"


@pytest.mark.parametrize(
    ("asker", "expected"),
    [
        (Asker(Actor(9, "app", is_human=False), Permission.ADMIN), "not_human"),
        (Asker(ANN, Permission.WRITE), "permission_denied"),
        (Asker(ANN, Permission.UNKNOWN), "permission_unknown"),
        (Asker(ANN, Permission.ADMIN), "proceed"),
    ],
)
def test_r5_r6_who_may_deploy(asker, expected):
    assert deploy(asker=asker) == expected


def test_r6_a_team_replaces_the_role():
    outside = gate.steer(Asker(ANN, Permission.ADMIN), Needed(Permission.READ, ("leads",)), "/deploy")
    inside = gate.steer(
        Asker(ANN, Permission.READ, frozenset({"leads"})), Needed(Permission.READ, ("leads",)), "/deploy"
    )

    assert isinstance(outside, Reject)
    assert outside.code is ReasonCode.PERMISSION_DENIED
    assert isinstance(inside, Proceed)


@pytest.mark.parametrize(
    ("live", "expected"),
    [
        (pull(is_open=False), "closed"),
        (pull(head_sha=OTHER), "superseded"),
        (replace(LIVE, said_sha="c" * 12), "sha_mismatch"),
        (replace(LIVE, said_sha="a" * 12), "proceed"),
        (replace(LIVE, comment_is_unchanged=False), "comment_changed"),
        (replace(LIVE, is_recovered_late=True), "too_late"),
        (replace(LIVE, is_late=True), "needs_sha"),
        (replace(LIVE, is_late=True, said_sha="a" * 12), "proceed"),
        (pull(head_repository_id=8), "fork"),
        (pull(head_repository_id=None), "fork"),
        (pull(is_draft=True), "draft"),
        (pull(base_ref="release"), "base_not_allowed"),
        (pull(mergeable=False), "not_mergeable"),
        (pull(mergeable=None), "not_mergeable"),
    ],
)
def test_r3_r5_r7_r8_r9_r10_what_the_pull_request_must_be(live, expected):
    assert deploy(live=live) == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"rules_adopted": False}, "rules_not_adopted"),
        ({"policy_refusal": "not here"}, "policy"),
        ({"is_known_environment": False}, "environment_unknown"),
        ({"lock": Lock("env:7:production", "bob", "", NOW, None, None)}, "locked"),
        ({"run_succeeded": False}, "no_run"),
        ({"model_digest": None}, "no_run"),
        ({"failed_gates": ("roc_auc 0.7 >= 0.8",)}, "metric_gate"),
        ({"changes_workflows": True}, "workflow_change"),
        ({"is_up_to_date": False}, "out_of_date"),
        ({"is_up_to_date": None}, "out_of_date"),
        ({"checks": None}, "checks_not_green"),
        ({"checks": (Check("ci", CheckState.PENDING),)}, "checks_not_green"),
        ({"checks": (Check("ci", CheckState.MISSING),)}, "checks_not_green"),
        ({"checks": ()}, "proceed"),
        ({"approvals": None}, "not_approved"),
        ({"staging_digest": "d0"}, "not_in_staging"),
        ({"staging_digest": None}, "not_in_staging"),
        ({"is_up_to_date": False, "forced": frozenset({"up-to-date"})}, "proceed"),
        ({"model_digest": None, "forced": frozenset({"gates", "staging", "checks"})}, "no_run"),
    ],
)
def test_r10_r13_r16_r19_what_a_deployment_needs(changes, expected):
    assert deploy(facts=replace(FACTS, **changes)) == expected


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (approvals(), "not_approved"),
        (approvals(replace(APPROVED, commit_sha=OTHER)), "not_approved"),
        (approvals(replace(APPROVED, reviewer=ANN)), "not_approved"),
        (approvals(APPROVED, pusher=BOB), "not_approved"),
        (approvals(APPROVED, _2=Permission.READ), "not_approved"),
        (approvals(APPROVED, replace(APPROVED, state=ReviewState.DISMISSED)), "not_approved"),
        (approvals(APPROVED, replace(APPROVED, state=ReviewState.COMMENTED)), "proceed"),
        (
            approvals(APPROVED, Review(EVE, ReviewState.CHANGES_REQUESTED, HEAD, NOW), _3=Permission.WRITE),
            "not_approved",
        ),
    ],
)
def test_r6_r8b_which_approvals_count(facts, expected):
    assert deploy(facts=facts) == expected


def test_r9_a_fork_runs_only_after_ok_to_test_and_is_never_deployed():
    fork = pull(head_repository_id=8)

    refused = gate.run(fork, ASKER, Needed(), "/build_run")
    assert isinstance(refused, Reject)
    assert refused.code is ReasonCode.FORK_NEEDS_OK
    assert refused.fix == f"`/ok-to-test {HEAD}`"
    assert isinstance(gate.run(replace(fork, fork_allowed=True), ASKER, Needed(), "/build_run"), Proceed)
    assert deploy(live=replace(fork, fork_allowed=True)) == "fork"


def test_r20_a_rollback_skips_order_and_review_but_not_the_lock():
    lock = Lock("env:7:production", "bob", "incident", NOW, None, None)

    free = gate.rollback(ASKER, Needed(), None, "operation 1", has_revision=True, revision="2")
    locked = gate.rollback(ASKER, Needed(), lock, "operation 1", has_revision=True, revision="2")
    nothing = gate.rollback(ASKER, Needed(), None, "operation 1", has_revision=False, revision="2")
    assert isinstance(free, Proceed)
    assert isinstance(locked, Reject)
    assert locked.code is ReasonCode.LOCKED
    assert isinstance(nothing, Reject)
    assert nothing.code is ReasonCode.NO_REVISION


def test_every_reason_code_has_a_meaning():
    assert set(MEANING) == set(ReasonCode)
