"""R1, R2: what the forge is answered, and that nothing is answered before it is stored."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime

import httpx
import pytest

from kfops.adapters.sql.ledger import SqlLedger
from kfops.domain.operation import Kind
from kfops.ports.errors import Unavailable
from kfops.webhook.app import LARGEST, create_app
from kfops.webhook.signature import sign

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
NEW, OLD = "new-secret", "old-secret"
USER = {"id": 101, "login": "ada", "type": "User"}


class StandingClock:
    def now(self) -> datetime:
        return NOW


def comment(body: str, repository: str = "ada/churn") -> bytes:
    return json.dumps(
        {
            "action": "created",
            "repository": {"id": 7, "full_name": repository, "default_branch": "main"},
            "installation": {"id": 31},
            "issue": {"number": 5, "state": "open", "pull_request": {}},
            "comment": {
                "id": 77,
                "user": USER,
                "body": body,
                "created_at": "2026-11-21T09:00:00Z",
                "updated_at": "2026-11-21T09:00:00Z",
            },
        }
    ).encode()


@dataclass
class Door:
    """The app with a real ledger behind it."""

    ledger: SqlLedger
    is_away: bool = False
    pokes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.app = create_app(
            self,
            secrets=[NEW, OLD],
            clock=StandingClock(),
            is_allowed=lambda name: name.startswith("ada/"),
            readiness=lambda: self.problems,
            poke=lambda: self.pokes.append("poke"),
        )

    def accept(self, arrivals):
        if self.is_away:
            raise Unavailable("the disk is full")
        self.ledger.accept(arrivals)

    def request(self, method: str, path: str, content: bytes = b"", **headers: str) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://bot") as client:
                return await client.request(method, path, content=content, headers=headers)

        return asyncio.run(ask())

    def deliver(self, body: bytes, event: str = "issue_comment", secret: str = NEW, **headers: str):
        known = {
            "X-GitHub-Event": event,
            "X-GitHub-Delivery": "d-1",
            "X-Hub-Signature-256": sign(body, secret),
        }
        return self.request("POST", "/webhooks/github", body, **(known | headers))


@pytest.fixture
def door(tmp_path):
    ledger = SqlLedger(f"sqlite:///{tmp_path}/ledger.db")
    ledger.migrate()
    yield Door(ledger)
    ledger.close()


def test_r2_a_command_is_stored_before_it_is_answered(door):
    answer = door.deliver(comment("/build_run"))

    assert answer.status_code == 202
    assert [one.kind for one in door.ledger.open_operations(7)] == [Kind.BUILD_RUN]
    assert door.pokes == ["poke"]


@pytest.mark.parametrize(
    "header", [{"X-GitHub-Event": "e" * 65}, {"X-GitHub-Event": ""}, {"X-GitHub-Delivery": "d" * 129}]
)
def test_r2_names_that_the_ledger_cannot_keep_are_refused(door, header):
    assert door.deliver(comment("/status"), **header).status_code == 400
    assert door.ledger.open_operations(7) == ()


def test_r2_the_same_delivery_twice_is_one_command(door):
    assert [door.deliver(comment("/build_run")).status_code for _ in range(2)] == [202, 202]
    assert len(door.ledger.open_operations(7)) == 1


def test_r1_both_secrets_serve_while_one_is_rotated_out(door):
    assert door.deliver(comment("/status"), secret=OLD).status_code == 202


@pytest.mark.parametrize(
    "header",
    ["", "sha256=", "sha256=" + "0" * 64, "sha1=" + "0" * 40, sign(b"something else", NEW), "sha256=zz"],
)
def test_r1_without_a_right_signature_nothing_is_stored(door, header):
    answer = door.deliver(comment("/deploy"), **{"X-Hub-Signature-256": header})

    assert answer.status_code == 401
    assert door.ledger.open_operations(7) == ()
    assert door.pokes == []


def test_r1_the_signature_is_over_the_raw_bytes(door):
    body = comment("/deploy")
    same_json = json.dumps(json.loads(body), indent=1).encode()

    answer = door.deliver(same_json, **{"X-Hub-Signature-256": sign(body, NEW)})

    assert answer.status_code == 401


def test_r1_a_body_that_is_too_large_is_not_read_to_its_end(door):
    assert door.deliver(b" " * (LARGEST + 1)).status_code == 413


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"payload=%7B%7D", b'{"action": "created"}', b"\xff"])
def test_a_signed_body_that_is_no_delivery_is_refused_with_a_sentence(door, body):
    answer = door.deliver(body)

    assert answer.status_code == 400
    assert "issue_comment" in answer.json()["message"]


@pytest.mark.parametrize("header", ["X-GitHub-Event", "X-GitHub-Delivery"])
def test_a_delivery_needs_a_name_and_an_id(door, header):
    assert door.deliver(comment("/status"), **{header: ""}).status_code == 400


def test_r1_a_repository_that_is_not_served_leaves_no_trace(door):
    assert door.deliver(comment("/deploy", "eve/churn")).status_code == 202
    assert door.ledger.repositories() == ()


def test_ping_is_answered(door):
    assert door.deliver(b'{"zen": "Design for failure."}', event="ping").status_code == 202


def test_r2_while_the_ledger_is_away_the_forge_is_told_to_come_again(door):
    door.is_away = True
    assert door.deliver(comment("/deploy")).status_code == 503
    assert door.pokes == []

    door.is_away = False
    assert door.deliver(comment("/deploy")).status_code == 202


def test_health_readiness_and_numbers(door):
    door.deliver(comment("/status"))

    assert door.request("GET", "/healthz").status_code == 200
    assert door.request("GET", "/readyz").status_code == 200
    metrics = door.request("GET", "/metrics").text
    assert 'kfops_deliveries_total{answer="202",event="issue_comment"} 1.0' in metrics

    door.problems.append("the ledger is away")
    answer = door.request("GET", "/readyz")
    assert (answer.status_code, answer.json()["problems"]) == (503, ["the ledger is away"])
    assert door.request("GET", "/healthz").status_code == 200
