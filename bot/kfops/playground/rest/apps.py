"""GitHub Apps, and deliveries of webhooks: of an app's and of a repository's."""

from __future__ import annotations

from fastapi import Response
from pydantic import BaseModel

from kfops.playground.actions import apps as actions
from kfops.playground.actions.repositories import add_hook
from kfops.playground.errors import Refusal, forbidden, invalid, not_found
from kfops.playground.rest.door import At, In, Routes, answer, page_of
from kfops.playground.state import Delivery, Hook, Role
from kfops.playground.wire import apps as wire
from kfops.playground.wire.basics import moment
from kfops.playground.wire.repositories import minimal, repository_url, simple

routes = Routes()


@routes.get("/app")
def get_app(at: In) -> Response:
    return answer(wire.app(at.forge, at.app))


@routes.post("/app-manifests/{code}/conversions")
def convert(at: In, code: str) -> Response:
    """Once per code."""
    facts = at.forge.state.manifests.pop(code, None)
    if facts is None:
        raise not_found()
    app = at.forge.state.apps[facts["app_id"]]
    if facts["hook_url"]:
        add_hook(
            at.forge, facts["hook_url"], facts["webhook_secret"], app_id=app.id, wanted=tuple(app.events)
        )
    shown = {key: facts[key] for key in ("client_secret", "webhook_secret", "pem")}
    return answer({**wire.app(at.forge, app), **shown}, 201)


@routes.get("/app/installations")
def list_installations(at: In) -> Response:
    found = [one for one in at.forge.state.installations.values() if one.app_id == at.app.id]
    return page_of(at, found, lambda one: wire.installation(at.forge, one))


@routes.get("/app/installations/{installation_id}")
def get_installation(at: In, installation_id: int) -> Response:
    return answer(wire.installation(at.forge, actions.find_installation(at.forge, at.app, installation_id)))


class TokenRequest(BaseModel):
    repositories: list[str] | None = None
    repository_ids: list[int] | None = None
    permissions: dict[str, str] | None = None


@routes.post("/app/installations/{installation_id}/access_tokens")
def create_token(at: In, installation_id: int, body: TokenRequest | None = None) -> Response:
    asked, installation = body or TokenRequest(), actions.find_installation(at.forge, at.app, installation_id)
    text, token = actions.issue_token(
        at.forge,
        installation,
        permissions=asked.permissions,
        repository_ids=asked.repository_ids,
        repositories=asked.repositories,
    )
    chosen = [simple(at.forge, at.forge.state.repositories[number]) for number in token.repository_ids or ()]
    content = {
        "token": text,
        "expires_at": moment(token.expires_at),
        "permissions": token.permissions,
        "repository_selection": "selected" if chosen else "all",
        **({"repositories": chosen} if chosen else {}),
    }
    return answer(content, 201)


@routes.get("/installation/repositories")
def installation_repositories(at: In) -> Response:
    caller = at.caller
    if caller.installation is None:
        raise forbidden(
            "You must authenticate with an installation access token in order to list repositories for an installation."
        )
    found = [
        one
        for one in at.forge.state.repositories.values()
        if one.owner_id == caller.installation.account_id
        and (caller.repository_ids is None or one.id in caller.repository_ids)
    ]
    return page_of(at, found, lambda one: minimal(at.forge, one), under="repositories")


def _app_hook(at: At) -> Hook:
    hook = at.forge.state.hooks.get(at.app.hook_id or -1)
    if hook is None:
        raise not_found()
    return hook


def _repository_hook(at: At, hook_id: int) -> Hook:
    at.require(Role.ADMIN, "repository_hooks")
    hook = at.forge.state.hooks.get(hook_id)
    if hook is None or hook.repository_id != at.repository.id:
        raise not_found()
    return hook


def _deliveries(at: At, hook: Hook) -> Response:
    """Those that were tried, newest first, by cursor: the id of the next delivery to show.

    A `status` is a range of codes, as GitHub has it: what never reached anybody is neither success nor failure.
    """
    query, size = at.request.query_params, at.page[1]
    tried = [one for one in reversed(at.forge.state.deliveries.values()) if one.status != "pending"]
    found = [one for one in tried if one.hook_id == hook.id]
    if query.get("status"):
        codes = range(400, 600) if query["status"] == "failure" else range(200, 400)
        found = [one for one in found if one.status_code in codes]
    cursor = query.get("cursor", "")
    if cursor:
        if not cursor.isdecimal():
            raise Refusal(400, "Invalid cursor")
        found = [one for one in found if one.id <= int(cursor)]
    headers = {}
    if len(found) > size:
        url = f"{at.forge.base_url}{at.request.url.path}?per_page={size}&cursor={found[size].id}"
        headers["Link"] = f'<{url}>; rel="next"'
    return answer([wire.delivery_item(one) for one in found[:size]], headers=headers)


def _delivery(at: At, hook: Hook, delivery_id: int) -> Delivery:
    found = at.forge.state.deliveries.get(delivery_id)
    if found is None or found.hook_id != hook.id:
        raise not_found()
    return found


def _redeliver(at: At, hook: Hook, delivery_id: int) -> Response:
    at.forge.outbox.again(hook, _delivery(at, hook, delivery_id))
    return answer({}, 202)


@routes.get("/app/hook/deliveries")
def app_deliveries(at: In) -> Response:
    return _deliveries(at, _app_hook(at))


@routes.get("/app/hook/deliveries/{delivery_id}")
def app_delivery(at: In, delivery_id: int) -> Response:
    hook = _app_hook(at)
    return answer(wire.delivery(_delivery(at, hook, delivery_id), hook))


@routes.post("/app/hook/deliveries/{delivery_id}/attempts")
def app_redeliver(at: In, delivery_id: int) -> Response:
    return _redeliver(at, _app_hook(at), delivery_id)


@routes.get("/repos/{owner}/{repo}/hooks/{hook_id}/deliveries")
def hook_deliveries(at: In, hook_id: int) -> Response:
    return _deliveries(at, _repository_hook(at, hook_id))


@routes.get("/repos/{owner}/{repo}/hooks/{hook_id}/deliveries/{delivery_id}")
def hook_delivery(at: In, hook_id: int, delivery_id: int) -> Response:
    hook = _repository_hook(at, hook_id)
    return answer(wire.delivery(_delivery(at, hook, delivery_id), hook))


@routes.post("/repos/{owner}/{repo}/hooks/{hook_id}/deliveries/{delivery_id}/attempts")
def hook_redeliver(at: In, hook_id: int, delivery_id: int) -> Response:
    return _redeliver(at, _repository_hook(at, hook_id), delivery_id)


class HookConfig(BaseModel):
    url: str
    secret: str = ""


class NewHook(BaseModel):
    config: HookConfig
    events: list[str] = ["push"]


@routes.post("/repos/{owner}/{repo}/hooks")
def create_hook(at: In, body: NewHook) -> Response:
    at.require(Role.ADMIN, "repository_hooks")
    if not body.config.url.startswith(("http://", "https://")):
        raise invalid("Hook", "url", "custom", "url is missing a scheme")
    hook = add_hook(
        at.forge, body.config.url, body.config.secret, repository=at.repository, wanted=tuple(body.events)
    )
    return answer(_shown_hook(at, hook), 201)


@routes.get("/repos/{owner}/{repo}/hooks")
def list_hooks(at: In) -> Response:
    at.require(Role.ADMIN, "repository_hooks", level="read")
    found = [one for one in at.forge.state.hooks.values() if one.repository_id == at.repository.id]
    return page_of(at, found, lambda hook: _shown_hook(at, hook))


def _shown_hook(at: At, hook: Hook) -> dict[str, object]:
    url = f"{repository_url(at.forge, at.repository)}/hooks/{hook.id}"
    return {
        "type": "Repository",
        "id": hook.id,
        "name": "web",
        "active": hook.active,
        "events": list(hook.events),
        "config": {"url": hook.url, "content_type": "json", "insecure_ssl": "0"},
        "updated_at": moment(hook.created_at),
        "created_at": moment(hook.created_at),
        "url": url,
        "test_url": f"{url}/test",
        "ping_url": f"{url}/pings",
        "deliveries_url": f"{url}/deliveries",
        "last_response": {"code": None, "status": "unused", "message": None},
    }
