"""Signing in to an app with an account of the playground: a page in, a code back, a token for the code."""

from __future__ import annotations

import hmac
import secrets
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse

from kfops.playground.errors import Refusal
from kfops.playground.forge import Forge
from kfops.playground.page.render import html
from kfops.playground.page.session import Visit, check_csrf, visit
from kfops.playground.state import App

routes = APIRouter(include_in_schema=False)
Seen = Annotated[Visit, Depends(visit)]


@routes.get("/login/oauth/authorize")
def ask(seen: Seen, client_id: str, redirect_uri: str, state: str = "") -> Response:
    return html(
        seen,
        "sign_in.html",
        app=_app(seen.forge, client_id, redirect_uri),
        redirect_uri=redirect_uri,
        state=state,
    )


@routes.post("/login/oauth/authorize")
def agree(
    seen: Seen,
    csrf: Annotated[str, Form()],
    client_id: Annotated[str, Form()],
    redirect_uri: Annotated[str, Form()],
    state: Annotated[str, Form()] = "",
) -> Response:
    check_csrf(seen, csrf)
    app, code = _app(seen.forge, client_id, redirect_uri), secrets.token_hex(10)
    with seen.forge.lock:
        seen.forge.state.sign_in_codes[code] = (app.id, seen.caller.account.id, redirect_uri)
    mark = "&" if "?" in redirect_uri else "?"
    return RedirectResponse(f"{redirect_uri}{mark}{urlencode({'code': code, 'state': state})}", 303)


@routes.post("/login/oauth/access_token")
def exchange(
    request: Request,
    client_id: Annotated[str, Form()],
    client_secret: Annotated[str, Form()],
    code: Annotated[str, Form()],
    redirect_uri: Annotated[str, Form()] = "",
) -> Response:
    """GitHub answers 200 also to a code that is no good, with an `error`; a code is good once."""
    forge: Forge = request.app.state.forge
    with forge.lock:
        app_id, user_id, address = forge.state.sign_in_codes.pop(code, (0, 0, ""))
        app = forge.state.apps.get(app_id)
        if app is None or app.client_id != client_id or address != redirect_uri:
            return JSONResponse({"error": "bad_verification_code"})
        if not hmac.compare_digest(app.client_secret.encode(), client_secret.encode()):
            return JSONResponse({"error": "incorrect_client_credentials"})
        token = f"ghu_{secrets.token_urlsafe(27)}"
        forge.state.user_tokens[token] = user_id
    return JSONResponse({"access_token": token, "token_type": "bearer", "scope": ""})


def _app(forge: Forge, client_id: str, redirect_uri: str) -> App:
    found = next((one for one in forge.state.apps.values() if one.client_id == client_id), None)
    if found is None:
        raise Refusal(404, "No app has this client_id.")
    if not redirect_uri.startswith(("http://127.0.0.1", "http://localhost")):
        raise Refusal(422, "The redirect_uri must be on this machine.")
    return found
