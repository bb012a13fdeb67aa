"""The gate table of the design for every other command."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.gates import (
    ANN,
    APP,
    ASKER,
    HEAD,
    LIVE,
    OF_A_PERSON,
    OF_AN_OPERATION,
    OTHER,
    WRITERS,
    code,
    pull,
    revision,
)

from kfops.config.who import Who
from kfops.domain.operation import Kind
from kfops.domain.pull_request import Permission
from kfops.rules import gate
from kfops.rules.gate import Asker, Reject
from kfops.rules.reasons import MEANING, ReasonCode

READER = Asker(ANN, Permission.READ)
BEFORE = revision("2", "d2")
PLACES = ("staging", "production")


def run(live=LIVE, asker=ASKER):
    return code(gate.run(live, asker, WRITERS, "/build_run"))


def rollback(live=LIVE, asker=ASKER, lock=None, target=BEFORE, **told):
    return code(gate.rollback(live, asker, WRITERS, lock, "operation 1", target=target, **told))


def test_whoever_may_read_may_ask_what_is_so():
    assert code(gate.read(READER, (), "/status")) == "proceed"
    assert code(gate.read(Asker(ANN, Permission.NONE), (), "/status")) == "permission_denied"
    assert code(gate.read(Asker(ANN, Permission.UNKNOWN), (), "/status")) == "permission_unknown"
    assert code(gate.read(Asker(APP, Permission.ADMIN), (), "/status")) == "not_human"


@pytest.mark.parametrize(
    ("live", "asker", "expected"),
    [
        (LIVE, ASKER, "proceed"),
        (LIVE, READER, "permission_denied"),
        (pull(is_open=False), ASKER, "closed"),
        (pull(head_sha=OTHER), ASKER, "superseded"),
        (pull(is_draft=True, base_ref="release"), ASKER, "proceed"),
        (replace(LIVE, is_late=True, is_stale=True), ASKER, "proceed"),
    ],
)
def test_r6_r7_what_a_run_needs(live, asker, expected):
    assert run(live, asker) == expected


def test_r9_a_fork_runs_only_at_the_commit_that_was_allowed():
    fork = pull(head_repository_id=8)

    refused = gate.run(fork, ASKER, WRITERS, "/build_run")
    assert isinstance(refused, Reject)
    assert refused.code is ReasonCode.FORK_NEEDS_OK
    assert refused.fix == f"`/ok-to-test {HEAD}`"
    assert run(replace(fork, fork_allowed=True)) == "proceed"
    assert run(pull(head_repository_id=None)) == "fork_needs_ok"


@pytest.mark.parametrize(
    ("asker", "sha", "live", "expected"),
    [
        (ASKER, HEAD, LIVE, "proceed"),
        (READER, HEAD, LIVE, "permission_denied"),
        (ASKER, OTHER, LIVE, "sha_mismatch"),
        (ASKER, HEAD, pull(head_sha=OTHER), "superseded"),
        (ASKER, HEAD, pull(is_open=False), "closed"),
    ],
)
def test_r9_who_may_allow_which_commit_of_a_fork(asker, sha, live, expected):
    assert code(gate.ok_to_test(live, asker, (), sha)) == expected


def test_r9_a_repository_cannot_let_readers_allow_forks():
    assert gate.floor(Kind.OK_TO_TEST) == (Who(Permission.WRITE),)
    assert code(gate.ok_to_test(LIVE, READER, (Who(Permission.READ),), HEAD)) == "permission_denied"


@pytest.mark.parametrize(
    "live",
    [
        pull(head_sha=OTHER),
        pull(is_open=False),
        pull(is_draft=True),
        pull(base_ref="release"),
        pull(mergeable=False),
        pull(head_repository_id=8),
        replace(LIVE, is_late=True),
    ],
)
def test_r20_a_rollback_skips_order_and_review_and_the_state_of_the_pull_request(live):
    assert rollback(live) == "proceed"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"asker": READER}, "permission_denied"),
        ({"live": replace(LIVE, comment_is_unchanged=False)}, "comment_changed"),
        ({"live": replace(LIVE, is_stale=True)}, "too_late"),
        ({"lock": OF_A_PERSON}, "locked"),
        ({"policy_refusal": "not granted"}, "policy"),
        ({"target": None}, "no_revision"),
    ],
)
def test_r3_r5_r14_r20_what_a_rollback_never_skips(changes, expected):
    assert rollback(**changes) == expected


def test_a_rollback_to_nothing_names_what_there_is():
    refused = gate.rollback(LIVE, ASKER, WRITERS, None, "", target=None, wanted="7", recorded=("3", "2"))

    assert isinstance(refused, Reject)
    assert (refused.found, refused.expected, refused.fix) == ("7", "one of 3, 2", "`--to 3`")


def test_a_rollout_is_steered_where_there_is_one():
    assert code(gate.canary(ASKER, WRITERS, is_under_way=True)) == "proceed"
    assert code(gate.canary(ASKER, WRITERS, is_under_way=False)) == "no_rollout"
    assert code(gate.canary(READER, WRITERS, is_under_way=True)) == "permission_denied"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [({}, "proceed"), ({"is_stale": True}, "too_late"), ({"comment_is_unchanged": False}, "comment_changed")],
)
def test_r3_r5_a_promotion_by_hand_needs_a_comment_that_is_fresh_and_as_it_was_read(changes, expected):
    here = replace(LIVE, **changes)
    assert code(gate.canary(ASKER, WRITERS, is_under_way=True, promoted=here)) == expected


def test_r3_what_names_nothing_and_is_found_late_may_mean_something_else_by_now():
    assert code(gate.cancel(ASKER, WRITERS, stoppable=1, is_stale=True)) == "too_late"
    held = gate.unlock(ASKER, WRITERS, OF_A_PERSON, name="production", known=PLACES, is_stale=True)
    assert code(held) == "too_late"


def test_something_is_cancelled_where_there_is_something():
    assert code(gate.cancel(ASKER, WRITERS, stoppable=1)) == "proceed"
    assert code(gate.cancel(READER, WRITERS, stoppable=1)) == "permission_denied"
    refused = gate.cancel(ASKER, WRITERS, stoppable=0, too_late=["operation 4: it is past that"])
    assert isinstance(refused, Reject)
    assert (refused.code, refused.found) == (ReasonCode.NOTHING_TO_CANCEL, "operation 4: it is past that")


@pytest.mark.parametrize(
    ("held", "asker", "name", "expected"),
    [
        (None, ASKER, "production", "proceed"),
        (None, READER, "production", "permission_denied"),
        (None, ASKER, "prodution", "environment_unknown"),
        (OF_A_PERSON, ASKER, "production", "locked"),
        (replace(OF_A_PERSON, holder="ann"), ASKER, "production", "proceed"),
        (OF_AN_OPERATION, ASKER, "production", "locked"),
    ],
)
def test_r14_who_may_take_a_lock(held, asker, name, expected):
    assert code(gate.lock(asker, WRITERS, held, name=name, known=PLACES)) == expected


@pytest.mark.parametrize(
    ("held", "asker", "name", "expected"),
    [
        (None, ASKER, "production", "proceed"),
        (OF_A_PERSON, ASKER, "production", "proceed"),
        (OF_A_PERSON, READER, "production", "permission_denied"),
        (OF_AN_OPERATION, ASKER, "production", "locked"),
        (None, ASKER, "prodution", "environment_unknown"),
        (OF_A_PERSON, ASKER, "an-environment-that-is-gone", "proceed"),
    ],
)
def test_r14_whose_lock_may_be_let_go(held, asker, name, expected):
    assert code(gate.unlock(asker, WRITERS, held, name=name, known=PLACES)) == expected


def test_every_reason_code_has_a_meaning():
    assert set(MEANING) == set(ReasonCode)
