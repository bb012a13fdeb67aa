"""`kfops setup github`, as a person at a browser meets it: from the page on this machine to credentials in a file."""

from __future__ import annotations

import json
import re
import shlex
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from time import time
from urllib.parse import urlsplit

import httpx
import pytest

from kfops.adapters.github.auth import AppCredentials, Purpose
from kfops.adapters.github.forge import GitHubForge
from kfops.adapters.github.manifest import EVENTS, permissions
from kfops.playground.playground import Playground
from kfops.playground.server import running
from kfops.webhook.payloads import parse


def now() -> datetime:
    return datetime.fromtimestamp(time(), UTC)


@dataclass
class Setup:
    """The command as a process, and where its page is."""

    process: subprocess.Popen[str]
    page: str

    def end(self) -> tuple[int, str]:
        said, _ = self.process.communicate(timeout=30)
        return self.process.returncode, said


@contextmanager
def setup(api: str, out: Path, *more: str) -> Iterator[Setup]:
    words = [
        sys.executable,
        "-m",
        "kfops",
        "setup",
        "github",
        "--url",
        "https://bot.example",
        "--out",
        str(out),
    ]
    process = subprocess.Popen(
        [*words, *more],
        env={
            "PATH": "/usr/bin:/bin",
            "HOME": str(out),
            "KFOPS_FORGE_URL": api,
            "PYTHONPATH": ":".join(sys.path),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    try:
        found = re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline())
        yield Setup(process, found[0] if found else "")
    finally:
        process.kill()
        process.wait(10)
        process.stdout.close()


@pytest.fixture
def forge(tmp_path):
    playground = Playground(tmp_path / "forge", clock=now)
    playground.add_user("ada")
    with running(playground) as url:
        playground.create_repository("ada", "churn")
        yield playground, url


def _hidden(page: str) -> dict[str, str]:
    return {name: unescape(value) for name, value in re.findall(r'name="(\w+)" value="([^"]*)"', page)}


def test_an_app_is_registered_with_the_bots_permissions_and_its_credentials_work(forge, tmp_path):
    playground, url = forge
    out = tmp_path / "out"
    out.mkdir()
    with setup(f"{url}/api/v3", out) as command, httpx.Client() as browser:
        page = browser.get(command.page).text
        action = unescape(re.search(r'action="([^"]+)"', page)[1])
        asked = browser.post(action, data=_hidden(page))
        shown = re.search(r"<textarea[^>]*>(.*?)</textarea>", asked.text, re.DOTALL)
        confirmed = browser.post(
            action, data={"csrf": _hidden(asked.text)["csrf"], "manifest": unescape(shown[1])}
        )
        answer = browser.get(confirmed.headers["location"])
        code, said = command.end()

    assert "is registered" in answer.text
    assert code == 0, said
    lines = (out / "kfops.env").read_text().splitlines()
    settings = {name: shlex.split(value)[0] for name, _, value in (line.partition("=") for line in lines)}
    (app,) = playground.state.apps.values()
    assert app.permissions == permissions()
    assert settings["KFOPS_APP_ID"] == str(app.id)
    assert settings["KFOPS_OAUTH_CLIENT_SECRET"] == app.client_secret
    (hook,) = playground.state.hooks.values()
    assert hook.url == "https://bot.example/webhooks/github"
    assert json.loads(settings["KFOPS_WEBHOOK_SECRETS"]) == [hook.secret]
    key = Path(settings["KFOPS_APP_KEY_FILE"])
    assert [stat.S_IMODE(one.stat().st_mode) for one in (key, out / "kfops.env")] == [0o600, 0o600]

    bot = GitHubForge(
        AppCredentials(app.id, key.read_text()), now=now, base_url=f"{url}/api/v3", cache_dir=tmp_path
    )
    repository = next(iter(playground.state.repositories.values()))
    installation = next(iter(playground.state.installations))
    bot.remember(repository.id, "ada/churn", installation)
    assert bot.repository(repository.id).full_name == "ada/churn"


def test_r17_the_app_asks_for_what_its_tokens_use_and_for_nothing_else():
    asked = permissions()

    assert set(asked) == {name for purpose in Purpose for name in purpose.permissions}
    assert "administration" not in asked
    assert "workflows" not in asked
    assert [name for name, level in asked.items() if level == "write" and name == "contents"] == ["contents"]


def test_every_event_that_the_app_asks_for_is_one_that_the_bot_reads():
    nothing = json.dumps({"action": "created"}).encode()

    assert parse("not-an-event", nothing) is None
    assert all(parse(event, nothing) is not None for event in EVENTS)


def test_an_answer_with_another_state_makes_nothing(forge, tmp_path):
    _, url = forge
    out = tmp_path / "out"
    out.mkdir()
    with setup(f"{url}/api/v3", out) as command:
        answer = httpx.get(f"{command.page}/made", params={"code": "x", "state": "guessed"})

    assert "another registration" in answer.text
    assert list(out.iterdir()) == []


def test_a_code_that_is_no_good_ends_it_with_what_mends_it(forge, tmp_path):
    _, url = forge
    out = tmp_path / "out"
    out.mkdir()
    with setup(f"{url}/api/v3", out) as command:
        action = urlsplit(unescape(re.search(r'action="([^"]+)"', httpx.get(command.page).text)[1]))
        httpx.get(
            f"{command.page}/made", params={"code": "nope", "state": action.query.removeprefix("state=")}
        )
        code, said = command.end()

    assert code == 5
    assert "404" in said
    assert list(out.iterdir()) == []


def test_a_web_site_under_another_name_is_not_served(forge, tmp_path):
    _, url = forge
    with setup(f"{url}/api/v3", tmp_path) as command:
        answer = httpx.get(command.page, headers={"Host": "evil.example"})

    assert answer.status_code == 403


def test_files_in_the_way_stop_it_before_anything_is_made(forge, tmp_path):
    _, url = forge
    (tmp_path / "kfops.env").write_text("mine")
    with setup(f"{url}/api/v3", tmp_path) as command:
        code, _ = command.end()

    assert code == 2
    assert (tmp_path / "kfops.env").read_text() == "mine"
