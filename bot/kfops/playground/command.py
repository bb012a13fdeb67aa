"""`kfops playground`: the forge alone, in the foreground."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from kfops.playground.errors import Refusal
from kfops.playground.playground import Playground
from kfops.playground.server import running
from kfops.playground.state import Role

BOT = "kfops"
PEOPLE = ("ada", "bob", "carol")  # ada owns what is brought in, bob may write, carol may read


def run(
    port: int,
    data_dir: Path,
    repos: Sequence[Path] = (),
    *,
    clock: Callable[[], datetime],
    people: Sequence[str] = PEOPLE,
    webhook: tuple[str, str] | None = None,
    say: Callable[[str], object] = lambda line: sys.stdout.write(f"{line}\n"),
    until: threading.Event | None = None,
) -> None:
    """Serves on 127.0.0.1 until interrupted; port 0 takes a free one.

    Each folder of `repos` becomes a repository of the first user's, named after the folder. `webhook` is a URL and a
    secret that hear of everything. ValueError for a folder that cannot be brought in; OSError for a taken port.
    """
    playground = Playground(data_dir, clock=clock)
    users = [playground.add_user(login) for login in people]
    bot = playground.add_user(BOT, everywhere=Role.WRITE)
    admin = playground.add_user("root", site_admin=True)
    for folder in repos:
        bring_in(playground, folder, people)
    if webhook is not None:
        playground.add_webhook(*webhook)
    stop = until or threading.Event()
    with running(playground, port) as url:
        say(f"playground: {url}")
        say(f"REST API:   {url}/api/v3")
        say(f"git:        git clone {url}/OWNER/NAME.git   (login and token as name and password)")
        for user in [*users, bot, admin]:
            say(f"user:       {user.login:<8} token {user.token}{_about(user.login, people)}")
        for repository in playground.state.repositories.values():
            say(f"repository: {url}/{playground.state.full_name(repository)}")
        say("Ctrl+C ends it; everything in it is forgotten.")
        _wait(stop)


def bring_in(playground: Playground, folder: Path, people: Sequence[str]) -> None:
    """A folder as a repository: with its history if it is a git work tree, else as one commit."""
    if not folder.is_dir():
        raise ValueError(
            f"--repo {folder}: expected a folder with a model repository, found none; give an existing folder"
        )
    owner, *others = people
    name = folder.resolve().name
    try:
        playground.create_repository(owner, name)
        playground.import_directory(f"{owner}/{name}", folder, message=f"Import {name}")
    except (Refusal, RuntimeError) as error:
        raise ValueError(f"--repo {folder}: the playground could not take it in: {error}") from error
    for login, role in zip(others, (Role.WRITE, Role.READ), strict=False):
        playground.set_role(f"{owner}/{name}", login, role)


def _about(login: str, people: Sequence[str]) -> str:
    if login == BOT:
        return "   (writes everywhere: the bot's)"
    if login == "root":
        return "   (site admin)"
    return "   (owns what --repo brings in)" if login == people[0] else ""


def _wait(stop: threading.Event) -> None:
    """Until told to stop, by the event, Ctrl+C or SIGTERM."""
    if threading.current_thread() is not threading.main_thread():
        stop.wait()
        return
    before = {
        number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        stop.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
