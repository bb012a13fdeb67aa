"""R4, R5, R7: what GitHub's deliveries mean to the bot."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfops.domain.events import Commented, Poked, PullRequestChanged
from kfops.domain.pull_request import Actor, Comment, Head, Repository
from kfops.webhook.payloads import EVENTS, PayloadProblem, parse

SHA, BASE, BEFORE = "a" * 40, "b" * 40, "c" * 40
AT = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
ADA = Actor(101, "ada")
CHURN = Repository(7, "ada/churn", "main", private=True, html_url="https://github.com/ada/churn")


def _user(number: int, login: str, kind: str = "User") -> dict[str, Any]:
    api = f"https://api.github.com/users/{login}"
    return {
        "login": login,
        "id": number,
        "node_id": "MDQ6VXNlcjE=",
        "avatar_url": f"https://avatars.githubusercontent.com/u/{number}?v=4",
        "gravatar_id": "",
        "url": api,
        "html_url": f"https://github.com/{login}",
        "events_url": f"{api}/events{{/privacy}}",
        "type": kind,
        "user_view_type": "public",
        "site_admin": False,
    }


def _common() -> dict[str, Any]:
    repository = {
        "id": 7,
        "node_id": "R_kgDOABCDEF",
        "name": "churn",
        "full_name": "ada/churn",
        "private": True,
        "owner": _user(101, "ada"),
        "html_url": "https://github.com/ada/churn",
        "description": None,
        "fork": False,
        "default_branch": "main",
        "topics": [],
        "visibility": "private",
    }
    installation = {"id": 31, "node_id": "MDIzOkludGVncmF0aW9u"}
    return {"repository": repository, "sender": _user(101, "ada"), "installation": installation}


def _issue_comment() -> dict[str, Any]:
    api = "https://api.github.com/repos/ada/churn"
    return {
        "action": "created",
        "issue": {
            "url": f"{api}/issues/5",
            "id": 900,
            "node_id": "PR_kwDO",
            "number": 5,
            "title": "Better features",
            "user": _user(102, "bob"),
            "labels": [],
            "state": "open",
            "locked": False,
            "comments": 3,
            "author_association": "COLLABORATOR",
            "draft": False,
            "pull_request": {
                "url": f"{api}/pulls/5",
                "html_url": "https://github.com/ada/churn/pull/5",
                "diff_url": "https://github.com/ada/churn/pull/5.diff",
                "patch_url": "https://github.com/ada/churn/pull/5.patch",
                "merged_at": None,
            },
            "body": None,
            "performed_via_github_app": None,
            "state_reason": None,
        },
        "comment": {
            "url": f"{api}/issues/comments/77",
            "html_url": "https://github.com/ada/churn/pull/5#issuecomment-77",
            "issue_url": f"{api}/issues/5",
            "id": 77,
            "node_id": "IC_kwDO",
            "user": _user(101, "ada"),
            "created_at": "2026-11-21T09:30:00Z",
            "updated_at": "2026-11-21T09:30:00Z",
            "author_association": "OWNER",
            "body": "/build_run\r\n",
            "reactions": {"url": f"{api}/issues/comments/77/reactions", "total_count": 0, "eyes": 0},
            "performed_via_github_app": None,
        },
        **_common(),
    }


def _pull_request(action: str = "synchronize") -> dict[str, Any]:
    return {
        "action": action,
        "number": 5,
        "pull_request": {
            "url": "https://api.github.com/repos/ada/churn/pulls/5",
            "id": 900,
            "number": 5,
            "state": "open",
            "title": "Better features",
            "user": _user(102, "bob"),
            "draft": False,
            "merged": False,
            "mergeable": None,
            "merge_commit_sha": None,
            "updated_at": "2026-11-21T09:30:00Z",
            "head": {"label": "bob:topic", "ref": "topic", "sha": SHA, "repo": {"id": 8, "name": "churn"}},
            "base": {"label": "ada:main", "ref": "main", "sha": BASE, "repo": {"id": 7, "name": "churn"}},
        },
        "before": BEFORE,
        "after": SHA,
        **_common(),
    }


def _with(sample: dict[str, Any], **changes: Any) -> bytes:
    """`a__b=1` sets sample["a"]["b"]; `...` takes it out."""
    made = copy.deepcopy(sample)
    for path, value in changes.items():
        *outer, last = path.split("__")
        at = made
        for name in outer:
            at = at[name]
        if value is ...:
            at.pop(last, None)
        else:
            at[last] = value
    return json.dumps(made).encode()


def test_r4_a_comment_on_an_open_pull_request() -> None:
    comment = Comment(77, ADA, "/build_run\r\n", AT, AT, pull_request=5)
    assert parse("issue_comment", _with(_issue_comment())) == Commented(CHURN, 31, 5, comment)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"action": "edited"}, id="edited"),
        pytest.param({"action": "deleted"}, id="deleted"),
        pytest.param({"action": "pinned"}, id="an action of tomorrow"),
        pytest.param({"issue__state": "closed"}, id="closed"),
        pytest.param({"issue__pull_request": ...}, id="an issue"),
        pytest.param({"issue__pull_request": None}, id="an issue, said with null"),
    ],
)
def test_r4_other_comments_are_no_event(changes: dict[str, Any]) -> None:
    assert parse("issue_comment", _with(_issue_comment(), **changes)) is None


@pytest.mark.parametrize(
    ("user", "author"),
    [
        pytest.param(_user(9, "kfops[bot]", "Bot"), Actor(9, "kfops[bot]", is_human=False), id="a bot"),
        pytest.param(
            _user(9, "acme", "Organization"), Actor(9, "acme", is_human=False), id="an organisation"
        ),
        pytest.param(_user(9, "eve", "Mannequin"), Actor(9, "eve", is_human=False), id="a mannequin"),
        pytest.param({"id": 9, "login": "eve"}, Actor(9, "eve"), id="no type"),
        pytest.param(None, Actor(0, "ghost", is_human=False), id="an account that is gone"),
    ],
)
def test_r5_who_is_human(user: dict[str, Any] | None, author: Actor) -> None:
    found = parse("issue_comment", _with(_issue_comment(), comment__user=user))
    assert isinstance(found, Commented)
    assert found.comment.author == author


def test_fields_that_github_may_omit() -> None:
    found = parse("issue_comment", _with(_issue_comment(), installation=..., comment__body=None))
    assert isinstance(found, Commented)
    assert (found.installation_id, found.comment.body) == (None, "")
    found = parse("issue_comment", _with(_issue_comment(), repository__private=..., repository__html_url=...))
    assert isinstance(found, Commented)
    assert found.repository == Repository(7, "ada/churn", "main")


def test_r7_a_pull_request_carries_its_head() -> None:
    found = parse("pull_request", _with(_pull_request()))
    assert found == PullRequestChanged(
        repository=CHURN,
        installation_id=31,
        number=5,
        action="synchronize",
        sender=ADA,
        author=Actor(102, "bob"),
        head_sha=SHA,
        head_repository_id=8,
        base_ref="main",
        base_sha=BASE,
        is_open=True,
        is_merged=False,
        updated_at=AT,
        before_sha=BEFORE,
    )
    assert isinstance(found, PullRequestChanged)
    assert found.head(AT) == Head(SHA, BASE, "main", 8, ADA, AT, AT, AT, BEFORE)


@pytest.mark.parametrize(
    ("action", "is_push"),
    [("opened", True), ("synchronize", True), ("reopened", False), ("labeled", False), ("edited", False)],
)
def test_r6_only_a_push_names_the_pusher(action: str, is_push: bool) -> None:
    found = parse("pull_request", _with(_pull_request(action)))
    assert isinstance(found, PullRequestChanged)
    assert (found.action, found.is_push) == (action, is_push)


def test_a_pull_request_whose_fork_is_gone_and_one_that_is_merged() -> None:
    found = parse("pull_request", _with(_pull_request("closed"), pull_request__head__repo=None))
    assert isinstance(found, PullRequestChanged)
    assert found.head_repository_id is None
    merged = {"pull_request__state": "closed", "pull_request__merged": True, "pull_request__user": None}
    found = parse("pull_request", _with(_pull_request("closed"), **merged))
    assert isinstance(found, PullRequestChanged)
    assert (found.is_open, found.is_merged, found.author.login) == (False, True, "ghost")


_SIDE = {"sha": SHA, "ref": "topic", "repo": {"id": 8}}
_RUN = {
    "id": 1,
    "name": "tests",
    "head_sha": SHA,
    "pull_requests": [{"id": 900, "number": 5}],
    "app": {"id": 1},
}


@pytest.mark.parametrize(
    ("event", "body", "numbers"),
    [
        ("pull_request_review", {"action": "submitted", "pull_request": {"number": 5, "head": _SIDE}}, (5,)),
        ("check_run", {"action": "completed", "check_run": _RUN}, (5,)),
        ("check_run", {"action": "completed", "check_run": {**_RUN, "pull_requests": []}}, ()),
        ("check_suite", {"action": "completed", "check_suite": {**_RUN, "pull_requests": None}}, ()),
        ("check_suite", {"action": "completed", "check_suite": {"head_sha": SHA}}, ()),
        ("status", {"sha": SHA, "state": "success", "context": "ci"}, ()),
    ],
)
def test_r4_the_others_only_poke(event: str, body: dict[str, Any], numbers: tuple[int, ...]) -> None:
    found = parse(event, json.dumps({**body, **_common()}).encode())
    assert found == Poked(CHURN, 31, numbers, SHA, event)


@pytest.mark.parametrize("event", ["ping", "push", "installation", "star", "", "issue_comment2", "__class__"])
def test_deliveries_that_mean_nothing(event: str) -> None:
    assert parse(event, b"{}") is None
    assert parse(event, b"\xff not even JSON") is None


@pytest.mark.parametrize(
    ("body", "told"),
    [
        pytest.param(b"", "no JSON", id="empty"),
        pytest.param(b"payload=%7B%7D", "content type to application/json", id="form"),
        pytest.param(b"\xff\xfe", "no JSON", id="not UTF-8"),
        pytest.param(b"[" * 100_000, "no JSON", id="deep"),
        pytest.param(b"[]", "the body: Input should be an object", id="a list"),
        pytest.param(b"null", "the body: Input should be an object", id="null"),
        pytest.param(b"{}", "repository: Field required", id="nothing in it"),
        pytest.param(_with(_issue_comment(), issue__number=0), "issue.number", id="zero"),
        pytest.param(_with(_issue_comment(), issue__number=2**63), "issue.number", id="a huge number"),
        pytest.param(_with(_issue_comment(), issue__state="ajar"), "issue.state", id="a state of tomorrow"),
        pytest.param(_with(_issue_comment(), comment__id="x"), "comment.id", id="not a number"),
        pytest.param(_with(_issue_comment(), comment__body="\ud800"), "hex escape", id="half a character"),
        pytest.param(
            _with(_issue_comment(), comment__created_at="2026-11-21T09:30:00"), "timezone", id="no zone"
        ),
        pytest.param(_with(_issue_comment(), comment__created_at="noon"), "comment.created_at", id="no time"),
        pytest.param(_with(_issue_comment(), repository__full_name="churn"), "full_name", id="no owner"),
        pytest.param(_with(_issue_comment(), repository__full_name="a/b/../c"), "full_name", id="a path"),
    ],
)
def test_payloads_that_are_not_githubs(body: bytes, told: str) -> None:
    found = parse("issue_comment", body)
    assert isinstance(found, PayloadProblem)
    assert told in found.message
    assert len(found.message) < 1000


def test_a_head_that_is_no_commit_is_a_problem() -> None:
    found = parse("pull_request", _with(_pull_request(), pull_request__head__sha="main; rm -rf /"))
    assert isinstance(found, PayloadProblem)
    assert "rm -rf" not in found.message


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(
    event=st.sampled_from(EVENTS),
    key=st.sampled_from(["issue", "comment", "pull_request", "repository", "sha"]),
    value=JSON,
)
def test_no_payload_raises(event: str, key: str, value: Any) -> None:
    found = parse(event, json.dumps({**_issue_comment(), **_pull_request(), key: value}).encode())
    assert found is None or isinstance(found, Commented | PullRequestChanged | Poked | PayloadProblem)


@given(raw=st.binary(max_size=50))
def test_no_bytes_raise(raw: bytes) -> None:
    for event in EVENTS:
        assert isinstance(parse(event, raw), PayloadProblem)


@pytest.mark.parametrize(
    "change",
    [
        {"repository__full_name": f"ada/{'c' * 255}"},
        {"repository__full_name": "ada/chu\x00rn"},
        {"repository__default_branch": "m" * 256},
        {"sender__login": "eve\x00"},
        {"pull_request__base__ref": "\x00"},
    ],
)
def test_names_that_no_database_keeps_are_a_problem(change: dict[str, Any]) -> None:
    assert isinstance(parse("pull_request", _with(_pull_request(), **change)), PayloadProblem)
