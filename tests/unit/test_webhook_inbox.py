"""R2, R4: what a delivery becomes before anything is answered."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import pytest

from kfops.domain.events import Commented, Poked, PullRequestChanged
from kfops.domain.operation import Kind
from kfops.domain.pull_request import Actor, Comment, Repository
from kfops.ports.ledger import Arrival
from kfops.workflow.inbox import arrival_of

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
ADA = Actor(101, "ada")
CHURN = Repository(7, "ada/churn", "main", private=True, html_url="")


def arrived(event) -> Arrival:
    return arrival_of(event, name="any", delivery_id="d-1", body_digest="0f", now=NOW)


def said(body: str) -> Arrival:
    comment = Comment(id=77, author=ADA, body=body, created_at=NOW, updated_at=NOW, pull_request=5)
    return arrived(Commented(CHURN, 31, 5, comment))


@pytest.mark.parametrize(
    ("body", "kind", "key"),
    [
        ("/build", Kind.BUILD, "run:7:5"),
        ("/run", Kind.RUN, "run:7:5"),
        ("/build-run", Kind.BUILD_RUN, "run:7:5"),
        ("/staging_deploy", Kind.STAGING_DEPLOY, "rollout:7:staging"),
        ("/deploy", Kind.DEPLOY, "rollout:7:production"),
        ("/deploy blue", Kind.DEPLOY, "rollout:7:blue"),
        ('/rollback --reason "bad"', Kind.ROLLBACK, "rollback:7:production"),
        ("/canary abort", Kind.CANARY, "signal:7:77:0"),
        ("/cancel", Kind.CANCEL, "signal:7:77:0"),
        ("/plan /deploy", Kind.PLAN, "signal:7:77:0"),
        ("/status", Kind.STATUS, "signal:7:77:0"),
        ("/deploi", Kind.MISTAKE, "signal:7:77:0"),
    ],
)
def test_a_command_waits_only_behind_its_like(body, kind, key):
    [operation] = said(body).operations

    assert (operation.kind, operation.serial_key) == (kind, key)


def test_each_command_of_a_comment_is_an_operation_with_the_author_and_the_text_as_it_was():
    body = "Try this:\n/build\nand then\n/status\n"
    first, second = said(body).operations

    assert [first.subject.index, second.subject.index] == [0, 1]
    assert first.subject.author == ADA
    assert first.subject.command == {"kind": "build", "set": []}
    assert first.subject.body_hash == hashlib.sha256(body.encode()).hexdigest()
    assert second.serial_key == "signal:7:77:1"


@pytest.mark.parametrize("body", ["", "fine", "`/deploy`", "> /deploy", "<!-- /deploy -->", "see /deploy"])
def test_talk_is_no_command(body):
    assert said(body).operations == ()


def test_a_push_brings_the_head_and_wakes_what_waits():
    event = PullRequestChanged(
        CHURN, 31, 5, "synchronize", ADA, ADA, "a" * 40, 7, "main", "b" * 40, True, False, NOW
    )
    found = arrived(event)

    assert found.head is not None
    assert (found.head.head_sha, found.head.pushed_at, found.pokes, found.pull_request) == (
        "a" * 40,
        NOW,
        True,
        5,
    )


@pytest.mark.parametrize(("numbers", "pull_request"), [((5,), 5), ((), None), ((5, 6), None)])
def test_a_check_wakes_the_pull_request_that_it_names_or_all_of_them(numbers, pull_request):
    found = arrived(Poked(CHURN, 31, numbers, "a" * 40, "check_run"))

    assert (found.pokes, found.pull_request, found.operations) == (True, pull_request, ())


def test_what_means_nothing_is_stored_and_wakes_nobody():
    assert arrived(None) == Arrival("d-1", "any", "0f", NOW)
