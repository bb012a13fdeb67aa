"""The routes. What a caller did wrong is a 400 with a sentence; what the model did wrong is a 500 with its first line."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import anyio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from . import protocols
from .model import Model
from .table import BadInput

_LARGEST_BODY = 16 << 20
_LONGEST_MESSAGE = 300

Read = Callable[[Any, Model], Any]
Answer = Callable[[Model, Any], dict[str, Any]]


@dataclass(frozen=True)
class Identity:
    """Who answers: the model's name, its version's label and the revision's digest."""

    name: str
    version: str
    revision: str


class _Fault(Exception):  # noqa: N818
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def application(model: Model, identity: Identity) -> ASGIApp:
    threads = anyio.CapacityLimiter(max(2, os.cpu_count() or 1))

    async def answered(request: Request, read: Read, answer: Answer) -> tuple[Any, dict[str, Any]]:
        _check_name(request, identity)
        body = _parse(await _body(request))
        return body, await anyio.to_thread.run_sync(_predict, model, read, answer, body, limiter=threads)

    async def predict(request: Request) -> Response:
        _, answer = await answered(request, protocols.instances, protocols.klearn_answer)
        return _json(answer)

    async def predict_v1(request: Request) -> Response:
        _, answer = await answered(request, protocols.instances, protocols.v1_answer)
        return _json(answer)

    async def infer(request: Request) -> Response:
        body, answer = await answered(request, protocols.tensors, protocols.v2_answer)
        named = {"model_name": identity.name, "model_version": identity.version}
        return _json(named | ({"id": body["id"]} if "id" in body else {}) | answer)

    async def metadata(request: Request) -> Response:
        _check_name(request, identity)
        return _json(_metadata(model, identity))

    async def ready(request: Request) -> Response:
        _check_name(request, identity)
        return _json({"name": identity.name, "ready": True})

    async def health(request: Request) -> Response:  # noqa: ARG001 - Starlette's endpoint signature
        return _json({"live": True, "ready": True})

    routes = [
        Route("/predict", predict, methods=["POST"]),
        Route("/v1/models/{name}:predict", predict_v1, methods=["POST"]),
        Route("/v1/models/{name}", ready),
        Route("/v2/health/live", health),
        Route("/v2/health/ready", health),
        Route("/v2/models/{name}", metadata),
        Route("/v2/models/{name}/ready", ready),
        Route("/v2/models/{name}/infer", infer, methods=["POST"]),
        Route("/v2/models/{name}/versions/{version}", metadata),
        Route("/v2/models/{name}/versions/{version}/ready", ready),
        Route("/v2/models/{name}/versions/{version}/infer", infer, methods=["POST"]),
    ]
    app = Starlette(routes=routes, exception_handlers={_Fault: _fault, Exception: _unexpected})
    return _named(app, identity)


def _predict(model: Model, read: Read, answer: Answer, body: Any) -> dict[str, Any]:
    try:
        features = read(body, model)
    except BadInput as error:
        raise _Fault(400, str(error)) from error
    try:
        return answer(model, features)
    except Exception as error:
        traceback.print_exc(file=sys.stderr)  # for the server's log; the caller gets one line
        first = (str(error).strip().splitlines() or ["no message"])[0]
        raise _Fault(500, f"the model failed: {type(error).__name__}: {first}"[:_LONGEST_MESSAGE]) from error


def _metadata(model: Model, identity: Identity) -> dict[str, Any]:
    columns = model.signature.columns or ()
    inputs = [{"name": column.name, "datatype": column.type, "shape": [-1]} for column in columns]
    outputs = [{"name": "predict", "datatype": "", "shape": [-1]}]
    answer = {
        "name": identity.name,
        "versions": [identity.version],
        "platform": "mlflow",
        "inputs": inputs,
        "outputs": outputs,
    }
    return answer | {"parameters": {"revision": identity.revision, "classes": model.classes}}


def _check_name(request: Request, identity: Identity) -> None:
    parameters = request.path_params
    if parameters.get("name", identity.name) != identity.name:
        raise _Fault(404, f"no model {parameters['name']!r} here; expected {identity.name!r}")
    if parameters.get("version", identity.version) != identity.version:
        raise _Fault(404, f"no version {parameters['version']!r} here; expected {identity.version!r}")


async def _body(request: Request) -> bytes:
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > _LARGEST_BODY:
            raise _Fault(413, f"the body is over {_LARGEST_BODY >> 20} MiB")
    return bytes(content)


def _parse(content: bytes) -> Any:
    def refuse(name: str) -> Any:
        raise ValueError(f"{name} is no JSON")

    try:
        return json.loads(content, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise _Fault(400, f"the body is no JSON: {error}") from error


def _json(content: Any, status: int = 200) -> Response:
    try:
        text = json.dumps(content, allow_nan=False, default=str)
    except ValueError:
        text = json.dumps(protocols.finite(content), allow_nan=False, default=str)
    return Response(text, status, media_type="application/json")


async def _fault(request: Request, error: Exception) -> Response:  # noqa: ARG001
    return _json({"error": str(error)}, error.status if isinstance(error, _Fault) else 500)


async def _unexpected(request: Request, error: Exception) -> Response:  # noqa: ARG001
    return _json({"error": f"the server failed: {type(error).__name__}"}, 500)


def _named(app: ASGIApp, identity: Identity) -> ASGIApp:
    """Every answer says which revision gave it."""
    extra = [
        (b"x-kfops-revision", identity.revision.encode("latin-1", "replace")),
        (b"x-kfops-version", identity.version.encode("latin-1", "replace")),
    ]

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *extra]
            await send(message)

        await app(scope, receive, sending)

    return wrapped
