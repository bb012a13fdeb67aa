"""Moments, node ids, users and teams as GitHub writes them."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any

from kfops.playground.forge import Forge
from kfops.playground.state import Role, User

Json = dict[str, Any]


def moment(at: datetime) -> str:
    """Whole seconds, in UTC."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment_or_none(at: datetime | None) -> str | None:
    return moment(at) if at is not None else None


def node_id(kind: str, number: int | str) -> str:
    return base64.b64encode(f"{len(kind):03}:{kind}{number}".encode()).decode()


def simple_user(forge: Forge, user: User) -> Json:
    api = f"{forge.api}/users/{user.login}"
    return {
        "login": user.login,
        "id": user.id,
        "node_id": node_id(user.kind, user.id),
        "avatar_url": f"{forge.base_url}/avatars/{user.id}",
        "gravatar_id": "",
        "url": api,
        "html_url": f"{forge.base_url}/{user.login}",
        "followers_url": f"{api}/followers",
        "following_url": f"{api}/following{{/other_user}}",
        "gists_url": f"{api}/gists{{/gist_id}}",
        "starred_url": f"{api}/starred{{/owner}}{{/repo}}",
        "subscriptions_url": f"{api}/subscriptions",
        "organizations_url": f"{api}/orgs",
        "repos_url": f"{api}/repos",
        "events_url": f"{api}/events{{/privacy}}",
        "received_events_url": f"{api}/received_events",
        "type": user.kind,
        "user_view_type": "public",
        "site_admin": user.site_admin,
    }


def simple_user_or_none(forge: Forge, user_id: int | None) -> Json | None:
    user = forge.state.users.get(user_id) if user_id is not None else None
    return simple_user(forge, user) if user is not None else None


def public_user(forge: Forge, user: User) -> Json:
    owned = [one for one in forge.state.repositories.values() if one.owner_id == user.id and not one.private]
    return {
        **simple_user(forge, user),
        "name": user.login,
        "company": None,
        "blog": "",
        "location": None,
        "email": None,
        "hireable": None,
        "bio": None,
        "twitter_username": None,
        "public_repos": len(owned),
        "public_gists": 0,
        "followers": 0,
        "following": 0,
        "created_at": moment(user.created_at),
        "updated_at": moment(user.created_at),
    }


def private_user(forge: Forge, user: User) -> Json:
    owned = [one for one in forge.state.repositories.values() if one.owner_id == user.id and one.private]
    return {
        **public_user(forge, user),
        "user_view_type": "private",
        "email": user.email,
        "private_gists": 0,
        "total_private_repos": len(owned),
        "owned_private_repos": len(owned),
        "disk_usage": 0,
        "collaborators": 0,
        "two_factor_authentication": True,
    }


def permissions(role: Role) -> Json:
    return {
        "admin": role >= Role.ADMIN,
        "maintain": role >= Role.MAINTAIN,
        "push": role >= Role.WRITE,
        "triage": role >= Role.TRIAGE,
        "pull": role >= Role.READ,
    }
