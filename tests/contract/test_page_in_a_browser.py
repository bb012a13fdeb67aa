"""The playground's pull-request page and the dashboard as a person sees them: in Chromium, by what is on the screen."""

from __future__ import annotations

import re
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright
from tests.support import playground as support
from tests.support.playground import World

from kfops.adapters.github.signing_in import GitHubVisitors
from kfops.adapters.sql.ledger import SqlLedger
from kfops.command.model import Deploy
from kfops.command.serialise import to_json
from kfops.dashboard.app import mount
from kfops.dashboard.door import Dashboard
from kfops.dashboard.session import Cookies
from kfops.domain.facts import DeployFacts, dump
from kfops.domain.operation import Kind, Operation, Outcome, Subject
from kfops.domain.pull_request import Actor, Permission
from kfops.domain.record import RevisionRecord
from kfops.ports.ledger import Arrival, NewOperation, Saved

CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.xdist_group("browser"),
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on the PATH (Debian: chromium)"),
]
NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
REPLY = """\
### ✅ `/build_run` succeeded

The candidate beats production: **roc_auc** is 0.012 higher on the same 1,409 rows, and no slice is worse by more than noise.

| metric | candidate | production (v3) | difference | 95 % interval | needed |
|---|--:|--:|--:|---|---|
| roc_auc | 0.8531 | 0.8412 | +0.0119 | +0.0041 … +0.0197 | not below −0.005 |
| log_loss | 0.4102 | 0.4187 | −0.0085 | −0.0141 … −0.0029 | not above +0.010 |

> [!NOTE]
> Production was scored again on these rows.

<details><summary>The learning curve</summary>

```mermaid
xychart-beta
  title "roc_auc by trial"
  x-axis [1, 2, 3]
  line [0.81, 0.84, 0.853]
```

</details>

- [x] `roc_auc >= 0.8`
- [ ] `latency_p99_ms <= 20`: not measured yet
"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as engine:
        found = engine.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with support.world(tmp_path_factory.mktemp("world")) as made:
        yield made


@dataclass
class Window:
    """A window of its own, with its own cookies; `errors` is what its console complained of."""

    page: Page
    errors: list[str] = field(default_factory=list)

    def listen(self) -> None:
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))

    def _said(self, said: ConsoleMessage) -> None:
        if said.type in {"error", "warning"}:
            self.errors.append(said.text)

    def speak_as(self, login: str) -> None:
        with self.page.expect_navigation():
            self.page.get_by_label("You speak as").select_option(login)

    def overhang(self) -> int:
        """Pixels by which the page is wider than its window."""
        found: int = self.page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        return found


@contextmanager
def opened(chromium: Browser, **how: Any) -> Iterator[Window]:
    context = chromium.new_context(**how)
    context.set_default_timeout(10_000)
    window = Window(context.new_page())
    window.listen()
    try:
        yield window
    finally:
        context.close()
    assert window.errors == []


@dataclass(frozen=True)
class Talk:
    """A pull request of bob's on which the bot has answered."""

    name: str
    number: int
    head: str
    url: str


@pytest.fixture
def talk(world: World, request: pytest.FixtureRequest) -> Talk:
    return _talk(world, re.sub(r"\W", "-", request.node.name)[:40])


@pytest.fixture(scope="module")
def shown(world: World) -> Talk:
    """For those who only look; its name is longer than a telephone is wide."""
    return _talk(world, "customers-who-are-about-to-leave-us-by-region")


def _talk(world: World, name: str) -> Talk:
    _, number, head = world.with_pull(name)
    where = {"owner": "ada", "repo": name}
    comments = "/repos/{owner}/{repo}/issues/{issue_number}/comments"
    world.as_("bob")("POST", comments, 201, **where, issue_number=number, body={"body": "/build_run"})
    bot = world.as_installation()
    bot("POST", comments, 201, **where, issue_number=number, body={"body": REPLY})
    labels = "/repos/{owner}/{repo}/issues/{issue_number}/labels"
    bot("POST", labels, 200, **where, issue_number=number, body={"labels": ["bug"]})
    return Talk(f"ada/{name}", number, head, f"{world.url}/ada/{name}/pull/{number}")


def test_a_reply_reads_as_on_the_forge(chromium: Browser, shown: Talk) -> None:
    with opened(chromium) as window:
        page = window.page
        page.goto(shown.url)
        reply = page.locator("article.bot")

        expect(reply.get_by_role("heading", name="/build_run succeeded")).to_be_visible()
        expect(reply.get_by_role("cell", name="0.8531")).to_be_visible()
        expect(reply.locator(".alert-note")).to_contain_text("Production was scored again")
        expect(reply.get_by_role("checkbox", checked=True)).to_have_count(1)
        expect(reply.locator("time")).to_have_text("just now")
        expect(page.locator("article", has_text="/build_run").first).to_contain_text("bob")


def test_a_chart_is_readable_text_without_its_script(
    chromium: Browser, shown: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KFOPS_MERMAID_JS", raising=False)
    with opened(chromium) as window:
        window.page.goto(shown.url)
        chart = window.page.locator("pre.mermaid")
        expect(chart).to_be_hidden()

        window.page.get_by_text("The learning curve").click()

        expect(chart).to_be_visible()
        assert chart.inner_text().splitlines()[1:3] == ['  title "roc_auc by trial"', "  x-axis [1, 2, 3]"]


def test_a_chart_is_drawn_by_the_script_where_it_is_at_hand(
    chromium: Browser, shown: Talk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The script here has Mermaid's interface and draws a square: what it draws well is Mermaid's own affair."""
    script = tmp_path / "mermaid.js"
    script.write_text(
        "window.mermaid = { initialize() {}, run({ nodes }) { for (const one of nodes) {"
        " one.dataset.processed = 'true'; one.innerHTML = '<svg width=9 height=9></svg>'; } } };",
        encoding="utf-8",
    )
    monkeypatch.setenv("KFOPS_MERMAID_JS", str(script))
    with opened(chromium) as window:
        window.page.goto(shown.url)
        window.page.get_by_text("The learning curve").click()

        expect(window.page.locator("pre.mermaid svg")).to_be_visible()


def test_what_somebody_types_is_said_by_whom_they_speak_as(
    chromium: Browser, talk: Talk, world: World
) -> None:
    with opened(chromium) as window:
        page = window.page
        page.goto(talk.url)
        window.speak_as("cora")
        box = page.get_by_label("Comment")
        expect(box).to_have_attribute("placeholder", "Say something as cora")
        box.fill("Looks **good**.\n\n/deploy")
        box.press("Control+Enter")
        said = page.locator("article.comment", has_text="Looks good.")
        expect(said).to_contain_text("cora")
        expect(said.locator("strong")).to_have_text("good")

        page.get_by_role("button", name="Approve").click()
        expect(page.locator(".event.review-approved")).to_contain_text(f"cora approved {talk.head[:7]}")

    found = world.playground.repository(talk.name)
    last = list(found.comments.values())[-1]
    assert (last.body, last.author_id) == ("Looks **good**.\n\n/deploy", world.users["cora"].id)
    assert [one.state for one in found.pulls[talk.number].reviews] == ["APPROVED"]


def test_an_open_page_follows_what_others_do(chromium: Browser, talk: Talk, world: World) -> None:
    where = {"owner": "ada", "repo": talk.name.removeprefix("ada/")}
    with opened(chromium) as window:
        page = window.page
        page.goto(talk.url)
        page.get_by_label("Comment").fill("half a sentence")
        page.get_by_text("The learning curve").click()

        last = list(world.playground.repository(talk.name).comments.values())[-1]
        template = "/repos/{owner}/{repo}/issues/comments/{comment_id}"
        body = {"body": REPLY.replace("succeeded", "was overtaken")}
        world.as_installation()("PATCH", template, 200, **where, comment_id=last.id, body=body)
        template = "/repos/{owner}/{repo}/issues/{issue_number}/comments"
        world.as_("tim")("POST", template, 201, **where, issue_number=talk.number, body={"body": "And now?"})

        expect(page.locator("article.comment", has_text="And now?")).to_be_visible()
        expect(page.get_by_role("heading", name="/build_run was overtaken")).to_be_visible()
        expect(page.locator("pre.mermaid")).to_be_visible()
        expect(page.get_by_label("Comment")).to_have_value("half a sentence")


def test_labels_merge_state_and_changes_are_there(chromium: Browser, talk: Talk, world: World) -> None:
    with opened(chromium) as window:
        page = window.page
        page.goto(talk.url)
        expect(page.locator("aside .label")).to_contain_text("bug")
        expect(page.locator(".merging")).to_contain_text("Ready to merge")

        page.get_by_role("link", name="Files changed").click()
        expect(page.locator("tr.added .text")).to_have_text("four")
        page.get_by_role("link", name="Conversation").click()
        page.get_by_role("button", name="Merge", exact=True).click()

        expect(page.locator(".merging")).to_contain_text("Pull request merged and closed")
        expect(page.locator(".subtitle .state")).to_have_text("Merged")
    assert world.playground.repository(talk.name).pulls[talk.number].merged_at is not None


def test_a_telephone_breaks_no_number_and_keeps_what_is_in_a_box_inside(
    chromium: Browser, shown: Talk
) -> None:
    with opened(chromium, viewport={"width": 390, "height": 844}) as window:
        page = window.page
        page.goto(shown.url)
        lines = "cell => { const all = document.createRange(); all.selectNodeContents(cell); return all.getClientRects().length; }"
        assert page.get_by_role("cell", name="0.8531").evaluate(lines) == 1

        for box, inside in [(".merging", "button"), ("nav.tabs", "a"), ("header", "select")]:
            edge = "one => one.getBoundingClientRect().right"
            last = max(one.evaluate(edge) for one in page.locator(f"{box} {inside}").all())
            assert last <= page.locator(box).first.evaluate(edge), box


def test_a_telephone_shows_the_pages_without_scrolling_sideways(chromium: Browser, shown: Talk) -> None:
    with opened(chromium, viewport={"width": 390, "height": 844}, color_scheme="dark") as window:
        for path in ["", "/files", "/commits"]:
            window.page.goto(f"{shown.url}{path}")
            assert window.overhang() == 0, path
        for address in [shown.url.partition("/pull/")[0], shown.url.partition("/ada/")[0]]:
            window.page.goto(address)
            assert window.overhang() == 0, address
            expect(window.page.locator("main")).to_be_visible()


@dataclass(frozen=True)
class Fixed:
    def now(self) -> datetime:
        return NOW


@dataclass(frozen=True)
class Reader:
    """One person may read every repository."""

    login: str

    def permission(self, _repository_id: int, actor: Actor) -> Permission:
        return Permission.READ if actor.login == self.login else Permission.NONE

    def in_team(self, _repository_id: int, _team: str, _actor: Actor) -> bool:
        return False


@contextmanager
def serving(app: FastAPI, listener: socket.socket) -> Iterator[None]:
    config = uvicorn.Config(app, log_level="warning", lifespan="off", timeout_graceful_shutdown=2)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(10)


@dataclass(frozen=True)
class Bot:
    """The dashboard at `url`, with a deployment of ada/churn under way."""

    url: str
    book: SqlLedger
    under_way: Operation

    def end(self) -> None:
        facts = DeployFacts("production", model="churn", model_version="5", reason="Too many errors.")
        ended = Saved("ended", dump(facts), NOW, outcome=Outcome.FAILED, reason_code="defect", ended_at=NOW)
        self.book.save(self.under_way, ended)


@pytest.fixture
def bot(world: World, tmp_path: Path) -> Iterator[Bot]:
    book = SqlLedger(f"sqlite:///{tmp_path}/ledger.db")
    book.migrate()
    app, known = FastAPI(), world.playground.state.apps[world.app_id]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        visitors = GitHubVisitors(
            known.client_id, known.client_secret, page_url=world.url, api_url=f"{world.url}/api/v3"
        )
        cookies = Cookies("key", Fixed(), is_https=False)
        mount(app, Dashboard(book, Reader("cora"), visitors, cookies, Fixed(), url, world.url))
        with serving(app, listener):
            yield Bot(url, book, _deployment(book))
    book.close()


def _deployment(book: SqlLedger) -> Operation:
    subject = Subject(7, 3, 1, 0, to_json(Deploy()), Actor(1, "ada"), "hash", NOW, head_sha="a" * 40)
    command = NewOperation(subject, Kind.DEPLOY, "env:7:production")
    book.accept(
        [Arrival("d", "issue_comment", "x", NOW, 7, "ada/churn", "main", None, 3, operations=(command,))]
    )
    operation = book.claim("worker", NOW, timedelta(seconds=30))
    assert operation is not None
    book.effect_about(operation, "comment", NOW)
    book.effect_done(operation, "comment", "4711", NOW)
    serving = RevisionRecord(0, 7, "production", "churn", "4", "d" * 64, "b" * 40, 2, 1, "bob", NOW, True)
    book.activate(operation, serving)
    book.append(7, 3, NOW, "ada", "deploy", {"reason": "monthly"})
    return operation


def test_r21_somebody_signs_in_to_the_dashboard_and_watches_an_operation_end(
    chromium: Browser, world: World, bot: Bot
) -> None:
    with opened(chromium) as window:
        page = window.page
        page.goto(f"{bot.url}/dashboard/")
        window.speak_as("cora")
        page.get_by_role("button", name="Sign in as cora").click()
        expect(page.get_by_text("production: churn 4")).to_be_visible()
        page.get_by_role("link", name="ada/churn").click()
        page.get_by_role("row", name="/deploy").get_by_role("link").first.click()
        expect(page.get_by_role("heading", name="/deploy in #3")).to_be_visible()
        expect(page.locator("#moving .open")).to_be_visible()

        bot.end()

        expect(page.locator("#moving .failed")).to_have_text("failed")
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_text("You are signed out.")).to_be_visible()


def test_the_dashboard_fits_a_telephone(chromium: Browser, world: World, bot: Bot) -> None:
    with opened(chromium, viewport={"width": 390, "height": 844}) as window:
        page = window.page
        page.goto(f"{bot.url}/dashboard/")
        window.speak_as("cora")
        page.get_by_role("button", name="Sign in as cora").click()
        for path in ["", "ada/churn", "ada/churn/operations/1", "ada/churn/audit"]:
            page.goto(f"{bot.url}/dashboard/{path}")
            expect(page.locator("h1, h2").first).to_be_visible()
            assert window.overhang() == 0, path
