"""Door 3: read-only pages of the same service. Nothing here changes a model, a pull request or the ledger."""

from __future__ import annotations

import hmac
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, FastAPI, Form, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse

from kfops.dashboard import api, pages
from kfops.dashboard.door import Dashboard, NotHere, NotSignedIn, Seen
from kfops.dashboard.headers import Guarding
from kfops.dashboard.render import problem
from kfops.ports.errors import Unavailable

HOME = "/dashboard/"
signing = APIRouter(prefix="/dashboard", include_in_schema=False)


def mount(app: FastAPI, dashboard: Dashboard) -> None:
    """Add the pages and their API to the service."""
    app.state.dashboard = dashboard
    app.add_middleware(Guarding)
    app.include_router(signing)
    app.include_router(pages.routes)
    app.include_router(api.routes)
    app.add_exception_handler(NotSignedIn, _not_signed_in)
    app.add_exception_handler(NotHere, _not_here)


@signing.get("/sign-in")
def sign_in(request: Request, wanted: str = HOME) -> Response:
    dashboard: Dashboard = request.app.state.dashboard
    made = RedirectResponse(HOME, 303)
    state = dashboard.cookies.begin(made, _local(wanted))
    made.headers["location"] = dashboard.visitors.sign_in_url(state=state, back=_back(dashboard))
    return made


@signing.get("/signed-in")
def signed_in(request: Request, code: str = "", state: str = "") -> Response:
    """Where the forge sends the visitor back to. Only to the browser that began does this mean anything."""
    dashboard: Dashboard = request.app.state.dashboard
    began = dashboard.cookies.handshake(request)
    if began is None or not hmac.compare_digest(began.state.encode(), state.encode()):
        return problem(dashboard, 400, "This sign-in was not begun here, or took too long. Try again.")
    try:
        visitor = dashboard.visitors.visitor(code, back=_back(dashboard))
    except Unavailable as error:
        return problem(dashboard, 503, f"{error}. Try again.")
    if visitor is None:
        return problem(dashboard, 403, "The forge did not say who you are: the code is old or was used.")
    made = RedirectResponse(began.wanted, 303)
    dashboard.cookies.sign_in(made, visitor)
    return made


@signing.post("/sign-out")
def sign_out(seen: Seen, csrf: Annotated[str, Form()] = "") -> Response:
    if not hmac.compare_digest(seen.csrf.encode(), csrf.encode()):
        return problem(seen.dashboard, 403, "This form is stale or came from elsewhere. Reload the page.")
    made = problem(seen.dashboard, 200, "You are signed out.")
    seen.dashboard.cookies.sign_out(seen.request, made)
    return made


def _back(dashboard: Dashboard) -> str:
    return f"{dashboard.url}/dashboard/signed-in"


def _local(wanted: str) -> str:
    """Only our own pages: a link must not sign somebody in and send them elsewhere."""
    is_ours = wanted.startswith(HOME) and "\\" not in wanted and wanted.isprintable()
    return wanted if is_ours else HOME


def _is_api(request: Request) -> bool:
    return request.url.path.startswith("/api/")


async def _not_signed_in(request: Request, _error: Exception) -> Response:
    if _is_api(request):
        return JSONResponse({"message": "sign in at /dashboard/sign-in"}, 401)
    return RedirectResponse(f"/dashboard/sign-in?wanted={quote(request.url.path, safe='')}", 303)


async def _not_here(request: Request, _error: Exception) -> Response:
    sentence = "There is nothing here, or nothing that you may read."
    if _is_api(request):
        return JSONResponse({"message": sentence}, 404)
    return problem(request.app.state.dashboard, 404, sentence)
