"""Who may do what: asked live, believed for a minute at most (R6)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta

from kfops.adapters.github import wire
from kfops.adapters.github.answer import NOT_FOUND
from kfops.adapters.github.auth import Purpose
from kfops.adapters.github.call import Call
from kfops.adapters.github.client import REPOSITORY, Client
from kfops.domain.pull_request import Actor, Permission

BELIEVED = timedelta(seconds=60)
_MOST_KEPT = 10_000


class GitHubAccess:
    def __init__(self, client: Client, now: Callable[[], datetime]) -> None:
        self.client, self._now = client, now
        self._roles: dict[tuple[int, int], tuple[datetime, Permission]] = {}
        self._roles_lock = threading.Lock()

    def permission(self, repository_id: int, actor: Actor) -> Permission:
        """UNKNOWN, which allows nothing, for every refusal. Unavailable while GitHub does not answer."""
        key, now = (repository_id, actor.id), self._now()
        with self._roles_lock:
            kept = self._roles.get(key)
        if kept is not None and timedelta(0) <= now - kept[0] < BELIEVED:
            return kept[1]
        found = self._ask(repository_id, actor)
        if found is not Permission.UNKNOWN:
            with self._roles_lock:
                if len(self._roles) >= _MOST_KEPT:
                    self._roles.clear()
                self._roles[key] = (now, found)
        return found

    def in_team(self, repository_id: int, team: str, actor: Actor) -> bool:
        """`team`: a slug of the repository's own organisation, or `organisation/slug`.

        Refused where the app may not read members. The membership's answer has no numeric id, so the login is held against the id by `permission` first.
        """
        if self.permission(repository_id, actor) is Permission.UNKNOWN:
            return False
        place = self.client.place(repository_id)
        organisation, _, slug = team.rpartition("/")
        owner = str(place.names["owner"])
        if organisation and organisation.lower() != owner.lower():
            return False  # a repository cannot name another organisation's team as its own
        call = Call(
            "GET",
            "/orgs/{org}/teams/{team_slug}/memberships/{username}",
            {"org": owner, "team_slug": slug, "username": actor.login},
            reads_as=f"teams {place.installation_id}",
            payer=str(place.installation_id or ""),
        )
        token = self.client.tokens.token(place.installation_id, repository_id, Purpose.TEAMS)
        answer = self.client.transport.send(call, token)
        return answer.status != NOT_FOUND and answer.accepted().get("state") == "active"

    def _ask(self, repository_id: int, actor: Actor) -> Permission:
        template = f"{REPOSITORY}/collaborators/{{username}}/permission"
        answer = self.client.send("GET", template, repository_id, username=actor.login)
        if answer.status == NOT_FOUND:
            return Permission.NONE
        return wire.permission(answer.data, actor) if answer.is_success else Permission.UNKNOWN
