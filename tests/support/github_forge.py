"""The GitHub adapter in front of a playground, with a clock that a test moves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from tests.support import playground as support
from tests.support.playground import World
from tests.support.servers import github_proxy
from tests.support.servers.github_proxy import Proxy

from kfops.adapters.github.auth import AppCredentials, Credentials, TokenCredentials
from kfops.adapters.github.forge import GitHubForge
from kfops.domain.pull_request import Actor


@dataclass
class Stage:
    world: World
    proxy: Proxy
    slept: list[float] = field(default_factory=list)
    ahead: timedelta = timedelta(0)
    forges: list[GitHubForge] = field(default_factory=list)

    def now(self) -> datetime:
        return support.now() + self.ahead

    def forge(self, credentials: Credentials | None = None, **more: Any) -> GitHubForge:
        """The app's forge, with nothing remembered."""
        chosen = credentials or AppCredentials(self.world.app_id, self.world.app_key)
        made = GitHubForge(chosen, now=self.now, base_url=self.proxy.api, sleep=self.slept.append, **more)
        self.forges.append(made)
        return made

    def with_token(self, login: str = "helper") -> GitHubForge:
        return self.forge(TokenCredentials(self.world.users[login].token))

    def pull(self, name: str, **files: str) -> tuple[int, int, str]:
        """A repository with one open pull request of bob's: its id, the number and the head."""
        _, number, head = self.world.with_pull(name, dict(files) or None)
        return self.world.playground.repository(f"ada/{name}").id, number, head

    def actor(self, login: str) -> Actor:
        return Actor(self.world.users[login].id, login)

    def comment(self, name: str, number: int, login: str, body: str) -> int:
        template = "/repos/{owner}/{repo}/issues/{issue_number}/comments"
        made = self.world.as_(login)(
            "POST", template, 201, owner="ada", repo=name, issue_number=number, body={"body": body}
        )
        return int(made["id"])


@contextmanager
def stage(folder: Path) -> Iterator[Stage]:
    """Every request that went over it is validated at the end."""
    support.contract(support.DESCRIPTION)
    with support.world(folder) as world, github_proxy.between(world.url) as proxy:
        made = Stage(world, proxy)
        try:
            yield made
            proxy.validate()
        finally:
            for forge in made.forges:
                forge.close()
