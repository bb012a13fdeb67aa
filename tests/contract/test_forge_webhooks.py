"""What the playground sends is what the webhook's door reads: signed (R1), parsed (R4, R7), and sent again (R3)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from tests.support import github_forge
from tests.support import playground as support
from tests.support.github_forge import Stage
from tests.support.playground import Received
from tests.support.servers.github_proxy import Fault

from kfops.domain.events import Commented, Event, Poked, PullRequestChanged
from kfops.playground.actions.repositories import add_hook
from kfops.playground.state import Hook
from kfops.ports.forge import CheckConclusion, CheckReport, Deliveries
from kfops.webhook.payloads import EVENTS, PayloadProblem, parse
from kfops.webhook.signature import is_signed

SECRET = "it is a secret"


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with github_forge.stage(tmp_path_factory.mktemp("webhooks")) as made:
        yield made


def _until(found: Callable[[], bool], what: str) -> None:
    ends = time.monotonic() + 20
    while not found():
        assert time.monotonic() < ends, what
        time.sleep(0.02)


def _events(received: list[Received]) -> list[Event]:
    found = []
    for one in received:
        assert is_signed(one.body, one.headers["x-hub-signature-256"], ["another", SECRET])
        assert not is_signed(one.body, one.headers["x-hub-signature-256"], ["another"])
        event = parse(one.event, one.body)
        assert not isinstance(event, PayloadProblem), event
        if event is not None:
            found.append(event)
    return found


def test_the_bot_understands_what_it_is_sent(stage: Stage) -> None:
    with support.receiver() as (url, received):
        hook = stage.world.playground.add_webhook(url, SECRET)
        tree, number, head = stage.world.with_pull("events")
        number_of = stage.world.playground.repository("ada/events").id
        forge = stage.forge()
        asked = stage.comment("events", number, "bob", "/build_run")
        forge.create_comment(number_of, number, "On it")
        pushed = tree.commit("topic", {"more.txt": "x\n"})
        forge.report_check(number_of, CheckReport("kfops", pushed, "t", "s", "op", CheckConclusion.SUCCESS))
        template, names = (
            "/repos/{owner}/{repo}/pulls/{pull_number}/reviews",
            {"owner": "ada", "repo": "events"},
        )
        body = {"event": "APPROVE"}
        stage.world.as_("cora")("POST", template, 200, body=body, pull_number=number, **names)
        template = "/repos/{owner}/{repo}/statuses/{sha}"
        stage.world.as_("bob")("POST", template, 201, body={"state": "success"}, sha=pushed, **names)
        forge.merge(number_of, number, sha=pushed, method="squash", title="T")
        _until(lambda: any(b'"action":"closed"' in one.body for one in received), "the merge was not told")
        hook.active = False
    events = _events(received)
    assert {one.event for one in received} >= set(EVENTS)
    commented = [one for one in events if isinstance(one, Commented)]
    said = commented[0]
    assert (said.comment.id, said.comment.author, said.pull_request) == (asked, stage.actor("bob"), number)
    assert [one.comment.author.is_human for one in commented] == [True, False]
    changed = [one for one in events if isinstance(one, PullRequestChanged)]
    assert [(one.action, one.head_sha, one.is_push) for one in changed] == [
        ("opened", head, True),
        ("synchronize", pushed, True),
        ("closed", pushed, False),
    ]
    assert (changed[-1].is_open, changed[-1].is_merged) == (False, True)
    assert {one.repository.id for one in events} == {number_of}
    poked = {one.reason: one for one in events if isinstance(one, Poked)}
    assert set(poked) == {"pull_request_review", "check_run", "check_suite", "status"}
    assert {one.commit_sha for one in poked.values()} == {pushed}
    assert poked["check_run"].pull_requests == (number,)


def _hook_of_the_app(stage: Stage, url: str) -> Hook:
    """Which is told of comments, there."""
    app = next(iter(stage.world.playground.state.apps.values()))
    hook = add_hook(stage.world.playground, url, SECRET, app_id=app.id, wanted=("issue_comment",))
    app.hook_id = hook.id
    return hook


def test_r3_failed_deliveries_are_sent_again(stage: Stage) -> None:
    before = stage.now() - timedelta(minutes=1)
    number_of, number, _ = stage.pull("lost")
    with support.receiver(500) as (url, lost):
        hook = _hook_of_the_app(stage, url)
        stage.comment("lost", number, "bob", "/status")
        _until(lambda: any(one.event == "issue_comment" for one in lost), "nothing was sent")
        _until(lambda: _failures(stage) > 0, "the failure was not noted")
    forge = stage.forge()
    deliveries: Deliveries = forge
    with support.receiver() as (url, received):
        hook.url = url
        assert deliveries.redeliver_failed(stage.now() + timedelta(minutes=1)).count == 0
        assert deliveries.redeliver_failed(before).count >= 1
        _until(lambda: any(one.event == "issue_comment" for one in received), "nothing was sent again")
        assert deliveries.redeliver_failed(before).count == 0
    again = next(one for one in received if one.event == "issue_comment")
    first = next(one for one in lost if one.event == "issue_comment")
    assert again.headers["x-github-delivery"] == first.headers["x-github-delivery"]
    assert again.body == first.body
    event = parse("issue_comment", again.body)
    assert isinstance(event, Commented)
    assert (event.repository.id, event.installation_id is not None) == (number_of, True)
    assert stage.with_token().redeliver_failed(before).count == 0


def test_r3_a_delivery_that_github_does_not_send_again_holds_up_no_other(stage: Stage) -> None:
    playground, before = stage.world.playground, stage.now() - timedelta(minutes=1)
    _, number, _ = stage.pull("gone")
    with support.receiver(500) as (url, _):
        hook = _hook_of_the_app(stage, url)
        for _one in range(3):
            stage.comment("gone", number, "bob", "/status")
        playground.outbox.settle()
    with support.receiver() as (url, received):
        hook.url = url
        forge = stage.forge()
        failed = [one for one in playground.state.deliveries.values() if one.hook_id == hook.id]
        stage.proxy.faults.append(Fault("POST", f"/app/hook/deliveries/{failed[0].id}/attempts", 404))
        assert forge.redeliver_failed(before).count == len(failed) - 1
        assert forge.redeliver_failed(before).count == 0
        playground.outbox.settle()
        hook.active = False
    assert len(received) == len(failed) - 1


def test_r3_a_delivery_that_fails_however_often_it_is_sent_is_given_up(stage: Stage) -> None:
    playground, before = stage.world.playground, stage.now() - timedelta(minutes=1)
    _, number, _ = stage.pull("hopeless")
    forge = stage.forge()
    with support.receiver(500) as (url, _):
        hook = _hook_of_the_app(stage, url)
        stage.comment("hopeless", number, "bob", "/status")
        for _round in range(8):
            playground.outbox.settle()
            forge.redeliver_failed(before)
        playground.outbox.settle()
        hook.active = False
    sent = [one for one in playground.state.deliveries.values() if one.hook_id == hook.id]
    assert len([one for one in sent if one.event == "issue_comment"]) == 1 + 5


def _failures(stage: Stage) -> int:
    found = stage.world.playground.state.deliveries.values()
    return sum(one.event == "issue_comment" and one.status not in {"pending", "OK"} for one in found)
