"""The pages: hostile text stays text, forms need their token, what people do on a page is done."""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support import playground as support
from tests.support.playground import World

from kfops.playground.page.markdown import render
from kfops.playground.page.safe_html import safe_html

ATTACKS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)><circle/></svg>",
    "[a](javascript:alert(1))",
    '<a href="javascript:alert(1)">x</a>',
    '<a href=" jAvAsCrIpT:alert(1)">x</a>',
    "![x](javascript:alert(1))",
    '<details open ontoggle="alert(1)"><summary>x</summary></details>',
    '<iframe srcdoc="<script>alert(1)</script>"></iframe>',
    "<style>body{display:none}</style>",
    '<form action="/speak-as"><button>x</button></form>',
    "```html\n</code></pre><script>alert(1)</script>\n```",
    "```mermaid\n</pre><script>alert(1)</script>\n```",
    '<div style="position:fixed">x</div>',
    "</div></article></main><h1>out</h1>",
    "<math><mtext></p><style><img src=x onerror=alert(1)></style></mtext></math>",
    '<p class="flash">x</p>',
    "@<script>alert(1)</script>",
    "<meta http-equiv=refresh content=0>",
    '<base href="http://evil.example/">',
    "<details><![x](javascript:alert(1))",
]


class _Seen(HTMLParser):
    """What a browser could act on."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]


def _harmless(html: str) -> bool:
    seen = _Seen()
    seen.feed(html)
    bad_tags = {
        "script",
        "style",
        "svg",
        "math",
        "iframe",
        "form",
        "button",
        "meta",
        "base",
        "object",
        "link",
        "textarea",
    }
    bad = [
        (name, value)
        for name, value in seen.attributes
        if name.startswith("on")
        or "javascript:" in value.lower()
        or (name == "style" and "text-align" not in value)
    ]
    return not bad and not bad_tags & set(seen.tags)


@pytest.mark.parametrize("text", ATTACKS)
def test_hostile_comments_are_harmless(text: str) -> None:
    assert _harmless(render(text, "a/b"))


@given(
    st.lists(
        st.sampled_from(
            [
                *ATTACKS,
                "<b>",
                "</b>",
                "<details>",
                "|a|b|\n|-|-|\n",
                "> [!TIP]\n",
                "`",
                "\n",
                '"',
                "'",
                "<",
                ">",
                "&",
            ]
        ),
        max_size=8,
    )
)
@settings(max_examples=150, deadline=None)
def test_mixtures_are_harmless_and_balanced(parts: list[str]) -> None:
    made = render("".join(parts), "a/b")
    assert _harmless(made)
    assert safe_html(made) == made


def test_markdown_as_on_github() -> None:
    made = render(
        "> [!TIP]\n> good :rocket:\n\n| a | b |\n|---|--:|\n| 1 | 2 |\n\n- [x] done\n- [ ] open\n\n"
        "@ada see #3 and https://example.org/x.\n\n<details><summary>more</summary>\n\n**bold** H<sub>2</sub>O\n\n</details>\n\n"
        "```mermaid\ngraph LR\n  a --> b\n```\n\n`@no :rocket:`",
        "ada/churn",
    )
    for part in (
        '<blockquote class="alert alert-tip">',
        '<span class="alert-title">Tip</span>',
        "good 🚀",
        '<td style="text-align:right">2</td>',
        '<input type="checkbox" checked="" disabled=""> done',
        '<a class="mention" href="/ada" rel="nofollow noopener noreferrer">@ada</a>',
        'href="/ada/churn/pull/3"',
        '<a href="https://example.org/x" rel="nofollow noopener noreferrer">https://example.org/x</a>.',
        "<details><summary>more</summary>",
        "<strong>bold</strong> H<sub>2</sub>O",
        '<pre class="mermaid">graph LR\n  a --&gt; b\n</pre>',
        "<code>@no :rocket:</code>",
    ):
        assert part in made


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with support.world(tmp_path_factory.mktemp("page")) as made:
        yield made


@pytest.fixture
def browser(world: World) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=world.url, trust_env=False, headers={"Accept": "text/html"}) as client:
        client.get("/")
        yield client


def _csrf(browser: httpx.Client) -> str:
    return browser.get("/").text.partition('name="csrf" value="')[2].partition('"')[0]


def _speak(browser: httpx.Client, login: str) -> None:
    assert (
        browser.post("/speak-as", data={"login": login, "csrf": _csrf(browser), "back": "/"}).status_code
        == 303
    )


def test_a_conversation_on_the_page(world: World, browser: httpx.Client) -> None:
    _, number, head = world.with_pull("talked")
    here, csrf = f"/ada/talked/pull/{number}", _csrf(browser)
    _speak(browser, "rita")
    sent = browser.post(
        f"{here}/comments",
        data={"csrf": csrf, "body": "/help <script>alert(1)</script>\r\n\r\n> [!NOTE]\r\n> x"},
    )
    assert sent.status_code == 303
    repository = world.playground.repository("ada/talked")
    comment = next(iter(repository.comments.values()))
    assert comment.body == "/help <script>alert(1)</script>\n\n> [!NOTE]\n> x"
    assert comment.author_id == world.users["rita"].id
    page = browser.get(here).text
    assert "/help" in page
    assert "alert(1)" not in page
    assert 'class="alert alert-note"' in page
    _speak(browser, "cora")
    assert browser.post(f"{here}/reviews", data={"csrf": csrf, "event": "APPROVE"}).status_code == 303
    assert (repository.pulls[number].reviews[0].state, repository.pulls[number].reviews[0].commit_sha) == (
        "APPROVED",
        head,
    )
    assert browser.post(f"{here}/label", data={"csrf": csrf, "label": "bug"}).status_code == 303
    assert "+four" not in browser.get(here).text
    assert '<td class="text">four</td>' in browser.get(f"{here}/files").text
    assert browser.get(f"{here}/commits").status_code == 200
    assert browser.get(f"{here}.diff").text.endswith("+four\n")
    before = browser.get(f"{here}/revision").json()["revision"]
    assert browser.post(f"{here}/merge", data={"csrf": csrf, "method": "squash"}).status_code == 303
    assert browser.get(f"{here}/revision").json()["revision"] > before
    assert "Pull request merged and closed" in browser.get(here).text
    assert browser.get(f"/ada/talked/commit/{head}").status_code == 200
    assert browser.get(f"/ada/talked/raw/{head}/README.md").headers["content-type"].startswith("text/plain")


def test_a_pull_request_is_opened_on_the_page(world: World, browser: httpx.Client) -> None:
    world.repository("opened")
    assert "git push" in browser.get("/ada/opened").text
    tree = world.clone("opened")
    tree.commit("main", {"a": "1"})
    tree.commit("topic", {"a": "<img src=x onerror=alert(1)>"})
    form = {"csrf": _csrf(browser), "base": "main", "head": "topic", "title": "<b>bold</b>", "body": "x"}
    _speak(browser, "rita")
    refused = browser.post("/ada/opened/pulls", data=form)
    assert (refused.status_code, "write access" in refused.text) == (422, True)
    _speak(browser, "bob")
    sent = browser.post("/ada/opened/pulls", data=form)
    assert sent.headers["location"] == "/ada/opened/pull/1"
    for path in ("/ada/opened/pull/1", "/ada/opened/pull/1/files", "/ada/opened", "/"):
        page = browser.get(path)
        assert page.status_code == 200
        assert "<b>bold</b>" not in page.text
        assert "<img src=x" not in page.text
        assert "script-src 'self';" in page.headers["content-security-policy"]


def test_an_issue_is_read_on_the_page(world: World, browser: httpx.Client) -> None:
    _, number, _ = world.with_pull("told")
    at = {"owner": "ada", "repo": "told"}
    body = {
        "title": "Retraining of churn",
        "body": "> [!TIP]\n> better <script>alert(1)</script>",
        "labels": ["Kfops-retraining"],
    }
    made = world.as_installation()("POST", "/repos/{owner}/{repo}/issues", 201, body=body, **at)
    assert 'href="/ada/told/issues"' in browser.get("/ada/told").text
    listed = browser.get("/ada/told/issues").text
    assert "Retraining of churn" in listed
    assert "Kfops-retraining" in listed
    page = browser.get(f"/ada/told/issues/{made['number']}").text
    assert 'class="alert alert-tip"' in page
    assert "alert(1)" not in page
    assert browser.get(f"/ada/told/issues/{number}").headers["location"] == f"/ada/told/pull/{number}"
    assert browser.get("/ada/told/issues/99").status_code == 404


def test_a_refusal_is_shown_and_the_text_kept(world: World, browser: httpx.Client) -> None:
    _, number, _ = world.with_pull("refused")
    _speak(browser, "bob")
    form = {"csrf": _csrf(browser), "event": "APPROVE", "body": "my own words"}
    sent = browser.post(f"/ada/refused/pull/{number}/reviews", data=form)
    assert sent.status_code == 422
    assert "Can not approve your own pull request" in sent.text
    assert "my own words</textarea>" in sent.text


def test_forms_need_their_token(world: World, browser: httpx.Client) -> None:
    _, number, _ = world.with_pull("forged")
    here = f"/ada/forged/pull/{number}"
    for data in ({"body": "x", "csrf": "0" * 64}, {"body": "x"}):
        assert browser.post(f"{here}/comments", data=data).status_code in {403, 422}
    with httpx.Client(base_url=world.url, trust_env=False) as other:
        assert other.post(f"{here}/comments", data={"body": "x", "csrf": _csrf(browser)}).status_code == 403
    assert browser.get(f"{here}/comments").status_code in {404, 405}
    assert world.playground.repository("ada/forged").comments == {}
    assert browser.get("/", headers={"Host": "evil.example"}).status_code == 400


def test_private_repositories_and_lost_pages(world: World, browser: httpx.Client) -> None:
    world.repository("concealed", private=True)
    _speak(browser, "stranger")
    assert "concealed" not in browser.get("/").text
    lost = browser.get("/ada/concealed")
    assert (lost.status_code, lost.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert browser.post("/speak-as", data={"login": "kfops[bot]", "csrf": _csrf(browser)}).status_code == 404
    assert (
        browser.post(
            "/speak-as", data={"login": "ada", "csrf": _csrf(browser), "back": "//evil.example"}
        ).headers["location"]
        == "/"
    )


def test_mermaid_is_served_where_its_script_is_at_hand(
    world: World, browser: httpx.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert browser.get("/static/mermaid.js").status_code == 404
    script = tmp_path / "mermaid.min.js"
    script.write_text("window.mermaid = {};")
    monkeypatch.setenv("KFOPS_MERMAID_JS", str(script))
    assert "/static/mermaid.js" in browser.get("/").text
    assert browser.get("/static/mermaid.js").text == script.read_text()
    for name in ("style.css", "page.js", "mark.svg"):
        assert browser.get(f"/static/{name}").status_code == 200
    assert browser.get("/static/secrets.txt").status_code == 404
    assert browser.get(f"/avatars/{world.users['ada'].id}").headers["content-type"] == "image/svg+xml"
