"""Prometheus' HTTP API: raw samples, because its own `increase` guesses at the edges of a window."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx

from kfops.ports.errors import Unavailable


@dataclass(frozen=True)
class Samples:
    """One series: its labels, and (seconds of the epoch, value), oldest first."""

    labels: Mapping[str, str]
    values: tuple[tuple[float, float], ...]


class Prometheus:
    """Thread-safe. `token` is asked before every call; None where Prometheus asks for none."""

    def __init__(
        self, url: str, *, token: Callable[[], str | None] = lambda: None, timeout_s: float = 5.0
    ) -> None:
        self._token = token
        self._http = httpx.Client(base_url=url, timeout=timeout_s, trust_env=False)

    def close(self) -> None:
        self._http.close()

    def samples(self, selector: str, since: datetime, until: datetime) -> list[Samples]:
        """Every sample as it was scraped, in (since, until]. Unavailable when Prometheus does not answer."""
        window_ms = max(1, round((until - since).total_seconds() * 1000))
        found = self._query(f"{selector}[{window_ms}ms]", until)
        return [
            Samples(
                one.get("metric", {}),
                tuple((float(at), float(value)) for at, value in one.get("values", [])),
            )
            for one in found
        ]

    def value(self, query: str, at: datetime) -> float | None:
        """Of a query with one number for an answer; None where it has none."""
        found = self._query(query, at)
        return float(found[0]["value"][1]) if found else None

    def _query(self, query: str, at: datetime) -> list[dict[str, Any]]:
        token = self._token()
        headers = {"authorization": f"Bearer {token}"} if token else {}
        asked = {"query": query, "time": f"{at.timestamp():.3f}"}
        try:
            answer = self._http.post("/api/v1/query", data=asked, headers=headers)
            content = answer.json()
            if content["status"] != "success":
                raise Unavailable(f"Prometheus did not answer: {content.get('error', answer.status_code)}")
            return list(content["data"]["result"])
        except (httpx.HTTPError, OSError, ValueError, KeyError, TypeError) as error:
            raise Unavailable(f"Prometheus did not answer: {error!r}") from error
