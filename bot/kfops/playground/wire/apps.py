"""GitHub Apps, their installations and deliveries."""

from __future__ import annotations

import json
from typing import Any

from kfops.playground.forge import Forge
from kfops.playground.state import App, Delivery, Hook, Installation, User
from kfops.playground.wire.basics import Json, moment, node_id, simple_user


def app(forge: Forge, one: App) -> Json:
    return {
        "id": one.id,
        "slug": one.slug,
        "client_id": one.client_id,
        "node_id": node_id("App", one.id),
        "owner": simple_user(forge, forge.state.users[one.owner_id]),
        "name": one.name,
        "description": None,
        "external_url": f"{forge.base_url}/apps/{one.slug}",
        "html_url": f"{forge.base_url}/apps/{one.slug}",
        "created_at": moment(one.created_at),
        "updated_at": moment(one.created_at),
        "permissions": one.permissions,
        "events": one.events,
        "installations_count": sum(1 for each in forge.state.installations.values() if each.app_id == one.id),
    }


def app_or_none(forge: Forge, app_id: int | None) -> Json | None:
    found = forge.state.apps.get(app_id) if app_id is not None else None
    return app(forge, found) if found is not None else None


def installation(forge: Forge, one: Installation) -> Json:
    of = forge.state.apps[one.app_id]
    account = forge.state.users[one.account_id]
    return {
        "id": one.id,
        "account": {**simple_user(forge, account), **_as_enterprise(account)},
        "repository_selection": "all",
        "access_tokens_url": f"{forge.api}/app/installations/{one.id}/access_tokens",
        "repositories_url": f"{forge.api}/installation/repositories",
        "html_url": f"{forge.base_url}/settings/installations/{one.id}",
        "app_id": of.id,
        "client_id": of.client_id,
        "app_slug": of.slug,
        "target_id": account.id,
        "target_type": "Organization" if account.kind == "Organization" else "User",
        "permissions": of.permissions,
        "events": of.events,
        "created_at": moment(one.created_at),
        "updated_at": moment(one.created_at),
        "single_file_name": None,
        "has_multiple_single_files": False,
        "single_file_paths": [],
        "suspended_by": None,
        "suspended_at": None,
    }


def _as_enterprise(account: User) -> Json:
    """GitHub's description of the list asks accounts for what only enterprises have; users get it too."""
    since = moment(account.created_at)
    return {"name": account.login, "slug": account.login.lower(), "created_at": since, "updated_at": since}


def delivery_item(one: Delivery) -> Json:
    return {
        "id": one.id,
        "guid": one.guid,
        "delivered_at": moment(one.delivered_at),
        "redelivery": one.redelivery,
        "duration": one.duration,
        "status": one.status,
        "status_code": one.status_code,
        "event": one.event,
        "action": one.action,
        "installation_id": one.installation_id,
        "repository_id": one.repository_id,
        "throttled_at": None,
    }


def delivery(one: Delivery, hook: Hook) -> Json:
    payload: dict[str, Any] = json.loads(one.body)
    return {
        **delivery_item(one),
        "url": hook.url,
        "request": {"headers": one.headers, "payload": payload},
        "response": {"headers": one.answer_headers, "payload": one.answer},
    }
