"""Users, teams, rate limit; and the site admin's door to make accounts (GitHub Enterprise Server's)."""

from __future__ import annotations

import re
import secrets

from fastapi import Response
from pydantic import BaseModel

from kfops.playground.errors import Refusal, forbidden, invalid, not_found
from kfops.playground.rest.door import At, In, Routes, answer, created
from kfops.playground.rest.limits import shown_limits
from kfops.playground.state import User
from kfops.playground.wire.basics import private_user, public_user, simple_user

routes = Routes()
_LOGIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,37}[A-Za-z0-9])?")


@routes.get("/user")
def authenticated(at: In) -> Response:
    if at.caller.installation is not None:
        raise forbidden("Resource not accessible by integration")
    return answer(private_user(at.forge, at.caller.account))


@routes.get("/users/{username}")
def by_username(at: In, username: str) -> Response:
    return answer(public_user(at.forge, at.forge.user(username)))


@routes.get("/orgs/{org}/teams/{team_slug}/memberships/{username}")
def membership(at: In, org: str, team_slug: str, username: str) -> Response:
    _ = at.caller.account
    owner, member = at.forge.user(org), at.forge.user(username)
    for team in at.forge.state.teams.values():
        if (team.organization_id, team.slug) == (owner.id, team_slug) and member.id in team.members:
            url = f"{at.forge.api}/organizations/{owner.id}/team/{team.id}/memberships/{member.login}"
            return answer({"url": url, "role": team.members[member.id], "state": "active"})
    raise not_found()


@routes.get("/rate_limit")
def rate_limit(at: In) -> Response:
    return answer(shown_limits(at.forge, at.request))


class NewUser(BaseModel):
    login: str


@routes.post("/admin/users")
def create_user(at: In, body: NewUser) -> Response:
    _site_admin(at)
    if not _LOGIN.fullmatch(body.login):
        raise invalid(
            "User", "login", "custom", "login must be of letters, digits and inner hyphens, at most 39"
        )
    if at.forge.state.user(body.login) is not None:
        raise invalid("User", "login", "already_exists")
    token = f"ghp_{secrets.token_urlsafe(27)}"
    user = User(at.forge.state.next_id(), body.login, token, at.forge.now())
    at.forge.state.users[user.id] = user
    return created(simple_user(at.forge, user))


@routes.post("/admin/users/{username}/authorizations")
def impersonate(at: In, username: str) -> Response:
    """The account's token, for the site admin who set it up."""
    _site_admin(at)
    user = at.forge.user(username)
    return answer({"id": user.id, "token": user.token, "user": simple_user(at.forge, user)}, 201)


def _site_admin(at: At) -> None:
    if not at.caller.account.site_admin:
        raise Refusal(404, "Not Found")
