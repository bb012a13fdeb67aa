"""Door 3: who is let in, what is shown, and that looking changes nothing."""

from __future__ import annotations

import asyncio
import html
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlparse

import httpx
import pytest
from fastapi import FastAPI, Response
from tests.support.tampering import tamper

from kfops.adapters.github.signing_in import GitHubVisitors, page_of
from kfops.adapters.sql.ledger import SqlLedger
from kfops.command.model import Deploy, Skip
from kfops.command.serialise import to_json
from kfops.dashboard import render, stream
from kfops.dashboard.app import mount
from kfops.dashboard.door import Dashboard
from kfops.dashboard.session import SESSION, Cookies
from kfops.domain.facts import DeployFacts, dump
from kfops.domain.operation import Kind, Outcome, Subject
from kfops.domain.pull_request import Actor, Permission
from kfops.domain.record import Lock, RevisionRecord
from kfops.playground.playground import Playground
from kfops.playground.server import running
from kfops.ports.errors import Unavailable
from kfops.ports.ledger import Arrival, NewOperation, Saved
from kfops.workflow.scheduling import Scheduled, arrival_of_moment

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
DEPLOY = Deploy()
ANN, EVE = Actor(1, "ann"), Actor(2, "eve")
TOKEN = "ghp_0123456789abcdefghijklmnop"
PAGES = ["", "/operations/1", "/operations/1/changes", "/audit"]
ANSWERS = ["/operations", "/operations/1", "/revisions", "/audit"]


@dataclass
class Clock:
    at: datetime = NOW

    def now(self) -> datetime:
        return self.at


@dataclass
class Roles:
    """Ann may read ann/churn, eve nothing; `away`: the forge does not answer."""

    known: dict[int, Permission] = field(default_factory=lambda: {ANN.id: Permission.READ})
    away: bool = False

    def permission(self, _repository_id: int, actor: Actor) -> Permission:
        if self.away:
            raise Unavailable("the forge is away")
        return self.known.get(actor.id, Permission.NONE)

    def in_team(self, _repository_id: int, _team: str, _actor: Actor) -> bool:
        return False


class Names:
    """A forge where a code is the person's login."""

    def sign_in_url(self, *, state: str, back: str) -> str:
        return f"https://forge.example/authorize?state={state}&back={back}"

    def visitor(self, code: str, *, back: str) -> Actor | None:
        _ = back
        return {"ann": ANN, "eve": EVE}.get(code)


@dataclass
class Browser:
    """Keeps its cookies and goes nowhere by itself."""

    app: FastAPI
    cookies: httpx.Cookies = field(default_factory=httpx.Cookies)

    def get(self, path: str, params: dict[str, str] | None = None) -> httpx.Response:
        return self._send("GET", path, params=params)

    def post(self, path: str, data: dict[str, str]) -> httpx.Response:
        return self._send("POST", path, data=data)

    def _send(self, method: str, path: str, **what: Any) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(
                transport=transport, base_url="https://bot.example", cookies=self.cookies
            ) as client:
                answer = await client.request(method, path, **what)
                self.cookies = client.cookies
                return answer

        return asyncio.run(ask())


@dataclass
class Site:
    clock: Clock
    roles: Roles
    book: SqlLedger
    app: FastAPI

    def browser(self, login: str = "") -> Browser:
        client = Browser(self.app)
        if login:
            sign_in(client, login)
        return client


@pytest.fixture
def site(tmp_path):
    book = SqlLedger(f"sqlite:///{tmp_path}/ledger.db")
    book.migrate()
    _story(book)
    clock, roles, app = Clock(), Roles(), FastAPI()
    mount(
        app,
        Dashboard(
            book,
            roles,
            Names(),
            Cookies("key", clock, is_https=True),
            clock,
            "https://bot.example",
            "https://forge.example",
            secrets=("hunter22", 'it\'s "quoted"'),
        ),
    )
    yield Site(clock, roles, book, app)
    book.close()


def _story(book: SqlLedger) -> None:
    """A deployment of ann/churn that failed with a hostile reason, and what serves."""
    subject = Subject(7, 3, 1, 0, to_json(DEPLOY), ANN, "hash", NOW, head_sha="a" * 40)
    command = NewOperation(subject, Kind.DEPLOY, "env:7:production")
    book.accept(
        [Arrival("d", "issue_comment", "x", NOW, 7, "ann/churn", "main", None, 3, operations=(command,))]
    )
    operation = book.claim("worker", NOW, timedelta(seconds=30))
    assert operation is not None
    book.effect_about(operation, "comment", NOW)
    book.effect_done(operation, "comment", "4711", NOW)
    serving = RevisionRecord(0, 7, "production", "churn", "4", "d" * 64, "b" * 40, 2, 1, "bob", NOW, True)
    book.activate(operation, serving)
    facts = DeployFacts(
        "production", notes=(f"<script>alert(1)</script> hunter22 {TOKEN}",), reason="<img src=x onerror=y>"
    )
    ended = Saved("ended", dump(facts), NOW, outcome=Outcome.FAILED, reason_code="defect", ended_at=NOW)
    book.save(operation, ended)
    book.acquire(Lock("env:7:staging", "ann", "<b>by hand</b>", NOW, None, None))
    book.append(7, 3, NOW, "ann", "deploy", {"reason": f"password=hunter22 {TOKEN}"})


def sign_in(client: Browser, login: str, wanted: str = "/dashboard/") -> httpx.Response:
    asked = client.get("/dashboard/sign-in", params={"wanted": wanted})
    state = parse_qs(urlparse(asked.headers["location"]).query)["state"][0]
    return client.get("/dashboard/signed-in", params={"code": login, "state": state})


def sign_out(client: Browser) -> httpx.Response:
    token = re.search(r'name="csrf" value="(\w+)"', client.get("/dashboard/").text)
    assert token is not None
    return client.post("/dashboard/sign-out", data={"csrf": token[1]})


def addresses() -> list[str]:
    return [f"/dashboard/ann/churn{one}" for one in PAGES] + [
        f"/api/repositories/ann/churn{one}" for one in ANSWERS
    ]


def test_r21_who_may_read_the_repository_sees_its_pages_and_their_api(site):
    ann = site.browser("ann")

    assert [ann.get(one).status_code for one in addresses()] == [200] * len(addresses())
    assert ann.get("/api/repositories/ann/churn/revisions").json()[0]["version"] == "4"
    assert "production: churn 4" in ann.get("/dashboard/").text


def test_r21_pages_and_api_refuse_the_same_people(site):
    eve = site.browser("eve")

    assert [eve.get(one).status_code for one in addresses()] == [404] * len(addresses())
    assert "ann/churn" not in eve.get("/dashboard/").text


def test_r21_nobody_in_particular_is_sent_to_sign_in(site):
    anybody = site.browser()

    answers = [anybody.get(one) for one in addresses()]
    assert [one.status_code for one in answers] == [303] * len(PAGES) + [401] * len(ANSWERS)
    assert answers[1].headers["location"].startswith("/dashboard/sign-in?wanted=")


def test_r21_r6_a_right_that_is_taken_away_is_gone_and_an_api_error_is_a_no(site):
    ann = site.browser("ann")
    site.roles.away = True
    assert ann.get("/dashboard/ann/churn").status_code == 404
    site.roles.away = False
    site.roles.known.clear()
    assert ann.get("/api/repositories/ann/churn/audit").status_code == 404


def test_r21_no_get_changes_what_the_ledger_holds(site):
    ann = site.browser("ann")
    before = (site.book.recent(7), site.book.trail(7), site.book.active_revisions(7), site.book.locks("env:"))

    for one in [*addresses(), "/dashboard/", "/dashboard/sign-in"]:
        ann.get(one)

    after = (site.book.recent(7), site.book.trail(7), site.book.active_revisions(7), site.book.locks("env:"))
    assert after == before
    assert {ann.post(one, {}).status_code for one in addresses()} == {405}


def test_r21_signing_out_needs_the_token_of_the_form(site):
    ann = site.browser("ann")
    assert ann.post("/dashboard/sign-out", data={"csrf": "guessed"}).status_code == 403
    assert ann.get("/dashboard/").status_code == 200

    assert sign_out(ann).status_code == 200
    assert ann.get("/dashboard/").status_code == 303


def test_r21_a_code_that_this_browser_did_not_ask_for_signs_nobody_in(site):
    victim = site.browser()

    answer = victim.get("/dashboard/signed-in", params={"code": "eve", "state": "eve's own"})

    assert answer.status_code == 400
    assert SESSION not in victim.cookies


def test_r21_a_session_ends_and_cannot_be_forged(site):
    ann = site.browser("ann")
    site.clock.at += timedelta(hours=8, seconds=1)
    assert ann.get("/dashboard/").status_code == 303

    other = Cookies("another key", site.clock, is_https=True)
    forged, made = site.browser(), Response()
    other.sign_in(made, ANN)
    value = made.headers["set-cookie"].split("=", 1)[1].split(";")[0]
    forged.cookies.set(SESSION, value)
    assert forged.get("/dashboard/").status_code == 303


@pytest.mark.parametrize(
    "elsewhere",
    ["https://evil.example/", "//evil.example", "/\\evil.example", "/dashboard/\\..", "javascript:x"],
)
def test_signing_in_leads_to_our_own_pages_only(site, elsewhere):
    assert sign_in(site.browser(), "ann", elsewhere).headers["location"] == "/dashboard/"


def test_signing_in_leads_to_the_page_that_was_wanted(site):
    wanted = "/dashboard/ann/churn"
    assert sign_in(site.browser(), "ann", wanted).headers["location"] == wanted


def test_an_operation_of_another_repository_is_not_found(site):
    subject = Subject(8, 1, 9, 0, to_json(DEPLOY), EVE, "hash", NOW)
    site.book.accept(
        [
            Arrival(
                "e",
                "issue_comment",
                "x",
                NOW,
                8,
                "eve/secret",
                "main",
                None,
                1,
                operations=(NewOperation(subject, Kind.DEPLOY, "env:8:production"),),
            )
        ]
    )
    ann = site.browser("ann")

    assert ann.get("/dashboard/ann/churn/operations/2").status_code == 404
    assert ann.get("/api/repositories/ann/churn/operations/2").status_code == 404


def test_an_operation_that_another_release_wrote_is_shown_without_what_cannot_be_read(site):
    subject = Subject(7, 3, 2, 0, to_json(DEPLOY), ANN, "hash", NOW)
    command = NewOperation(subject, Kind.DEPLOY, "env:7:staging")
    site.book.accept(
        [Arrival("g", "issue_comment", "x", NOW, 7, "ann/churn", "main", None, 3, operations=(command,))]
    )
    site.book.save(
        site.book.claim("worker", NOW, timedelta(seconds=30)), Saved("gate", {"environment": 7}, NOW)
    )

    shown = site.browser("ann").get("/dashboard/ann/churn/operations/2")
    assert shown.status_code == 200
    assert "This release of Kfops cannot read what is known of this operation." in shown.text


def test_r15_foreign_text_reaches_the_page_escaped_and_without_its_secrets(site):
    ann = site.browser("ann")
    texts = [ann.get(one).text for one in [*addresses(), "/dashboard/"]]

    for text in texts:
        assert "<script>alert" not in text
        assert "hunter22" not in text
        assert TOKEN not in text
        assert "<b>by hand" not in text
        assert not re.search(r"<img[^>]*onerror", text)
    assert "&lt;b&gt;by hand" in texts[0]


@pytest.mark.parametrize("secret", ["hunter22", TOKEN, 'it\'s "quoted"'])
def test_r15_what_was_typed_is_shown_in_the_trail_without_its_secrets_however_deep(site, secret):
    forced = to_json(Deploy(force=(Skip.CHECKS,), reason=f"the runner is down {secret}"))
    lines = {"name": "mistake", "lines": [{"text": f"/deploy --raeson {secret}"}]}
    for command in (forced, lines):
        site.book.append(7, 3, NOW, "ann", "deploy", {"operation": 1, "command": command})
    ann = site.browser("ann")

    page, answer = (ann.get(one) for one in (addresses()[3], addresses()[-1]))
    for text in (page.text, answer.text, html.unescape(page.text).replace("\\", "")):
        assert "the runner is down ***" in text
        assert "/deploy --raeson ***" in text
        assert secret not in text
        assert "hunter22" not in text
    assert answer.json()["entries"][-1]["detail"]["operation"] == 1
    assert secret in str(site.book.trail(7)[1].detail["command"]["reason"])
    assert site.book.verify(7) is None


def test_a_page_may_run_no_script_but_its_own(site):
    policy = site.browser("ann").get("/dashboard/ann/churn").headers["content-security-policy"]

    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy


def test_r21_no_answer_behind_the_door_is_kept_or_taken_for_something_else(site):
    @site.app.get("/healthz")
    def healthz() -> dict[str, str]:
        return {"status": "alive"}

    signing_in = ["/dashboard/sign-in", "/dashboard/signed-in?code=ann&state=guessed"]
    asked = [*addresses(), "/dashboard/", "/api/repositories/ann/churn/operations?limit=many", *signing_in]
    for login in ("ann", "eve", ""):
        browser = site.browser(login)
        for one in asked:
            headers = browser.get(one).headers
            assert headers["cache-control"] == "no-store", one
            assert headers["x-content-type-options"] == "nosniff", one
            assert headers["referrer-policy"] == "same-origin", one
            assert "default-src 'none'" in headers["content-security-policy"], one
    assert "cache-control" not in site.browser().get("/healthz").headers


def test_a_page_follows_an_operation_until_it_is_over(site):
    answer = site.browser("ann").get("/dashboard/ann/churn/operations/1/changes")

    assert answer.headers["content-type"].startswith("text/event-stream")
    events = [one.partition("\n")[0] for one in answer.text.strip().split("\n\n")]
    assert events == ["event: state", "event: over"]


@pytest.mark.parametrize("how", ["right taken away", "forge away", "session over", "signed out"])
def test_r21_r6_a_page_that_follows_ends_when_the_visitor_may_no_longer_read(site, monkeypatch, how):
    subject = Subject(7, 3, 2, 0, to_json(DEPLOY), ANN, "hash", NOW, head_sha="a" * 40)
    command = NewOperation(subject, Kind.DEPLOY, "env:7:production")
    site.book.accept(
        [Arrival("f", "issue_comment", "x", NOW, 7, "ann/churn", "main", None, 3, operations=(command,))]
    )
    ann, elsewhere = site.browser("ann"), site.browser("ann")
    elsewhere.cookies = ann.cookies

    def happens() -> None:
        match how:
            case "right taken away":
                site.roles.known.clear()
            case "forge away":
                site.roles.away = True
            case "session over":
                site.clock.at += timedelta(hours=8, seconds=1)
            case _:
                sign_out(elsewhere)
        ended = Saved("ended", {}, NOW, outcome=Outcome.CANCELED, reason_code="canceled", ended_at=NOW)
        site.book.save(site.book.claim("worker", NOW, timedelta(seconds=30)), ended)

    def filled(*given: Any, **facts: Any) -> str:
        text = render.filled(*given, **facts)
        if facts["operation"].outcome is None:
            happens()
        return text

    monkeypatch.setattr(stream, "filled", filled)
    monkeypatch.setattr(stream, "LOOK_EVERY_S", 0)
    answer = ann.get("/dashboard/ann/churn/operations/2/changes")

    assert [one.partition("\n")[0] for one in answer.text.strip().split("\n\n")] == ["event: state"]
    assert "canceled" not in answer.text


def test_r21_a_session_that_was_signed_out_is_over_whoever_has_its_cookie(site):
    ann, thief = site.browser("ann"), site.browser()
    thief.cookies.set(SESSION, ann.cookies[SESSION])
    assert thief.get("/dashboard/ann/churn").status_code == 200

    sign_out(ann)

    assert thief.get("/dashboard/ann/churn").status_code == 303
    assert site.browser("ann").get("/dashboard/ann/churn").status_code == 200


def test_what_a_schedule_began_is_shown_without_a_pull_request(site):
    known = Scheduled("churn", "0 3 * * 1", "main", NOW)
    site.book.accept([arrival_of_moment(7, known, NOW, NOW)])
    site.book.append(7, 0, NOW, "schedule", "retrain", {})
    ann = site.browser("ann")

    assert "#0" not in ann.get("/dashboard/ann/churn").text + ann.get("/dashboard/ann/churn/audit").text
    page = ann.get("/dashboard/ann/churn/operations/2").text
    assert "<code>retrain</code> by schedule" in page
    assert "scheduled for 2026-11-21 09:00 UTC" in page
    assert "pull/0" not in page
    assert ann.get("/api/repositories/ann/churn/operations/2").json()["pull_request"] is None


def test_a_broken_chain_is_shown(site):
    tamper(site.book, "UPDATE audit SET actor = 'mallory'")

    assert "The chain is broken" in site.browser("ann").get("/dashboard/ann/churn/audit").text


def test_the_forge_says_who_somebody_is_and_a_code_is_good_once(tmp_path):
    playground = Playground(tmp_path, clock=lambda: NOW)
    ada = playground.add_user("ada")
    app, _ = playground.register_app("kfops")
    back = "http://127.0.0.1:1/dashboard/signed-in"
    with running(playground) as url, httpx.Client(base_url=url) as person:
        visitors = GitHubVisitors(
            app.client_id, app.client_secret, page_url=page_of(f"{url}/api/v3"), api_url=f"{url}/api/v3"
        )
        shown = person.get(visitors.sign_in_url(state="s", back=back))
        csrf = re.search(r'name="csrf" value="(\w+)"', shown.text)
        assert csrf is not None
        agreed = person.post(
            "/login/oauth/authorize",
            data={"csrf": csrf[1], "client_id": app.client_id, "redirect_uri": back, "state": "s"},
        )
        code = parse_qs(urlparse(agreed.headers["location"]).query)["code"][0]

        assert visitors.visitor(code, back=back) == Actor(ada.id, "ada")
        assert visitors.visitor(code, back=back) is None


def test_a_forge_that_is_away_is_told_apart_from_a_code_that_is_no_good():
    visitors = GitHubVisitors("id", "secret", page_url="http://127.0.0.1:9", api_url="http://127.0.0.1:9")

    with pytest.raises(Unavailable):
        visitors.visitor("code", back="http://127.0.0.1:1/")


def test_the_address_of_the_pages_follows_from_that_of_the_api():
    assert page_of("https://api.github.com") == "https://github.com"
    assert page_of("https://ghe.example.com/api/v3/") == "https://ghe.example.com"
