"""The forge's middle: state, bare repositories, clock, address and the outbox of webhooks.

Actions, wire and the doors take a `Forge`. Whoever reads or changes the state holds `lock`.
"""

from __future__ import annotations

import re
import secrets
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from kfops.playground.errors import not_found
from kfops.playground.git.bare import Bare
from kfops.playground.state import Issue, PullRequest, Repository, State, User
from kfops.playground.webhooks.delivery import Outbox

API_PREFIX = "/api/v3"
GIT_FOLDER = "playground-git"


class Forge:
    """`base_url` has no slash at its end; the server sets it once it knows its port. `rate_limit` is per caller and hour."""

    def __init__(
        self,
        data_dir: Path,
        *,
        clock: Callable[[], datetime],
        base_url: str = "http://127.0.0.1",
        rate_limit: int = 50_000,
    ) -> None:
        self.data_dir = data_dir.absolute()  # git is run from other folders too
        self.clock = clock
        self.base_url = base_url
        self.rate_limit = rate_limit
        self.state = State()
        self.suggestions: tuple[str, ...] = ()  # lines that the page offers under its comment box
        self.lock = threading.RLock()
        self.secret = secrets.token_hex(32)  # signs the page's forms and the links to archives
        self.outbox = Outbox(self.state, self.now)

    def now(self) -> datetime:
        return self.clock().astimezone(UTC)

    @property
    def api(self) -> str:
        return f"{self.base_url}{API_PREFIX}"

    def bare(self, repository: Repository) -> Bare:
        return Bare(self.data_dir / GIT_FOLDER / f"{repository.id}.git")

    def repository(self, full_name: str) -> Repository:
        owner, _, name = full_name.partition("/")
        found = self.state.repository(owner, name)
        if found is None:
            raise not_found()
        return found

    def user(self, login: str) -> User:
        found = self.state.user(login)
        if found is None:
            raise not_found()
        return found

    def pull(self, repository: Repository, number: int) -> PullRequest:
        found = repository.pulls.get(number)
        if found is None:
            raise not_found()
        return found

    def thread(self, repository: Repository, number: int) -> PullRequest | Issue:
        found = repository.thread(number)
        if found is None:
            raise not_found()
        return found

    def author_of(self, email: str) -> User | None:
        """The account behind a commit's e-mail address, as GitHub links its own no-reply addresses."""
        match = re.fullmatch(r"(?:(\d+)\+)?([^@]+)@users\.noreply\.[a-z.]+", email)
        return self.state.user(match[2]) if match else None
