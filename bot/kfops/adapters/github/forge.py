from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from pathlib import Path

from kfops.adapters.github.access import BELIEVED, GitHubAccess
from kfops.adapters.github.auth import Credentials, Tokens
from kfops.adapters.github.client import Client
from kfops.adapters.github.conversation import GitHubConversation
from kfops.adapters.github.deliveries import GitHubDeliveries
from kfops.adapters.github.git import git_root
from kfops.adapters.github.issues import GitHubIssues
from kfops.adapters.github.pulls import GitHubPulls
from kfops.adapters.github.source import GitHubSource
from kfops.adapters.github.statuses import GitHubStatuses
from kfops.adapters.github.transport import Transport
from kfops.domain.operation import ROLLOUTS, RUNS
from kfops.domain.pull_request import Repository

GITHUB = "https://api.github.com"
OWN_CHECKS = ("kfops", *(f"kfops/{kind.value}" for kind in sorted(RUNS | ROLLOUTS)))


class GitHubForge(
    GitHubPulls,
    GitHubAccess,
    GitHubConversation,
    GitHubIssues,
    GitHubStatuses,
    GitHubSource,
    GitHubDeliveries,
):
    """`kfops.ports.forge.Forge` and `Deliveries` on GitHub's REST API and git over HTTP. Thread-safe; keeps no state that decides.

    `base_url`: the API's (`https://HOST/api/v3` on an Enterprise server and the playground). `own_checks`: the names
    of the bot's check runs. `cache_dir`: where fetched commits are kept. `sleep` takes seconds, between attempts.
    """

    def __init__(
        self,
        credentials: Credentials,
        *,
        now: Callable[[], datetime],
        base_url: str = GITHUB,
        own_checks: Collection[str] = OWN_CHECKS,
        cache_dir: Path | None = None,
        sleep: Callable[[float], None] = time.sleep,
        timeout_s: float = 20.0,
        git_timeout_s: float = 300.0,
    ) -> None:
        transport = Transport(base_url, now=now, sleep=sleep, timeout_s=timeout_s)
        client = Client(transport, Tokens(transport, credentials, now))
        self._repositories: dict[int, tuple[datetime, Repository]] = {}
        GitHubPulls.__init__(self, client)
        GitHubAccess.__init__(self, client, now)
        GitHubConversation.__init__(self, client)
        GitHubIssues.__init__(self, client)
        GitHubStatuses.__init__(self, client, own_checks)
        GitHubDeliveries.__init__(self, client)
        GitHubSource.__init__(self, client, git_root(base_url), cache_dir=cache_dir, timeout_s=git_timeout_s)

    def repository(self, repository_id: int) -> Repository:
        """As it was within the last minute: its name and default branch are asked for at every step."""
        kept, now = self._repositories.get(repository_id), self._now()
        if kept is None or not timedelta(0) <= now - kept[0] < BELIEVED:
            kept = (now, GitHubPulls.repository(self, repository_id))
            self._repositories[repository_id] = kept
        return kept[1]

    def remember(self, repository_id: int, full_name: str, installation_id: int | None = None) -> None:
        """What a webhook, or the ledger at the start, knows of a repository; spares the search for its name."""
        self.client.remember(repository_id, full_name, installation_id)

    @property
    def calls(self) -> Mapping[str, int]:
        """How often each operation was asked since the start, by `METHOD /template` (and `git fetch`)."""
        return self.client.transport.calls

    def close(self) -> None:
        self.client.transport.close()
