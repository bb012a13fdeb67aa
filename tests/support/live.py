"""The whole bot as a process of its own, against a playground in this one: real git, KFP, MLflow, Envoy."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from kfops.adapters.local.serving.plain_http import NO_TLS
from kfops.adapters.system_clock import SystemClock
from kfops.playground.playground import Playground
from kfops.playground.server import running
from kfops.playground.state import Role

TEMPLATE = Path(__file__).parents[2] / "pipeline_template"
REPOSITORY = "ada/churn"
ENDED = {"rocket", "confused", "-1"}
CANARY = (
    "  canary: {steps: [25, 50], hold: 4s, min_requests: 30, max_error_increase: 0.2, max_latency_ratio: 5,"
    " patience: 5m, watch: 1s}\n"
)


@dataclass
class Live:
    folder: Path
    url: str
    playground: Playground
    environment: dict[str, str]
    bot: subprocess.Popen[bytes] | None = None
    people: dict[str, httpx.Client] = field(default_factory=dict)

    def start(self) -> None:
        with (self.folder / "bot.log").open("ab") as log:
            self.bot = subprocess.Popen(
                [sys.executable, "-m", "kfops", "serve"], env=self.environment, stdout=log, stderr=log
            )
        port = self.environment["KFOPS_PORT"]
        self.until(lambda: _answers(f"http://127.0.0.1:{port}/readyz"), "the bot to be ready", 120)

    def kill(self) -> None:
        """kill -9: no handler runs, nothing is tidied up."""
        assert self.bot is not None
        self.bot.send_signal(signal.SIGKILL)
        self.bot.wait(10)

    def until(self, look: Callable[[], Any], what: str, within_s: float) -> Any:
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            found = look()
            if found:
                return found
            time.sleep(0.2)
        log = (self.folder / "bot.log").read_text()[-3000:]
        raise AssertionError(f"waited {within_s} s for {what}\n{log}")

    def get(self, path: str) -> Any:
        return self.people["ada"].get(path).raise_for_status().json()

    def post(self, login: str, path: str, body: dict[str, Any]) -> Any:
        return self.people[login].post(path, json=body).raise_for_status().json()

    def open_pull(self, branch: str, path: str, edit: Callable[[str], str]) -> int:
        work = self.folder / f"work-{branch}"
        token = self.people["ada"].headers["authorization"].removeprefix("Bearer ")
        address = f"http://ada:{token}@{self.url.removeprefix('http://')}/{REPOSITORY}.git"
        git = ["git", "-c", "user.name=ada", "-c", "user.email=ada@example.com"]
        subprocess.run([*git, "clone", "-q", address, str(work)], check=True)
        target = work / path
        target.write_text(edit(target.read_text()))
        for words in (
            ["checkout", "-q", "-b", branch],
            ["commit", "-qam", branch],
            ["push", "-q", "origin", branch],
        ):
            subprocess.run([*git, *words], cwd=work, check=True)
        pull = self.post(
            "ada", f"/repos/{REPOSITORY}/pulls", {"title": branch, "head": branch, "base": "main"}
        )
        return int(pull["number"])

    def say(self, login: str, number: int, text: str) -> int:
        comment = self.post(login, f"/repos/{REPOSITORY}/issues/{number}/comments", {"body": text})
        return int(comment["id"])

    def ending(self, comment: int, within_s: float = 120) -> str:
        """The reaction with which the command ended: rocket, confused or -1."""

        def look() -> str | None:
            found = self.get(f"/repos/{REPOSITORY}/issues/comments/{comment}/reactions")
            return next((one["content"] for one in found if one["content"] in ENDED), None)

        return str(self.until(look, f"the end of comment {comment}", within_s))

    def done(self, login: str, number: int, text: str, within_s: float = 200) -> None:
        """Say it and see it succeed."""
        end = self.ending(self.say(login, number, text), within_s)
        assert end == "rocket", self.replies(number)[-1]

    def approve(self, login: str, number: int) -> None:
        head = self.pull(number)["head"]["sha"]
        path = f"/repos/{REPOSITORY}/pulls/{number}/reviews"
        self.post(login, path, {"event": "APPROVE", "commit_id": head, "body": "Good evidence."})

    def labels(self, number: int) -> list[str]:
        return [str(one["name"]) for one in self.pull(number)["labels"]]

    def replies(self, number: int) -> list[str]:
        comments = self.get(f"/repos/{REPOSITORY}/issues/{number}/comments")
        return [one["body"] for one in comments if one["user"]["type"] == "Bot"]

    def pull(self, number: int) -> Any:
        return self.get(f"/repos/{REPOSITORY}/pulls/{number}")

    def endpoint(self, environment: str) -> str:
        deployment = self.get(f"/repos/{REPOSITORY}/deployments?environment={environment}")[0]
        statuses = self.get(f"/repos/{REPOSITORY}/deployments/{deployment['id']}/statuses")
        return next(str(one["environment_url"]) for one in statuses if one.get("environment_url"))


def _answers(url: str) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return httpx.get(url, verify=NO_TLS).status_code == 200
    return False


@contextmanager
def live(
    folder: Path,
    *,
    requires: str = "[]",
    settings: Mapping[str, str] = {},
    edit: Callable[[str], str] = lambda text: text,
) -> Iterator[Live]:
    """A repository from the template, a bot that is started, and ada (admin), bob (maintain), carol (read).

    `settings` are the operator's, beside those of every bot here; `edit` changes the template's kfops.yaml.
    """
    playground = Playground(folder / "forge", clock=SystemClock().now)
    users = {login: playground.add_user(login) for login in ("ada", "bob", "carol")}
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    with running(playground) as url:
        playground.create_repository("ada", "churn")
        playground.set_role(REPOSITORY, "bob", Role.MAINTAIN)
        playground.set_role(REPOSITORY, "carol", Role.READ)
        app, key = playground.register_app("kfops")
        playground.add_webhook(f"http://127.0.0.1:{port}/webhooks/github", "secret")
        playground.import_directory(REPOSITORY, _template(folder, requires, edit))
        (folder / "app.pem").write_text(key)
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "KFOPS_DATA_DIR": str(folder / "bot"),
            "KFOPS_PORT": str(port),
            "KFOPS_FORGE_URL": f"{url}/api/v3",
            "KFOPS_APP_ID": str(app.id),
            "KFOPS_APP_KEY_FILE": str(folder / "app.pem"),
            "KFOPS_WEBHOOK_SECRETS": '["secret"]',
            **settings,
        }
        world = Live(folder, url, playground, environment)
        for login, user in users.items():
            headers = {"authorization": f"Bearer {user.token}"}
            world.people[login] = httpx.Client(base_url=f"{url}/api/v3", headers=headers, timeout=30)
        try:
            world.start()
            yield world
        finally:
            _end(world)


def _end(world: Live) -> None:
    from kfops.bootstrap.engines import shutdown
    from kfops.settings import Settings

    if world.bot and world.bot.poll() is None:
        world.bot.terminate()
        world.bot.send_signal(signal.SIGCONT)  # one that a test had stopped hears it only then
        world.bot.wait(20)
    shutdown(Settings(data_dir=world.folder / "bot"))
    for client in world.people.values():
        client.close()


def _template(folder: Path, requires: str, edit: Callable[[str], str]) -> Path:
    source = folder / "model-repository"
    shutil.copytree(TEMPLATE, source, ignore=shutil.ignore_patterns("__pycache__", ".*_cache"))
    file = source / "kfops.yaml"
    text = file.read_text().replace("time_budget: 60", "time_budget: 0, max_iter: 2")
    text = text.replace("deployment:\n", f"deployment:\n{CANARY}")
    file.write_text(edit(text.replace("{namespace: churn}", f"{{namespace: churn, requires: {requires}}}")))
    return source
