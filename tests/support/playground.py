"""A running playground, a git work tree against it, and a client that holds every answer against GitHub's description."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from kfops.adapters.local.serving.plain_http import NO_TLS
from kfops.playground.playground import Playground
from kfops.playground.server import running
from kfops.playground.state import Repository, Role, User


def now() -> datetime:
    return datetime.fromtimestamp(time.time(), UTC)


ROOT = Path(__file__).resolve().parents[2]
DESCRIPTION = "github-rest.openapi.json"


def contract(name: str) -> Path:
    """A file of the contracts folder; without it the test is skipped, and says where it was looked for."""
    folder = Path(os.environ.get("KFOPS_CONTRACTS") or ROOT.parent / "shared" / "contracts")
    if not (folder / name).is_file():
        pytest.skip(
            f"{name} is not in {folder}; set KFOPS_CONTRACTS to the folder that holds the published API descriptions"
        )
    return folder / name


@lru_cache(maxsize=1)
def description() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        contract(DESCRIPTION).read_text(encoding="utf-8"), object_hook=_readable
    )
    return found


def _readable(node: dict[str, Any]) -> dict[str, Any]:
    """Two things that openapi-core takes more strictly than GitHub means them.

    `discriminator` only says where to look first (openapi-core follows it into lists, where there is no such key),
    and a nullable enumeration may be null though its values do not list it.
    """
    if node.get("nullable") is True and isinstance(node.get("enum"), list):
        node["enum"].append(None)
    return {key: value for key, value in node.items() if key != "discriminator"}


@lru_cache(maxsize=1)
def _openapi() -> Any:
    from openapi_core import Config, OpenAPI

    return OpenAPI.from_dict(
        description(),
        config=Config(
            spec_validator_cls=None,
            extra_media_type_deserializers={"application/vnd.github.object": json.loads},
        ),
    )


def operations() -> set[tuple[str, str]]:
    methods = {"get", "put", "post", "patch", "delete"}
    return {
        (method.upper(), path)
        for path, found in description()["paths"].items()
        for method in found
        if method in methods
    }


@dataclass
class Validating:
    """Calls operations by their template; `walked` remembers (method, template, status)."""

    url: str
    token: str
    walked: set[tuple[str, str, int]] = field(default_factory=set)

    def as_(self, token: str) -> Validating:
        """The same client under another credential; both remember together."""
        return Validating(self.url, token, self.walked)

    def __call__(
        self,
        method: str,
        template: str,
        status: int,
        *,
        body: Any = None,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        **names: Any,
    ) -> Any:
        """The JSON of the answer, which must have this status and fit the description."""
        made = self.send(method, template, body=body, query=query, headers=headers, **names)
        assert made.status_code == status, f"{method} {template}: {made.status_code} {made.text[:2000]}"
        return (
            made.json() if made.content and "json" in made.headers.get("content-type", "") else made.content
        )

    def send(
        self,
        method: str,
        template: str,
        *,
        body: Any = None,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        **names: Any,
    ) -> httpx.Response:
        path = template.format(**names)
        sent = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        content = None if body is None else json.dumps(body).encode()
        with httpx.Client(base_url=self.url, trust_env=False, timeout=30, verify=NO_TLS) as client:
            made = client.request(
                method,
                f"/api/v3{path}",
                params=dict(query or {}),
                content=content,
                headers={
                    **sent,
                    **({"Content-Type": "application/json"} if content else {}),
                    **(headers or {}),
                },
            )
        self.walked.add((method, template, made.status_code))
        _validate(method, template, names, content, query or {}, made)
        return made


def _validate(
    method: str,
    template: str,
    names: Mapping[str, Any],
    content: bytes | None,
    query: Mapping[str, Any],
    made: httpx.Response,
) -> None:
    from openapi_core.exceptions import OpenAPIError
    from openapi_core.testing import MockRequest, MockResponse

    operation = description()["paths"].get(template, {}).get(method.lower())
    if operation is None:
        return
    if str(made.status_code) not in operation["responses"]:
        # GitHub describes few of its refusals; all of them have this shape.
        assert made.status_code >= 400, (
            f"{method} {template} answers {made.status_code}, which is not described"
        )
        assert set(made.json()) >= {"message", "documentation_url", "status"}
        return
    raw = "json" not in made.headers.get("content-type", "json")
    if raw or made.status_code in {204, 302, 304}:
        assert raw or not made.content
        return
    path = template.format(**{name: quote(str(value), safe="") for name, value in names.items()})
    request = MockRequest("https://api.github.com", method.lower(), path, args=dict(query), data=content)
    kind = (
        "application/vnd.github.object" if "object" in made.request.headers["accept"] else "application/json"
    )
    answer = MockResponse(made.content, made.status_code, dict(made.headers), kind)
    try:
        _openapi().validate_response(request, answer)
    except OpenAPIError as error:
        raise AssertionError(f"{method} {template} {made.status_code}: {_leaves(error)}") from None
    if made.is_success:
        _openapi().validate_request(request)


def _leaves(error: BaseException) -> list[str]:
    """What openapi-core found, without the value it found it in."""
    cause: BaseException | None = error
    while cause is not None and not hasattr(cause, "schema_errors"):
        cause = cause.__cause__
    found = list(getattr(cause, "schema_errors", [])) or [error]
    return [_leaf(one)[:500] for one in found]


def _leaf(error: Any) -> str:
    inner = [_leaf(one) for one in getattr(error, "context", None) or []]
    place = "/".join(str(part) for part in getattr(error, "absolute_path", ()))
    return f"{place}: {' | '.join(inner) or str(getattr(error, 'message', error))[-200:]}"


@dataclass
class WorkTree:
    """A clone of a playground's repository, as somebody."""

    path: Path
    user: User

    def git(self, *arguments: str, ok: bool = True) -> str:
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.path,
            capture_output=True,
            text=True,
            check=False,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self.path.parent),
                "GIT_CONFIG_GLOBAL": os.devnull,
                "GIT_CONFIG_NOSYSTEM": "1",
                "GIT_TERMINAL_PROMPT": "0",
                "GIT_AUTHOR_NAME": self.user.login,
                "GIT_AUTHOR_EMAIL": self.user.email,
                "GIT_COMMITTER_NAME": self.user.login,
                "GIT_COMMITTER_EMAIL": self.user.email,
            },
        )
        assert (done.returncode == 0) == ok, done.stderr
        return (done.stdout if ok else done.stderr).strip()

    def commit(
        self, branch: str, files: Mapping[str, str | None], *, onto: str = "HEAD", message: str = "Change"
    ) -> str:
        """Commits files (None deletes one) on a branch made from `onto` unless it is there, pushes, answers the sha."""
        if not self.git("branch", "--list", branch):
            if self.git("rev-list", "--all", "--max-count=1"):
                self.git("checkout", "--quiet", "-b", branch, onto)
            else:
                self.git("checkout", "--quiet", "--orphan", branch)
        else:
            self.git("checkout", "--quiet", branch)
        for name, text in files.items():
            target = self.path / name
            if text is None:
                target.unlink()
            else:
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(text, encoding="utf-8")
        self.git("add", "--all")
        self.git("commit", "--quiet", "-m", message)
        self.git("push", "--quiet", "--force", "origin", branch)
        return self.git("rev-parse", "HEAD")


@dataclass
class World:
    """ada owns; bob writes; cora maintains; tim triages; rita reads; root is site admin; kfops[bot] is the app."""

    playground: Playground
    url: str
    folder: Path
    call: Validating
    users: dict[str, User]
    app_id: int
    app_key: str

    def as_(self, login: str) -> Validating:
        return self.call.as_(self.users[login].token)

    def as_app(self) -> Validating:
        """By the app's own JWT."""
        return self.call.as_(self.jwt())

    def jwt(self) -> str:
        import jwt

        at = int(now().timestamp())
        return jwt.encode(
            {"iat": at - 30, "exp": at + 300, "iss": str(self.app_id)}, self.app_key, algorithm="RS256"
        )

    def as_installation(self, **asked: Any) -> Validating:
        found = self.as_app()("GET", "/app/installations", 200)
        template = "/app/installations/{installation_id}/access_tokens"
        made = self.as_app()("POST", template, 201, installation_id=found[0]["id"], body=asked)
        return self.call.as_(made["token"])

    def repository(self, name: str, *, private: bool = False) -> Repository:
        made = self.playground.create_repository("ada", name, private=private)
        for login, role in {
            "bob": Role.WRITE,
            "cora": Role.MAINTAIN,
            "tim": Role.TRIAGE,
            "rita": Role.READ,
        }.items():
            self.playground.set_role(f"ada/{name}", login, role)
        return made

    def clone(self, name: str, login: str = "ada") -> WorkTree:
        path = self.folder / f"{name}-{login}"
        path.mkdir()
        tree = WorkTree(path, self.users[login])
        address = self.url.replace("http://", f"http://{login}:{self.users[login].token}@")
        tree.git("init", "--quiet", "--initial-branch=main")
        tree.git("remote", "add", "origin", f"{address}/ada/{name}.git")
        return tree

    def with_pull(self, name: str, files: Mapping[str, str] | None = None) -> tuple[WorkTree, int, str]:
        """A repository with a main branch and one open pull request of bob's: its tree, number and head."""
        self.repository(name)
        tree = self.clone(name)
        tree.commit(
            "main", {"README.md": "one\ntwo\nthree\n", "data/rows.csv": "a,b\n1,2\n"}, message="Begin"
        )
        head = tree.commit("topic", files or {"README.md": "one\ntwo\nthree\nfour\n"}, message="Go on")
        template = "/repos/{owner}/{repo}/pulls"
        body = {"title": "Go on", "head": "topic", "base": "main", "body": "Four."}
        made = self.as_("bob")("POST", template, 201, owner="ada", repo=name, body=body)
        return tree, made["number"], head


@contextmanager
def world(folder: Path) -> Iterator[World]:
    playground = Playground(folder / "forge", clock=now)
    users = {login: playground.add_user(login) for login in ("ada", "bob", "cora", "tim", "rita", "stranger")}
    users["root"] = playground.add_user("root", site_admin=True)
    users["helper"] = playground.add_user("helper", everywhere=Role.WRITE)
    app, key = playground.register_app("kfops", owner="ada")
    with running(playground) as url:
        yield World(playground, url, folder, Validating(url, users["ada"].token), users, app.id, key)


@dataclass
class Received:
    event: str
    headers: dict[str, str]
    body: bytes

    @property
    def payload(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found


@contextmanager
def receiver(status: int = 202) -> Iterator[tuple[str, list[Received]]]:
    """An address that takes webhooks, and what came in."""
    received: list[Received] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            received.append(Received(headers["x-github-event"], headers, body))
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/hook", received
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
