"""git over HTTP: `git http-backend`, the smart protocol's own CGI program, behind two addresses."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from typing import IO, Any

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import PlainTextResponse, StreamingResponse

from kfops.playground.actions.refs import tell_changes
from kfops.playground.errors import Refusal
from kfops.playground.forge import Forge
from kfops.playground.git.bare import git_environment
from kfops.playground.rest.door import identify
from kfops.playground.roles import Caller, caller_role, require
from kfops.playground.state import Repository, Role, User

routes = APIRouter(include_in_schema=False)
_SERVICES = ("git-upload-pack", "git-receive-pack")
_IN_MEMORY = 8 * 2**20  # bytes of a push that are held before they go to a file
_CHUNK = 2**16


@routes.get("/{owner}/{repo}/info/refs")
async def advertise(request: Request, owner: str, repo: str, service: str = "") -> Response:
    if service not in _SERVICES:
        return PlainTextResponse("Only the smart protocol is spoken here.\n", 403)
    return await run_in_threadpool(_serve, request, owner, repo, "info/refs", service, None)


@routes.post("/{owner}/{repo}/git-upload-pack")
async def upload_pack(request: Request, owner: str, repo: str) -> Response:
    return await _with_body(request, owner, repo, "git-upload-pack")


@routes.post("/{owner}/{repo}/git-receive-pack")
async def receive_pack(request: Request, owner: str, repo: str) -> Response:
    return await _with_body(request, owner, repo, "git-receive-pack")


async def _with_body(request: Request, owner: str, repo: str, service: str) -> Response:
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as body:
        async for chunk in request.stream():
            body.write(chunk)
        body.seek(0)
        body.fileno()  # moves it to a file: the CGI program reads a descriptor
        return await run_in_threadpool(_serve, request, owner, repo, service, service, body)


def _serve(
    request: Request, owner: str, repo: str, path: str, service: str, body: IO[bytes] | None
) -> Response:
    forge: Forge = request.app.state.forge
    writes = service == "git-receive-pack"
    try:
        with forge.lock:
            repository, user = _admit(forge, request, owner, repo, writes=writes)
    except Refusal as refusal:
        challenge = {"WWW-Authenticate": 'Basic realm="playground"'} if refusal.status == 401 else {}  # noqa: PLR2004
        return PlainTextResponse(f"{refusal.message}\n", refusal.status, challenge)
    process = subprocess.Popen(
        ["git", "http-backend"],
        stdin=body if body is not None else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=_cgi(forge, request, repository, path, user),
    )
    status, headers = _head(process)
    if writes and body is not None:
        # The pusher hears of success only after pull requests and webhooks know of the push.
        answered = _rest(process)
        with forge.lock:
            if user is not None:
                tell_changes(forge, repository, user)
        return Response(answered, status, headers)
    return StreamingResponse(_stream(process), status, headers)


def _admit(
    forge: Forge, request: Request, owner: str, repo: str, *, writes: bool
) -> tuple[Repository, User | None]:
    """401 asks for credentials, which git sends only when asked; 404 hides what may not be seen."""
    caller: Caller = identify(forge, request.headers.get("authorization", ""))
    repository = forge.state.repository(owner, repo.removesuffix(".git"))
    visible = repository is not None and caller_role(repository, caller) >= Role.READ
    if caller.user is None and (writes or not visible):
        raise Refusal(401, "Requires authentication")
    if repository is None or not visible:
        raise Refusal(404, "Repository not found.")
    if caller.user is not None:
        level = "write" if writes else "read"
        require(repository, caller, Role.WRITE if writes else Role.READ, scopes=("contents",), level=level)
    return repository, caller.user


def _cgi(
    forge: Forge, request: Request, repository: Repository, path: str, user: User | None
) -> dict[str, str]:
    given = request.headers
    env = {
        "GIT_PROJECT_ROOT": str(forge.bare(repository).path.parent.resolve()),
        "GIT_HTTP_EXPORT_ALL": "1",
        "PATH_INFO": f"/{repository.id}.git/{path}",
        "REQUEST_METHOD": request.method,
        "QUERY_STRING": request.url.query,
        "CONTENT_TYPE": given.get("content-type", ""),
        "HTTP_CONTENT_ENCODING": given.get("content-encoding", ""),
        "GIT_PROTOCOL": given.get("git-protocol", ""),
        "REMOTE_ADDR": request.client.host if request.client else "",
        "SERVER_PROTOCOL": "HTTP/1.1",
    }
    if user is not None:
        env["REMOTE_USER"] = user.login
    return git_environment(env)


def _out(process: subprocess.Popen[Any]) -> IO[bytes]:
    if process.stdout is None:
        raise RuntimeError("git http-backend was started without a pipe")
    return process.stdout


def _head(process: subprocess.Popen[Any]) -> tuple[int, dict[str, str]]:
    status, headers = 200, {}
    while line := _out(process).readline().decode("latin-1").strip():
        name, _, value = line.partition(":")
        if name.lower() == "status":
            status = int(value.split()[0])
        else:
            headers[name] = value.strip()
    return status, headers


def _rest(process: subprocess.Popen[Any]) -> bytes:
    with process:
        return _out(process).read()


def _stream(process: subprocess.Popen[Any]) -> Iterator[bytes]:
    """Ends the program with the answer, also when the client goes away in the middle."""
    with process:
        try:
            while chunk := _out(process).read(_CHUNK):
                yield chunk
        finally:
            process.kill()
