"""Door 1: the forge calls. Verify, store, answer; nothing else happens here."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, generate_latest

from kfops.domain.events import Event
from kfops.ports.clock import Clock
from kfops.ports.errors import Unavailable
from kfops.webhook.description import DELIVERY
from kfops.webhook.forge_calls import ForgeCalls
from kfops.webhook.payloads import EVENTS, PayloadProblem, parse
from kfops.webhook.signature import is_signed
from kfops.webhook.writer import Accepts, Writer
from kfops.workflow.inbox import arrival_of

LARGEST = 2 * 1024 * 1024
LONGEST_ID, LONGEST_NAME = 128, 64
log = structlog.get_logger("kfops.webhook")


def create_app(
    inbox: Accepts,
    *,
    secrets: Sequence[str],
    clock: Clock,
    is_allowed: Callable[[str], bool],
    readiness: Callable[[], list[str]],
    poke: Callable[[], None],
    forge_calls: Callable[[], Mapping[str, int]] = dict,
) -> FastAPI:
    """`is_allowed`: may a repository of this full name use the bot (R1)? `readiness`: what is wrong now, as sentences.

    `forge_calls`: how often each operation of the forge was asked, for /metrics.
    """
    app = FastAPI(title="Kfops", docs_url=None, redoc_url=None)
    writer, registry = Writer(inbox), CollectorRegistry()
    counted = Counter(
        "kfops_deliveries", "Deliveries by event and answer", ["event", "answer"], registry=registry
    )

    registry.register(ForgeCalls(forge_calls))
    receiver = Receiver(writer, secrets, clock, is_allowed, poke)

    @app.post("/webhooks/github", status_code=202, openapi_extra=DELIVERY)
    async def github(request: Request) -> Response:
        name = request.headers.get("x-github-event", "")
        status, said = await receiver.receive(request, name)
        # By names that are known: anybody may send any other, and each would be kept for ever.
        counted.labels(name if name in EVENTS else "other", str(status)).inc()
        return JSONResponse({"message": said}, status)

    @app.get("/healthz")
    def healthz() -> dict[str, str]:
        return {"status": "alive"}

    @app.get("/readyz")
    def readyz() -> Response:
        problems = readiness()
        return JSONResponse(
            {"status": "not ready" if problems else "ready", "problems": problems}, 503 if problems else 200
        )

    @app.get("/metrics")
    def metrics() -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return app


@dataclass(frozen=True)
class Receiver:
    """One delivery: the answer's status and what it says."""

    writer: Writer
    secrets: Sequence[str]
    clock: Clock
    is_allowed: Callable[[str], bool]
    poke: Callable[[], None]

    async def receive(self, request: Request, name: str) -> tuple[int, str]:
        raw = await _body(request)
        if raw is None:
            return 413, f"a delivery has at most {LARGEST} bytes"
        if not is_signed(raw, request.headers.get("x-hub-signature-256"), self.secrets):
            return 401, "X-Hub-Signature-256 is missing or was not made with the webhook's secret"
        delivery = request.headers.get("x-github-delivery", "")
        if not 0 < len(name) <= LONGEST_NAME or not 0 < len(delivery) <= LONGEST_ID:
            return (
                400,
                f"X-GitHub-Event (at most {LONGEST_NAME} characters) and X-GitHub-Delivery ({LONGEST_ID}) are needed",
            )
        event = parse(name, raw)
        if isinstance(event, PayloadProblem):
            return 400, event.message
        if event is not None and not self.is_allowed(event.repository.full_name):
            return 202, "this repository is not served"
        return await self._store(event, name, delivery, hashlib.sha256(raw).hexdigest())

    async def _store(self, event: Event | None, name: str, delivery: str, digest: str) -> tuple[int, str]:
        arrival = arrival_of(event, name=name, delivery_id=delivery, body_digest=digest, now=self.clock.now())
        try:
            await self.writer.store(arrival)
        except Unavailable as error:
            log.warning("not stored", delivery=delivery, error=str(error))
            return 503, "the ledger is away; deliver this again"
        if arrival.operations or arrival.pokes:
            self.poke()
        return 202, "stored"


async def _body(request: Request) -> bytes | None:
    """The raw bytes; None when there are too many, without having read them all."""
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > LARGEST:
            return None
        parts.append(part)
    return b"".join(parts)
