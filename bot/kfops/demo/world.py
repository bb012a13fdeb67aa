"""What the demo starts: a playground in this process, the bot as a process of its own, and people."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import time

import httpx

import kfops
from kfops.demo.ask import Person
from kfops.demo.guard import guarded
from kfops.demo.story import SceneError, wait_for
from kfops.playground.playground import Playground
from kfops.playground.server import running
from kfops.playground.state import Role
from kfops.settings import Settings

HOST = "127.0.0.1"
OWNER, REVIEWER, READER = "ada", "bob", "carol"
REPOSITORY = f"{OWNER}/churn"
_READY_WITHIN_S = 60.0
_ENDS_WITHIN_S = 15.0
_TAIL = 40


@dataclass(frozen=True)
class Ports:
    """Of 127.0.0.1; 0 takes a free one."""

    forge: int = 0
    bot: int = 0


@dataclass(frozen=True)
class World:
    """Everything runs while this exists. `api_url` is the forge's REST API, `log` the bot's output."""

    forge_url: str
    api_url: str
    bot_url: str
    log: Path
    folder: Path
    people: dict[str, Person]

    @property
    def remote(self) -> str:
        owner = self.people[OWNER]
        return self.forge_url.replace("://", f"://{owner.login}:{owner.token}@") + f"/{REPOSITORY}.git"

    def log_tail(self) -> str:
        return tail(self.log)


@contextmanager
def world(data_dir: Path | None, ports: Ports = Ports()) -> Iterator[World]:
    """A folder of its own that goes away afterwards, unless `data_dir` names one, which stays.

    SceneError for a port that is taken, and when the bot does not come up, with the end of its log.
    """
    with _folder(data_dir) as folder:
        playground = Playground(folder / "playground", clock=lambda: datetime.fromtimestamp(time(), UTC))
        port = _free(ports.bot, "the bot")
        forge_port = _free(ports.forge, "the forge")
        for login in (OWNER, REVIEWER, READER):
            playground.add_user(login)
        settings = _register(playground, folder / "bot", port)
        with running(playground, forge_port, HOST) as url:
            _repository(playground)
            api = f"{url}/api/v3"
            people = {
                login: Person(login, playground.user(login).token, api) for login in (OWNER, REVIEWER, READER)
            }
            log = folder / "bot.log"
            temporary = folder if data_dir is None else None
            with _bot(settings | {"KFOPS_FORGE_URL": api}, log, port, temporary) as bot_url:
                yield World(url, api, bot_url, log, folder, people)
            for person in people.values():
                person.close()


def tail(log: Path) -> str:
    """The last lines of the bot's log."""
    try:
        lines = log.read_text(errors="replace").splitlines()
    except OSError as error:
        return f"(no log: {error})"
    return "\n".join(lines[-_TAIL:]) or "(the bot's log is empty)"


def _register(playground: Playground, data_dir: Path, port: int) -> dict[str, str]:
    """The bot as an app of the forge that hears of every repository; its settings."""
    secret = os.urandom(24).hex()
    app, key = playground.register_app(
        "kfops", webhook_url=f"http://{HOST}:{port}/webhooks/github", webhook_secret=secret, owner=OWNER
    )
    data_dir.mkdir(parents=True, exist_ok=True)
    key_file = data_dir / "app.pem"
    key_file.touch(mode=0o600)
    key_file.chmod(0o600)
    key_file.write_text(key)
    return {
        "KFOPS_DATA_DIR": str(data_dir),
        "KFOPS_HOST": HOST,
        "KFOPS_PORT": str(port),
        "KFOPS_APP_ID": str(app.id),
        "KFOPS_APP_KEY_FILE": str(key_file),
        "KFOPS_WEBHOOK_SECRETS": json.dumps([secret]),
        "KFOPS_PUBLIC_URL": f"http://{HOST}:{port}",
        "KFOPS_OAUTH_CLIENT_ID": app.client_id,
        "KFOPS_OAUTH_CLIENT_SECRET": app.client_secret,
    }


def _repository(playground: Playground) -> None:
    playground.create_repository(OWNER, REPOSITORY.partition("/")[2])
    playground.set_role(REPOSITORY, REVIEWER, Role.MAINTAIN)
    playground.set_role(REPOSITORY, READER, Role.READ)


@contextmanager
def _bot(settings: dict[str, str], log: Path, port: int, temporary: Path | None) -> Iterator[str]:
    """`kfops serve`, until the block or this process ends; then what outlives it is ended too."""
    own = {key: value for key, value in os.environ.items() if not key.startswith("KFOPS_")}
    source = str(
        Path(kfops.__file__).resolve().parents[1]
    )  # the bot that runs is the one that is imported here
    path = os.pathsep.join(part for part in (source, own.get("PYTHONPATH", "")) if part)
    environment = own | settings | {"PYTHONPATH": path}
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "kfops", "serve"],
            env=environment,
            cwd=log.parent,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl+C is for the demo, which then ends the bot in order
        )
    url = f"http://{HOST}:{port}"
    data_dir = Path(settings["KFOPS_DATA_DIR"])
    try:
        with guarded(process.pid, data_dir, temporary, environment):
            wait_for(
                lambda: _is_ready(process, url, log),
                f"the bot on {url}",
                _READY_WITHIN_S,
                last=lambda: f"Its log:\n{tail(log)}",
            )
            yield url
    finally:
        _end(process)
        _shut_down(data_dir)


def _is_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> bool | None:
    if process.poll() is not None:
        raise SceneError(f"the bot ended with {process.returncode}. Its log:\n{tail(log)}")
    with suppress(httpx.HTTPError):
        return httpx.get(f"{url}/readyz", timeout=5, trust_env=False).is_success or None
    return None


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(_ENDS_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _shut_down(data_dir: Path) -> None:
    """The serving stack and the tracking server, which outlive the bot by design."""
    from kfops.bootstrap.engines import shutdown

    shutdown(Settings(data_dir=data_dir))


@contextmanager
def _folder(data_dir: Path | None) -> Iterator[Path]:
    if data_dir is not None:
        data_dir.mkdir(parents=True, exist_ok=True)
        yield data_dir.resolve()
        return
    made = Path(tempfile.mkdtemp(prefix="kfops-demo-"))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _free(port: int, whose: str) -> int:
    """The port, or a free one for 0. SceneError where it is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise SceneError(
                f"port {port} of {HOST}, meant for {whose}, cannot be had ({error.strerror});"
                " give another one, or 0 for any that is free"
            ) from error
        return int(probe.getsockname()[1])
