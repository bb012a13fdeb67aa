"""The door under fire: whatever is sent, signed or not, is answered below 500, and what is stored is whole.

Requests come from the service's own OpenAPI description (schemathesis) and from what GitHub sends, bent out of shape
(hypothesis); the app and its ledger are the real ones, in this process.
"""

from __future__ import annotations

import asyncio
import json
from copy import deepcopy
from datetime import UTC, datetime

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.generation import GenerationMode

from kfops.adapters.sql.ledger import SqlLedger
from kfops.domain.events import Commented, Poked, PullRequestChanged
from kfops.webhook.app import create_app
from kfops.webhook.payloads import EVENTS, PayloadProblem, parse
from kfops.webhook.signature import sign

SECRET = "a secret of the webhook's"
SHA = "5f3c" * 10
USER = {"id": 101, "login": "ada", "type": "User"}
REPOSITORY = {"id": 7, "full_name": "ada/churn", "default_branch": "main", "private": False, "html_url": ""}
SIDE = {"sha": SHA, "ref": "main", "repo": {"id": 7}}
MOMENT = "2026-11-21T09:00:00Z"
COMMON = {"repository": REPOSITORY, "installation": {"id": 31}}
PULL = {"number": 5, "state": "open", "user": USER, "head": SIDE, "base": SIDE, "updated_at": MOMENT}
CHECKED = {"head_sha": SHA, "pull_requests": [{"number": 5}]}
COMMENT = {"id": 77, "user": USER, "body": "/build_run", "created_at": MOMENT, "updated_at": MOMENT}
DELIVERIES = {
    "issue_comment": {
        **COMMON,
        "action": "created",
        "issue": {"number": 5, "state": "open", "pull_request": {}},
        "comment": COMMENT,
    },
    "pull_request": {
        **COMMON,
        "action": "synchronize",
        "pull_request": PULL,
        "sender": USER,
        "before": SHA,
    },
    "pull_request_review": {**COMMON, "pull_request": {"number": 5, "head": SIDE}},
    "check_run": {**COMMON, "check_run": CHECKED},
    "check_suite": {**COMMON, "check_suite": CHECKED},
    "status": {**COMMON, "sha": SHA},
}
BOUNDED = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


class Clock:
    def now(self) -> datetime:
        return datetime(2026, 11, 21, 9, tzinfo=UTC)


class Signing:
    """In front of the app: signs every body, as the forge does."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        headers = [pair for pair in scope["headers"] if pair[0] != b"x-hub-signature-256"]
        headers.append((b"x-hub-signature-256", sign(body, SECRET).encode()))
        waiting = [{"type": "http.request", "body": body, "more_body": False}]

        async def again():
            return waiting.pop() if waiting else await receive()

        await self.app(scope | {"headers": headers}, again, send)


@pytest.fixture
def ledger(tmp_path):
    made = SqlLedger(f"sqlite:///{tmp_path}/ledger.db")
    made.migrate()
    yield made
    made.close()


@pytest.fixture
def door(ledger):
    return create_app(
        ledger,
        secrets=[SECRET],
        clock=Clock(),
        is_allowed=lambda _: True,
        readiness=list,
        poke=lambda: None,
    )


def operations(app):
    """Of the service's own description: (method, path, strategy of requests, those that it forbids included)."""
    for found in schemathesis.openapi.from_asgi("/openapi.json", app).get_all_operations():
        operation = found.ok()
        modes = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
        yield operation, st.one_of([operation.as_strategy(generation_mode=mode) for mode in modes])


def fired_at(app):
    """The statuses that the webhook's path answered with; every answer is held against `< 500`."""
    seen = set()
    for operation, cases in operations(app):
        fire(operation, cases, seen)
    return seen


def fire(operation, cases, seen):
    @BOUNDED
    @given(cases)
    def every(case):
        answer = case.call()
        assert answer.status_code < 500, (case, answer.content)
        if operation.path == "/webhooks/github":
            seen.add(answer.status_code)

    every()


def test_r1_whatever_is_sent_without_a_signature_is_answered_below_500_and_not_stored(door, ledger):
    assert fired_at(door) <= {401, 404, 405, 413}
    assert not ledger.repositories()


def test_r2_whatever_is_signed_is_answered_below_500(door):
    seen = fired_at(Signing(door))
    assert 202 in seen
    assert 400 in seen


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=6,
)
NAUGHTY = st.sampled_from(
    [
        *(
            "\x00",
            "\ud800",
            "a" * 70_000,
            "\u202e/build_run",
            "/deploy --sha " + "f" * 40,
            "../../etc/passwd",
        ),
        *(-1, 0, 2**63, 10**400, 1e308, float("nan"), "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00"),
        *("2026-11-21T09:00:00", {}, [], [[[[]]]], None, True),
    ]
)


@st.composite
def bent(draw):
    """A delivery as GitHub sends it, with up to three of its places given something else, or taken away."""
    name = draw(st.sampled_from(EVENTS))
    content = deepcopy(DELIVERIES[name])
    for _ in range(draw(st.integers(0, 3))):
        place = content
        while True:
            key = draw(st.sampled_from(sorted(place)))
            if isinstance(place[key], dict) and place[key] and draw(st.booleans()):
                place = place[key]
                continue
            if draw(st.integers(0, 3)):
                place[key] = draw(NAUGHTY | ANYTHING)
            else:
                del place[key]
            break
        if not all(isinstance(part, dict) and part for part in (content, place)):
            break
    return name, json.dumps(content).encode(errors="surrogatepass")


@BOUNDED
@given(bent())
def test_r1_a_payload_is_an_event_or_a_problem_with_its_place(delivery):
    name, raw = delivery
    event = parse(name, raw)
    if isinstance(event, PayloadProblem):
        assert event.event == name
        assert name in event.message
        assert len(event.message) < 2000
    else:
        assert event is None or isinstance(event, Commented | PullRequestChanged | Poked)


@BOUNDED
@given(st.sampled_from(EVENTS), st.binary(max_size=200))
def test_r1_bytes_that_are_no_payload_are_a_problem(name, raw):
    assert isinstance(parse(name, raw), PayloadProblem)


def test_r2_every_payload_is_stored_or_refused_and_the_door_stays_open(door):
    async def sent(name, raw, number):
        transport = httpx.ASGITransport(door)
        headers = {
            "X-GitHub-Event": name,
            "X-GitHub-Delivery": f"bent-{number}",
            "X-Hub-Signature-256": sign(raw, SECRET),
        }
        async with httpx.AsyncClient(transport=transport, base_url="http://bot") as client:
            return await client.post("/webhooks/github", content=raw, headers=headers)

    numbers = iter(range(10_000))

    @settings(BOUNDED, max_examples=250)
    @given(bent())
    def every(delivery):
        answer = asyncio.run(sent(*delivery, next(numbers)))
        assert answer.status_code in {202, 400}, answer.text

    every()
    answer = asyncio.run(sent("issue_comment", json.dumps(DELIVERIES["issue_comment"]).encode(), "last"))
    assert answer.status_code == 202
