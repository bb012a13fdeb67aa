"""Making a GitHub App from a manifest, as its page does on GitHub: a form in, a one-time code back."""

from __future__ import annotations

import json
import secrets
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Form, Response
from fastapi.responses import RedirectResponse

from kfops.playground.actions.apps import convert_manifest
from kfops.playground.errors import Refusal
from kfops.playground.page.render import html
from kfops.playground.page.session import Visit, check_csrf, visit

routes = APIRouter(include_in_schema=False)
Seen = Annotated[Visit, Depends(visit)]


@routes.get("/settings/apps/new")
def form(seen: Seen, state: str = "") -> Response:
    return html(seen, "new_app.html", state=state, manifest="")


@routes.post("/settings/apps/new")
@routes.post("/organizations/{_organisation}/settings/apps/new")
def create(
    seen: Seen, manifest: Annotated[str, Form()], csrf: Annotated[str, Form()] = "", state: str = ""
) -> Response:
    """A manifest that comes from another page is shown first: the person at this one confirms it."""
    if not csrf:
        return html(seen, "new_app.html", state=state, manifest=manifest)
    check_csrf(seen, csrf)
    try:
        described = json.loads(manifest)
    except ValueError as error:
        raise Refusal(422, f"The manifest is no JSON: {error}") from None
    target = described.get("redirect_url") if isinstance(described, dict) else None
    if not isinstance(target, str) or not target.startswith(("http://", "https://")):
        raise Refusal(422, "The manifest needs a redirect_url, where the one-time code is sent")
    code = secrets.token_hex(20)
    with seen.forge.lock:
        seen.forge.state.manifests[code] = convert_manifest(seen.forge, described, seen.caller.account)
    mark = "&" if "?" in target else "?"
    return RedirectResponse(f"{target}{mark}{urlencode({'code': code, 'state': state})}", 303)
