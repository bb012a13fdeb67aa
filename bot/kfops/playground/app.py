"""The playground as one ASGI application: REST under `/api/v3` and `/`, git, and the pages."""

from __future__ import annotations

import re

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from kfops.playground import http_backend
from kfops.playground.errors import Refusal
from kfops.playground.forge import API_PREFIX, Forge
from kfops.playground.page.apps import routes as app_page_routes
from kfops.playground.page.pulls import routes as pull_page_routes
from kfops.playground.page.routes import problem_page
from kfops.playground.page.routes import routes as page_routes
from kfops.playground.page.sign_in import routes as sign_in_routes
from kfops.playground.page.sources import routes as source_routes
from kfops.playground.playground import Playground
from kfops.playground.rest import apps, checks, deployments, git_data, issues, pulls, repositories, users
from kfops.playground.rest.door import refused
from kfops.playground.rest.limits import limit_headers, spend

_TOPICS = (users, apps, repositories, git_data, issues, pulls, checks, deployments)
_BY_ID = re.compile(r"^((?:/api/v3)?)/repositories/(\d+)(/.*)?$")
_REST = re.compile(
    r"^/(?:api/v3|repos|repositories|user|users|app|app-manifests|orgs|rate_limit|admin|installation)(?:/|$)"
)
# A page here lets one speak as anybody, so that a web site which rebinds its name to this machine gets nothing.
_HOSTS = ["127.0.0.1", "localhost", "*.localhost", "testserver"]


def create_app(playground: Playground) -> FastAPI:
    """The whole forge. REST also answers without the prefix, to clients that know only one root."""
    app = FastAPI(
        title="Kfops playground",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        strict_content_type=False,
        redirect_slashes=False,
    )
    app.state.forge = playground
    app.state.windows = {}
    for prefix in (API_PREFIX, ""):
        for topic in _TOPICS:
            app.include_router(topic.routes, prefix=prefix)
    app.include_router(http_backend.routes)
    for pages in (app_page_routes, sign_in_routes, pull_page_routes, source_routes, page_routes):
        app.include_router(pages)
    app.add_exception_handler(Refusal, _on_refusal)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_middleware(_JsonWhateverItIsCalled)
    app.add_middleware(_RateLimited, forge=playground)
    app.add_middleware(_ById, forge=playground)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=_HOSTS)
    return app


async def _on_refusal(request: Request, error: Exception) -> Response:
    if not isinstance(error, Refusal):
        raise error
    for_people = "text/html" in request.headers.get("accept", "") and not _REST.match(request.url.path)
    return problem_page(request, error) if for_people else refused(error)


async def _on_http(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    return await _on_refusal(request, Refusal(error.status_code, str(error.detail)))


async def _on_invalid(request: Request, error: Exception) -> Response:
    """What FastAPI finds wrong with a request, in GitHub's words."""
    _ = request
    if not isinstance(error, RequestValidationError):
        raise error
    problems = error.errors()
    if any(one["loc"][0] == "path" for one in problems):
        return refused(Refusal(404, "Not Found"))
    if any(one["type"] == "json_invalid" for one in problems):
        return refused(Refusal(400, "Problems parsing JSON"))
    fields = [
        {
            "resource": "Request",
            "field": ".".join(str(part) for part in one["loc"][1:]) or "body",
            "code": "missing_field" if one["type"] == "missing" else "invalid",
            "message": str(one["msg"]),
        }
        for one in problems
    ]
    return refused(Refusal(422, "Validation Failed", fields))


class _ById:
    """`/repositories/ID/…` is `/repos/OWNER/NAME/…`: a renamed repository is the same one."""

    def __init__(self, app: ASGIApp, forge: Forge) -> None:
        self._app, self._forge = app, forge

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        match = _BY_ID.match(scope["path"]) if scope["type"] == "http" else None
        found = self._forge.state.repositories.get(int(match[2])) if match else None
        if match and found is not None:
            scope = {
                **scope,
                "path": f"{match[1]}/repos/{self._forge.state.full_name(found)}{match[3] or ''}",
            }
        await self._app(scope, receive, send)


class _JsonWhateverItIsCalled:
    """The body of a REST call is JSON, as on GitHub, also when `curl -d` calls it a form."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and _REST.match(scope["path"]):
            others = [(name, value) for name, value in scope["headers"] if name != b"content-type"]
            scope = {**scope, "headers": [*others, (b"content-type", b"application/json")]}
        await self._app(scope, receive, send)


class _RateLimited:
    """Counts REST calls, refuses those over the limit, and tells every caller where it stands."""

    def __init__(self, app: ASGIApp, forge: Forge) -> None:
        self._app, self._forge = app, forge

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _REST.match(scope["path"]):
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        try:
            if not scope["path"].endswith("/rate_limit"):
                spend(self._forge, request)
        except Refusal as refusal:
            made = refused(refusal)
            made.headers.update(limit_headers(self._forge, request))
            await made(scope, receive, send)
            return

        async def send_told(message: dict[str, object]) -> None:
            if message["type"] == "http.response.start":
                told = [
                    (k.lower().encode(), v.encode()) for k, v in limit_headers(self._forge, request).items()
                ]
                message = {**message, "headers": [*message["headers"], *told]}  # type: ignore[misc]
            await send(message)

        await self._app(scope, receive, send_told)  # type: ignore[arg-type]
