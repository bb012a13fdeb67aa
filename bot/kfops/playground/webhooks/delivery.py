"""Sending webhooks, in order, in the background, and keeping what was sent and answered."""

from __future__ import annotations

import hashlib
import hmac
import json
import queue
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import httpx

from kfops.playground.state import Delivery, Hook, State

TIMEOUT_S = 10.0
KEPT = 5_000  # deliveries; GitHub keeps some days' worth


class Outbox:
    """One thread delivers; it starts with the first delivery and ends with `close`."""

    def __init__(self, state: State, now: Callable[[], datetime]) -> None:
        self._state = state
        self._now = now
        self._waiting: queue.Queue[tuple[Hook, Delivery] | None] = queue.Queue()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    def put(
        self,
        hook: Hook,
        event: str,
        payload: dict[str, Any],
        *,
        repository_id: int | None,
        installation_id: int | None,
    ) -> Delivery:
        """Signs and queues one delivery. The body is fixed here: later changes do not reach it."""
        body = json.dumps(payload, separators=(",", ":")).encode()
        guid = str(uuid.uuid4())
        delivery = Delivery(
            id=self._state.next_id(),
            guid=guid,
            hook_id=hook.id,
            event=event,
            action=payload.get("action"),
            delivered_at=self._now(),
            headers=_headers(hook, event, guid, body),
            body=body,
            repository_id=repository_id,
            installation_id=installation_id,
        )
        self._queue(hook, delivery)
        return delivery

    def again(self, hook: Hook, delivery: Delivery) -> Delivery:
        """A redelivery: the same GUID and body, a row of its own."""
        attempt = replace(
            delivery,
            id=self._state.next_id(),
            delivered_at=self._now(),
            redelivery=True,
            status="pending",
            status_code=0,
            answer="",
            answer_headers={},
            headers=_headers(hook, delivery.event, delivery.guid, delivery.body),
        )
        self._queue(hook, attempt)
        return attempt

    def close(self) -> None:
        """Delivers what waits, then stops the thread."""
        with self._starting:
            thread, self._thread = self._thread, None
        if thread is not None:
            self._waiting.put(None)
            thread.join(TIMEOUT_S)

    def settle(self) -> None:
        """Waits until everything put so far was answered or failed."""
        self._waiting.join()

    def _queue(self, hook: Hook, delivery: Delivery) -> None:
        deliveries = self._state.deliveries
        deliveries[delivery.id] = delivery
        while len(deliveries) > KEPT:
            del deliveries[next(iter(deliveries))]
        self._waiting.put((hook, delivery))
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._deliver, name="playground-webhooks", daemon=True)
                self._thread.start()

    def _deliver(self) -> None:
        # The receiver is on this machine: no proxy of the environment's stands in between.
        with httpx.Client(timeout=TIMEOUT_S, trust_env=False) as client:
            while (item := self._waiting.get()) is not None:
                try:
                    _send(client, *item)
                finally:
                    self._waiting.task_done()
        self._waiting.task_done()


def _headers(hook: Hook, event: str, guid: str, body: bytes) -> dict[str, str]:
    target = (
        ("integration", hook.app_id) if hook.app_id is not None else ("repository", hook.repository_id or 0)
    )
    headers = {
        "Accept": "*/*",
        "Content-Type": "application/json",
        "User-Agent": "GitHub-Hookshot/playground",
        "X-GitHub-Delivery": guid,
        "X-GitHub-Event": event,
        "X-GitHub-Hook-ID": str(hook.id),
        "X-GitHub-Hook-Installation-Target-ID": str(target[1]),
        "X-GitHub-Hook-Installation-Target-Type": target[0],
    }
    if hook.secret:
        digest = hmac.new(hook.secret.encode(), body, hashlib.sha256).hexdigest()
        headers["X-Hub-Signature-256"] = f"sha256={digest}"
    return headers


def _send(client: httpx.Client, hook: Hook, delivery: Delivery) -> None:
    started = time.monotonic()
    try:
        answer = client.post(hook.url, content=delivery.body, headers=delivery.headers)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        delivery.status = (
            "timed out" if isinstance(error, httpx.TimeoutException) else "failed to connect to host"
        )
        delivery.answer = str(error)
    else:
        delivery.status_code = answer.status_code
        delivery.status = "OK" if answer.is_success else f"Invalid HTTP Response: {answer.status_code}"
        delivery.answer_headers = dict(answer.headers)
        delivery.answer = answer.text[:10_000]
    delivery.duration = round(time.monotonic() - started, 2)
