"""The door of the REST API: who calls, which repository, one at a time, answers as GitHub words them."""

from __future__ import annotations

import functools
import hashlib
import json
from base64 import b64decode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Request, Response

from kfops.playground.actions.apps import app_of_jwt
from kfops.playground.errors import Refusal, not_found
from kfops.playground.forge import Forge
from kfops.playground.roles import Caller, require, see
from kfops.playground.state import App, PullRequest, Repository, Role, User

PER_PAGE, MOST_PER_PAGE = 30, 100
DOCUMENTATION = "https://docs.github.com/rest"
_JWT_DOTS = 2

T = TypeVar("T")


@dataclass(frozen=True)
class At:
    """One request: the forge, the caller, and what the path names."""

    forge: Forge
    caller: Caller
    request: Request

    @property
    def repository(self) -> Repository:
        names = self.request.path_params
        return see(self.forge.state.repository(names["owner"], names["repo"]), self.caller)

    @property
    def pull(self) -> PullRequest:
        names = self.request.path_params
        return self.forge.pull(self.repository, int(names.get("pull_number") or names["issue_number"]))

    @property
    def app(self) -> App:
        """The app that signed its own JWT."""
        if self.caller.app is None or self.caller.installation is not None:
            raise Refusal(401, "A JSON web token could not be decoded")
        return self.caller.app

    def require(self, role: Role, *scopes: str, level: str = "write") -> User:
        return require(self.repository, self.caller, role, scopes=scopes, level=level)

    def commit(self, ref: str) -> str:
        """The commit that a ref of the path names; 422 for a sha that is not there, 404 for a name, 409 where nothing is."""
        bare = self.forge.bare(self.repository)
        found = bare.resolve(ref)
        if found is None and not bare.refs("refs/heads"):
            raise Refusal(409, "Git Repository is empty.")
        if found is None:
            is_sha = len(ref) == 40 and all(letter in "0123456789abcdef" for letter in ref)  # noqa: PLR2004
            raise Refusal(422, f"No commit found for SHA: {ref}") if is_sha else not_found()
        return found

    def number(self, name: str, default: int) -> int:
        text = self.request.query_params.get(name, "")
        return int(text) if text.isdecimal() and int(text) else default

    @property
    def page(self) -> tuple[int, int]:
        """(page, per page), each at least 1."""
        return self.number("page", 1), min(self.number("per_page", PER_PAGE), MOST_PER_PAGE)


def identify(forge: Forge, authorization: str) -> Caller:
    """Whoever the header names. Nobody without one; 401 for a token that is unknown or over."""
    scheme, _, value = authorization.partition(" ")
    token = value.strip()
    if scheme.lower() == "basic":
        try:
            token = b64decode(token).decode().partition(":")[2]
        except ValueError:
            token = ""
    if not authorization:
        return Caller()
    if token.count(".") == _JWT_DOTS:
        return Caller(app=app_of_jwt(forge, token))
    signed_in = forge.state.users.get(forge.state.user_tokens.get(token, 0))
    user = signed_in or next(
        (user for user in forge.state.users.values() if token and user.token == token), None
    )
    if user is not None:
        return Caller(user=user)
    issued = forge.state.installation_tokens.get(token)
    if issued is None or issued.expires_at <= forge.now():
        raise Refusal(401, "Bad credentials")
    installation = forge.state.installations[issued.installation_id]
    app = forge.state.apps[installation.app_id]
    return Caller(
        user=forge.state.users[app.bot_id],
        app=app,
        installation=installation,
        permissions=issued.permissions,
        repository_ids=issued.repository_ids,
    )


def _at(request: Request) -> At:
    forge: Forge = request.app.state.forge
    with forge.lock:
        return At(forge, identify(forge, request.headers.get("authorization", "")), request)


In = Annotated[At, Depends(_at)]


class Routes(APIRouter):
    """Handlers take `at` first, run one at a time under the forge's lock, and may raise `Refusal`."""

    def add_api_route(self, path: str, endpoint: Callable[..., Any], **settings: Any) -> None:
        super().add_api_route(path, _in_turn(endpoint), **{**settings, "response_model": None})


def _in_turn(endpoint: Callable[..., Response]) -> Callable[..., Response]:
    @functools.wraps(endpoint)
    def handle(*arguments: Any, at: At, **named: Any) -> Response:
        with at.forge.lock:
            try:
                made = endpoint(*arguments, at=at, **named)
            except Refusal as refusal:
                made = refused(refusal)
            else:
                if at.request.method != "GET":
                    at.forge.state.revision += 1
        return _conditional(at.request, made)

    return handle


def _conditional(request: Request, made: Response) -> Response:
    """Gives an ETag, and 304 to whoever has this answer already."""
    made.headers["X-GitHub-Media-Type"] = "github.v3; format=json"
    made.headers["X-GitHub-Api-Version-Selected"] = request.headers.get("x-github-api-version", "2022-11-28")
    if request.method != "GET" or made.status_code != 200:  # noqa: PLR2004
        return made
    tag = f'"{hashlib.sha256(bytes(made.body)).hexdigest()}"'
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers={"ETag": tag})
    made.headers["ETag"] = tag
    return made


def answer(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    body = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
    return Response(body, status, headers, media_type="application/json; charset=utf-8")


def created(content: dict[str, Any]) -> Response:
    return answer(content, 201, {"Location": str(content["url"])})


def nothing() -> Response:
    return Response(status_code=204)


def refused(refusal: Refusal) -> Response:
    body: dict[str, Any] = {
        "message": refusal.message,
        "documentation_url": DOCUMENTATION,
        "status": str(refusal.status),
    }
    if refusal.errors:
        body["errors"] = [error if isinstance(error, str) else dict(error) for error in refusal.errors]
    return answer(body, refusal.status)


def page_of(at: At, items: Sequence[T], show: Callable[[T], Any], under: str = "") -> Response:
    """One page of a list, with GitHub's Link header; `under` names the list inside an object with its total."""
    page, size = at.page
    shown = [show(item) for item in items[(page - 1) * size : page * size]]
    content = {"total_count": len(items), under: shown} if under else shown
    return answer(content, headers=links(at, len(items)))


def links(at: At, total: int) -> dict[str, str]:
    """The Link header of a list of `total` items; none where all of them are on this page."""
    page, size = at.page
    last = max(1, -(-total // size))
    wanted = {"prev": page - 1, "next": page + 1, "last": last, "first": 1}
    if page == 1:
        del wanted["prev"], wanted["first"]
    if page >= last:
        del wanted["next"], wanted["last"]
    query = {key: value for key, value in at.request.query_params.items() if key != "page"}
    url = f"{at.forge.base_url}{at.request.url.path}"
    parts = [
        f'<{url}?{urlencode({**query, "page": number})}>; rel="{name}"'
        for name, number in wanted.items()
        if number >= 1
    ]
    return {"Link": ", ".join(parts)} if parts else {}
