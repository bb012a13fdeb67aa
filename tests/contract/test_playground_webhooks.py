"""Webhooks: signed, in order, and of GitHub's shape as githubkit knows it."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator

import pytest
from tests.support import playground as support
from tests.support.playground import Received, World

REPO = "/repos/{owner}/{repo}"
PULL = f"{REPO}/pulls/{{pull_number}}"
SECRET = "s3cret"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    support.description()
    with support.world(tmp_path_factory.mktemp("hooks")) as made:
        yield made


def _told(received: list[Received]) -> list[str]:
    return [
        f"{one.event}.{one.payload['action']}" if "action" in one.payload else one.event for one in received
    ]


def _play(world: World, name: str) -> None:
    """One of everything that is told."""
    at = {"owner": "ada", "repo": name}
    tree, number, head = world.with_pull(name)
    on, talk = {"pull_number": number, **at}, {"issue_number": number, **at}
    app = world.as_installation()
    comments = f"{REPO}/issues/{{issue_number}}/comments"
    comment = world.as_("rita")("POST", comments, 201, body={"body": "/help"}, **talk)
    one = {"comment_id": comment["id"], **at}
    world.as_("rita")("PATCH", f"{REPO}/issues/comments/{{comment_id}}", 200, body={"body": "/status"}, **one)
    world.call("DELETE", f"{REPO}/issues/comments/{{comment_id}}", 204, **one)
    app("POST", comments, 201, body={"body": "done"}, **talk)
    world.call("POST", f"{REPO}/issues/{{issue_number}}/labels", 200, body={"labels": ["bug"]}, **talk)
    world.call("DELETE", f"{REPO}/issues/{{issue_number}}/labels/{{name}}", 200, name="bug", **talk)
    world.call("PATCH", PULL, 200, body={"title": "Other"}, **on)
    review = world.call("POST", f"{PULL}/reviews", 200, body={"event": "APPROVE"}, **on)
    world.call("PUT", f"{PULL}/reviews/{review['id']}/dismissals", 200, body={"message": "no"}, **on)
    run = {"name": "kfops", "head_sha": head, "status": "in_progress"}
    made = app("POST", f"{REPO}/check-runs", 201, body=run, **at)
    app(
        "PATCH",
        f"{REPO}/check-runs/{{check_run_id}}",
        200,
        check_run_id=made["id"],
        body={"conclusion": "failure"},
        **at,
    )
    world.call("POST", f"{REPO}/statuses/{{sha}}", 201, sha=head, body={"state": "success"}, **at)
    tree.commit("topic", {"more": "x"})
    world.call("PATCH", PULL, 200, body={"state": "closed"}, **on)
    world.call("PATCH", PULL, 200, body={"state": "open"}, **on)
    from kfops.playground.actions import pulls
    from kfops.playground.roles import Caller

    repository = world.playground.repository(f"ada/{name}")
    with world.playground.lock:
        for draft in (True, False):
            pulls.set_draft(
                world.playground, repository, repository.pulls[number], draft, Caller(world.users["ada"])
            )
    world.call("PUT", f"{PULL}/merge", 200, body={"merge_method": "squash"}, **on)
    tree.git("push", "--quiet", "origin", ":topic")


def test_everything_is_told_signed_and_in_order(world: World) -> None:
    with support.receiver() as (url, received):
        world.playground.add_webhook(url, SECRET)
        _play(world, "told")
        world.playground.outbox.settle()
    assert _told(received) == [
        "ping",
        "push",
        "push",
        "pull_request.opened",
        "issue_comment.created",
        "issue_comment.edited",
        "issue_comment.deleted",
        "issue_comment.created",
        "pull_request.labeled",
        "pull_request.unlabeled",
        "pull_request.edited",
        "pull_request_review.submitted",
        "pull_request_review.dismissed",
        "check_run.created",
        "check_run.completed",
        "check_suite.completed",
        "status",
        "push",
        "pull_request.synchronize",
        "pull_request.closed",
        "pull_request.reopened",
        "pull_request.converted_to_draft",
        "pull_request.ready_for_review",
        "pull_request.closed",
        "push",
        "push",
    ]
    for one in received:
        digest = hmac.new(SECRET.encode(), one.body, hashlib.sha256).hexdigest()
        assert one.headers["x-hub-signature-256"] == f"sha256={digest}"
        assert one.headers["user-agent"].startswith("GitHub-Hookshot/")
    assert len({one.headers["x-github-delivery"] for one in received}) == len(received)
    merged = next(one.payload for one in received if one.payload.get("pull_request", {}).get("merged"))
    assert (merged["action"], merged["sender"]["login"]) == ("closed", "ada")
    moved = next(one.payload for one in received if one.payload.get("action") == "synchronize")
    assert (moved["after"], moved["sender"]["login"]) == (moved["pull_request"]["head"]["sha"], "ada")
    assert (
        next(one.payload for one in received if one.payload.get("action") == "edited")["changes"]["body"][
            "from"
        ]
        == "/help"
    )
    assert [one.payload["deleted"] for one in received if one.event == "push"] == [False] * 4 + [True]


def test_githubkit_reads_every_payload(world: World) -> None:
    webhooks = pytest.importorskip("githubkit.webhooks", reason="githubkit is not installed")
    from kfops.playground.actions.repositories import add_hook

    with support.receiver() as (url, received):
        with world.playground.lock:
            add_hook(world.playground, url, SECRET, app_id=world.app_id)
        _play(world, "parsed")
        world.playground.outbox.settle()
    for one in received:
        parsed = webhooks.parse(one.event, one.body)
        if one.event != "ping":
            assert parsed.installation.id > 0
            assert parsed.repository.full_name == "ada/parsed"
    assert len(received) > 20


def test_a_hook_hears_only_what_it_asked_for(world: World) -> None:
    world.repository("quiet")
    other = world.repository("loud")
    with support.receiver() as (url, received):
        body = {"config": {"url": url, "secret": SECRET}, "events": ["issue_comment"]}
        world.call("POST", f"{REPO}/hooks", 201, owner="ada", repo="loud", body=body)
        for name in ("quiet", "loud"):
            world.clone(name).commit("main", {"a": "b"})
        world.playground.outbox.settle()
        assert _told(received) == ["ping"]
        assert received[0].payload["repository"]["id"] == other.id


def test_a_receiver_that_is_away_is_recorded(world: World) -> None:
    world.repository("away")
    with support.receiver() as (url, _):
        pass
    hook = world.playground.add_webhook(url, SECRET, repo="ada/away")
    world.playground.outbox.settle()
    found = world.call(
        "GET", f"{REPO}/hooks/{{hook_id}}/deliveries", 200, owner="ada", repo="away", hook_id=hook.id
    )
    assert [(one["event"], one["status"], one["status_code"]) for one in found] == [
        ("ping", "failed to connect to host", 0)
    ]
