"""The gate table of the design for `/deploy` and `/staging_deploy`, row by row: each row takes one thing away."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.gates import (
    ANN,
    APP,
    APPROVED,
    ASKER,
    BOB,
    EVE,
    FACTS,
    HEAD,
    LIVE,
    NEEDED,
    NOW,
    OF_A_PERSON,
    OF_AN_OPERATION,
    OTHER,
    WRITERS,
    approvals,
    code,
    pull,
)

from kfops.config.who import Who
from kfops.domain.pull_request import Actor, Check, CheckState, Permission, Review, ReviewState
from kfops.rules import gate
from kfops.rules.gate import Asker, DeployFacts, Live, Requirement


def deploy(live: Live = LIVE, asker: Asker = ASKER, facts: DeployFacts = FACTS, needed=NEEDED) -> str:
    return code(gate.deploy(live, asker, needed, facts))


def again(live: Live = LIVE, asker: Asker = ASKER, facts: DeployFacts = FACTS) -> str:
    return code(gate.again(live, asker, NEEDED, facts, "/deploy"))


def without(*changes: tuple[str, object]) -> DeployFacts:
    return replace(FACTS, **dict(changes))


def test_a_deployment_of_which_everything_holds_may_proceed():
    assert deploy() == "proceed"
    assert again() == "proceed"


@pytest.mark.parametrize(
    ("asker", "expected"),
    [
        (Asker(APP, Permission.ADMIN), "not_human"),
        (Asker(APP, Permission.ADMIN, is_trusted_app=True), "proceed"),
        (Asker(APP, Permission.WRITE, is_trusted_app=True), "permission_denied"),
        (Asker(ANN, Permission.WRITE), "permission_denied"),
        (Asker(ANN, Permission.NONE), "permission_denied"),
        (Asker(ANN, Permission.UNKNOWN), "permission_unknown"),
        (Asker(ANN, Permission.ADMIN, teams=None), "permission_unknown"),
        (Asker(ANN, Permission.ADMIN), "proceed"),
    ],
)
def test_r5_r6_who_may_deploy(asker, expected):
    assert deploy(asker=asker) == expected
    assert again(asker=asker) == expected


LEADS = Who(Permission.READ, ("leads",))
OPS = Who(Permission.READ, ("ops",))


@pytest.mark.parametrize(
    ("needed", "asker", "expected"),
    [
        ((LEADS,), Asker(ANN, Permission.ADMIN), "permission_denied"),
        ((LEADS,), Asker(ANN, Permission.READ, frozenset({"leads"})), "proceed"),
        ((LEADS,), Asker(ANN, Permission.UNKNOWN, frozenset({"leads"})), "permission_unknown"),
        ((LEADS, OPS), Asker(ANN, Permission.ADMIN, frozenset({"leads"})), "permission_denied"),
        ((LEADS, OPS), Asker(ANN, Permission.READ, frozenset({"leads", "ops"})), "proceed"),
        # The operator's role beside the repository's team: both.
        (
            (LEADS, Who(Permission.MAINTAIN)),
            Asker(ANN, Permission.READ, frozenset({"leads"})),
            "permission_denied",
        ),
        ((LEADS, Who(Permission.MAINTAIN)), Asker(ANN, Permission.MAINTAIN), "permission_denied"),
        ((LEADS, Who(Permission.MAINTAIN)), Asker(ANN, Permission.MAINTAIN, frozenset({"leads"})), "proceed"),
    ],
)
def test_r6_every_team_and_role_that_is_asked_for_is_needed_and_none_makes_up_for_another(
    needed, asker, expected
):
    assert deploy(asker=asker, needed=needed) == expected


@pytest.mark.parametrize(
    ("live", "expected"),
    [
        (pull(is_open=False), "closed"),
        (pull(head_sha=OTHER), "superseded"),
        (replace(LIVE, comment_is_unchanged=False), "comment_changed"),
        (pull(head_repository_id=8), "fork"),
        (pull(head_repository_id=None), "fork"),
        (pull(is_draft=True), "draft"),
        (pull(base_ref="release"), "base_not_allowed"),
    ],
)
def test_r5_r8_r9_r10_what_the_pull_request_must_be_at_the_beginning_and_at_every_step(live, expected):
    assert deploy(live=live) == expected
    assert again(live=live) == expected


@pytest.mark.parametrize(
    ("live", "expected"),
    [
        (replace(LIVE, said_sha="c" * 12), "sha_mismatch"),
        (replace(LIVE, said_sha="a" * 12), "proceed"),
        (replace(LIVE, is_late=True), "needs_sha"),
        (replace(LIVE, is_late=True, said_sha="a" * 12), "proceed"),
        (replace(LIVE, is_late=True, said_sha="c" * 12), "sha_mismatch"),
    ],
)
def test_r7_which_commit_is_meant(live, expected):
    assert deploy(live=live) == expected


def test_r3_a_command_that_is_found_too_late_is_told_and_not_carried_out():
    assert deploy(live=replace(LIVE, is_stale=True)) == "too_late"


def test_r3_what_can_be_undone_is_carried_out_late_too():
    late = replace(LIVE, is_stale=True, is_late=True)

    assert code(gate.staging_deploy(late, ASKER, WRITERS, FACTS)) == "proceed"
    assert code(gate.run(late, ASKER, WRITERS, "/build_run")) == "proceed"


@pytest.mark.parametrize(("mergeable", "expected"), [(False, "not_mergeable"), (None, "not_mergeable")])
def test_a_pull_request_that_the_forge_will_not_merge_moves_no_traffic(mergeable, expected):
    assert deploy(live=pull(mergeable=mergeable)) == expected
    assert deploy(live=pull(mergeable=mergeable), facts=without(("merges", False))) == "proceed"


def test_r10_the_rules_branch_may_be_the_operators():
    assert deploy(live=replace(pull(base_ref="trusted"), rules_branch="trusted")) == "proceed"
    assert deploy(live=replace(LIVE, rules_branch="trusted")) == "base_not_allowed"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"rules_adopted": False}, "rules_not_adopted"),
        ({"policy_refusal": "not here"}, "policy"),
        ({"freeze": "sale weekend"}, "frozen"),
        ({"is_known_environment": False}, "environment_unknown"),
    ],
)
def test_r10_what_the_rules_and_the_policy_refuse(changes, expected):
    assert deploy(facts=replace(FACTS, **changes)) == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"lock": OF_A_PERSON}, "locked"),
        ({"lock": OF_AN_OPERATION}, "locked"),
        ({"lock": OF_AN_OPERATION, "own_lock_holder": "operation 5"}, "proceed"),
    ],
)
def test_r14_whose_lock_is_in_the_way(changes, expected):
    assert deploy(facts=replace(FACTS, **changes)) == expected
    assert again(facts=replace(FACTS, **changes)) == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"run_succeeded": False}, "no_run"),
        ({"model_digest": None}, "no_run"),
        ({"failed_gates": ("roc_auc 0.7 >= 0.8",)}, "metric_gate"),
        ({"staging_digest": "d0"}, "not_in_staging"),
        ({"staging_digest": None}, "not_in_staging"),
        ({"staging_digest": "d1"}, "proceed"),
        ({"serving_digest": "d1"}, "proceed"),  # promoted, and the merge is still to come
        ({"serving_digest": "d1", "merges": False}, "already_serving"),
    ],
)
def test_r13_which_model_may_serve(changes, expected):
    assert deploy(facts=replace(FACTS, **changes)) == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"is_up_to_date": False}, "out_of_date"),
        ({"is_up_to_date": None}, "out_of_date"),
        ({"changes_workflows": True}, "workflow_change"),
        ({"changes_workflows": True, "merges": False}, "proceed"),
    ],
)
def test_what_the_merge_needs(changes, expected):
    assert deploy(facts=replace(FACTS, **changes)) == expected


def test_the_base_moving_on_the_way_is_no_obstacle():
    assert again(facts=without(("is_up_to_date", False))) == "proceed"


@pytest.mark.parametrize(
    ("change", "expected"),
    [("policy_refusal", "policy"), ("freeze", "frozen"), ("rules_changed", "rules_changed")],
)
def test_r8_r10_what_the_operator_or_the_default_branch_takes_away_on_the_way_is_gone(change, expected):
    assert again(facts=without((change, "taken away"))) == expected


def test_r8_r10_only_what_may_come_from_anywhere_goes_on_from_another_base():
    assert again(pull(base_ref="release"), facts=without(("merges", False))) == "base_not_allowed"
    assert again(pull(base_ref="release"), facts=without(("needs_ready", False))) == "proceed"


def test_r8_rules_that_changed_on_the_way_are():
    assert again(facts=without(("rules_changed", True))) == "rules_changed"


@pytest.mark.parametrize(
    ("checks", "expected"),
    [
        (None, "checks_not_green"),
        ((Check("ci", CheckState.PENDING),), "checks_not_green"),
        ((Check("ci", CheckState.MISSING),), "checks_not_green"),
        ((Check("ci", CheckState.FAILURE),), "checks_not_green"),
        ((Check("ci", CheckState.SUCCESS), Check("lint", CheckState.FAILURE)), "checks_not_green"),
        ((), "proceed"),
    ],
)
def test_r8_r16_which_checks_let_it_through(checks, expected):
    assert deploy(facts=without(("checks", checks))) == expected
    assert again(facts=without(("checks", checks))) == expected


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (without(("approvals", None)), "not_approved"),
        (approvals(), "not_approved"),
        (approvals(replace(APPROVED, commit_sha=OTHER)), "not_approved"),
        (approvals(replace(APPROVED, reviewer=ANN)), "not_approved"),
        (approvals(APPROVED, pusher=BOB), "not_approved"),
        (approvals(APPROVED, pusher=None), "not_approved"),
        (approvals(APPROVED, _2=Permission.READ), "not_approved"),
        (approvals(APPROVED, _2=Permission.UNKNOWN), "not_approved"),
        (approvals(replace(APPROVED, reviewer=APP), _9=Permission.ADMIN), "not_approved"),
        (approvals(APPROVED, replace(APPROVED, state=ReviewState.DISMISSED)), "not_approved"),
        (approvals(APPROVED, replace(APPROVED, state=ReviewState.COMMENTED)), "proceed"),
        (approvals(replace(APPROVED, state=ReviewState.DISMISSED), APPROVED), "proceed"),
        (
            approvals(APPROVED, Review(EVE, ReviewState.CHANGES_REQUESTED, HEAD, NOW), _3=Permission.WRITE),
            "not_approved",
        ),
        # Who may not write cannot hold a deployment up either.
        (
            approvals(APPROVED, Review(EVE, ReviewState.CHANGES_REQUESTED, HEAD, NOW), _3=Permission.READ),
            "proceed",
        ),
        (
            approvals(
                replace(APPROVED, commit_sha=OTHER),
                Review(EVE, ReviewState.APPROVED, HEAD, NOW),
                _3=Permission.WRITE,
            ),
            "proceed",
        ),
    ],
)
def test_r6_r8_r8b_which_approvals_count(facts, expected):
    assert deploy(facts=facts) == expected
    assert again(facts=facts) == expected


def test_r6_the_one_who_asks_may_approve_unless_the_rules_want_another():
    asker = Asker(BOB, Permission.MAINTAIN)
    strict = without(("requires", FACTS.requires | {Requirement.OTHER_APPROVAL}))

    assert deploy(asker=asker) == "proceed"
    assert deploy(asker=asker, facts=strict) == "not_approved"
    assert deploy(facts=strict) == "proceed"


FORCEABLE = [
    ("up-to-date", {"is_up_to_date": False}, "out_of_date"),
    ("checks", {"checks": None}, "checks_not_green"),
    ("approval", {"approvals": None}, "not_approved"),
    ("staging", {"staging_digest": None}, "not_in_staging"),
    ("gates", {"failed_gates": ("roc_auc",)}, "metric_gate"),
]


@pytest.mark.parametrize(("name", "changes", "refused"), FORCEABLE)
def test_r19_force_skips_the_gate_that_it_names_and_no_other(name, changes, refused):
    broken = replace(FACTS, **changes)
    others = frozenset(one for one, _, _ in FORCEABLE if one != name)

    assert deploy(facts=broken) == refused
    assert deploy(facts=replace(broken, forced=frozenset({name}))) == "proceed"
    assert deploy(facts=replace(broken, forced=others)) == refused


ALL = frozenset(name for name, _, _ in FORCEABLE)


@pytest.mark.parametrize(
    ("live", "asker", "changes", "expected"),
    [
        (LIVE, Asker(ANN, Permission.WRITE), {}, "permission_denied"),
        (pull(head_sha=OTHER), ASKER, {}, "superseded"),
        (replace(LIVE, said_sha="c" * 12), ASKER, {}, "sha_mismatch"),
        (replace(LIVE, is_late=True), ASKER, {}, "needs_sha"),
        (replace(LIVE, comment_is_unchanged=False), ASKER, {}, "comment_changed"),
        (pull(head_repository_id=8), ASKER, {}, "fork"),
        (pull(base_ref="release"), ASKER, {}, "base_not_allowed"),
        (LIVE, ASKER, {"lock": OF_A_PERSON}, "locked"),
        (LIVE, ASKER, {"model_digest": None}, "no_run"),
        (LIVE, ASKER, {"freeze": "sale"}, "frozen"),
        (LIVE, ASKER, {"rules_adopted": False}, "rules_not_adopted"),
    ],
)
def test_r19_no_force_reaches_permission_commit_lock_or_policy(live, asker, changes, expected):
    assert deploy(live, asker, replace(FACTS, forced=ALL, **changes)) == expected


def test_staging_needs_a_run_and_a_writer_and_none_of_what_the_merge_needs():
    draft = pull(is_draft=True, base_ref="release", mergeable=False)
    writer = Asker(ANN, Permission.WRITE)
    open_to_all = without(("requires", frozenset()), ("merges", False))

    assert code(gate.staging_deploy(draft, writer, WRITERS, open_to_all)) == "proceed"
    assert code(gate.staging_deploy(draft, Asker(ANN, Permission.TRIAGE), WRITERS, open_to_all)) == (
        "permission_denied"
    )
    assert code(gate.staging_deploy(draft, writer, WRITERS, replace(open_to_all, run_succeeded=False))) == (
        "no_run"
    )
    assert (
        code(gate.staging_deploy(draft, writer, WRITERS, replace(open_to_all, lock=OF_A_PERSON))) == "locked"
    )
    gone = replace(draft, comment_is_unchanged=False)
    assert code(gate.staging_deploy(gone, writer, WRITERS, open_to_all)) == "comment_changed"


def test_r9_a_fork_is_never_deployed_anywhere_whatever_was_allowed():
    fork = replace(pull(head_repository_id=8), fork_allowed=True)

    assert deploy(live=fork) == "fork"
    assert code(gate.staging_deploy(fork, ASKER, WRITERS, FACTS)) == "fork"
    assert again(live=fork) == "fork"


def test_every_refusal_says_what_was_found_what_was_expected_and_what_mends_it():
    told = [
        gate.deploy(LIVE, Asker(Actor(4, "dan"), Permission.READ), NEEDED, FACTS),
        gate.deploy(replace(LIVE, comment_is_unchanged=False), ASKER, NEEDED, FACTS),
        *(gate.deploy(LIVE, ASKER, NEEDED, replace(FACTS, **changes)) for _, changes, _ in FORCEABLE),
        gate.deploy(LIVE, ASKER, NEEDED, without(("lock", OF_A_PERSON))),
        gate.deploy(LIVE, ASKER, NEEDED, without(("freeze", "sale weekend"))),
        gate.deploy(pull(is_draft=True), ASKER, NEEDED, FACTS),
    ]
    for one in told:
        assert isinstance(one, gate.Reject)
        assert all((one.sentence, one.found, one.expected, one.fix)), one
