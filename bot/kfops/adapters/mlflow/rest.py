"""MLflow's REST API over plain HTTP.

Not through the `mlflow` package: beside the `local` extra its import brings pandas and pyarrow into the bot (3.5 s,
170 MB), and a dozen calls do not need them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx

from kfops.ports.errors import Refused, Unavailable

_TIMEOUT = httpx.Timeout(30.0, connect=5.0)
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_TOO_MANY = (408, 425, 429)
_NOT_ALLOWED = (401, 403)


class MlflowRefused(Refused):
    """A refusal with MLflow's own error code, such as RESOURCE_DOES_NOT_EXIST."""

    def __init__(self, message: str, *, code: str, fix: str = "") -> None:
        super().__init__(message, fix=fix)
        self.code = code


class Rest:
    """Calls to one tracking server. Every failure is `Unavailable` or `MlflowRefused`."""

    def __init__(self, url: str, *, auth: httpx.Auth | tuple[str, str] | None = None) -> None:
        self.url = url.rstrip("/")
        # A proxy from the environment must not be asked for a server on this very machine.
        beyond = httpx.URL(self.url).host not in _LOOPBACK
        self._client = httpx.Client(base_url=self.url, auth=auth, timeout=_TIMEOUT, trust_env=beyond)

    def get(self, call: str, **query: str | int) -> dict[str, Any]:
        return self._json("GET", call, params=query)

    def post(self, call: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return self._json("POST", call, json=body)

    def delete(self, call: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return self._json("DELETE", call, json=body)

    @contextmanager
    def stream(self, method: str, path: str, **arguments: Any) -> Iterator[httpx.Response]:
        """A successful answer whose body is still to be read."""
        try:
            with self._client.stream(method, path, **arguments) as response:
                if not response.is_success:
                    response.read()
                    raise _failure(response)
                yield response
        except httpx.TransportError as error:
            raise Unavailable(
                f"MLflow at {self.url} does not answer: {str(error) or type(error).__name__}"
            ) from error

    def close(self) -> None:
        self._client.close()

    def _json(self, method: str, call: str, **arguments: Any) -> dict[str, Any]:
        with self.stream(method, f"/api/2.0/mlflow/{call}", **arguments) as response:
            response.read()
        answer = _parsed(response)
        if answer is None:
            raise Unavailable(
                f"{self.url} answered {call} with something else than JSON; is it an MLflow server?"
            )
        return answer


def _parsed(response: httpx.Response) -> dict[str, Any] | None:
    try:
        body = response.json()
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def _failure(response: httpx.Response) -> Unavailable | MlflowRefused:
    body = _parsed(response) or {"message": response.text}
    code = str(body.get("error_code", ""))
    request = f"{response.request.method} {response.request.url.path}"
    text = f"MLflow said {response.status_code} {code} to {request}: {str(body.get('message', ''))[:500]}"
    if response.status_code in _TOO_MANY or response.is_server_error:
        wait = response.headers.get("retry-after", "")
        return Unavailable(text, retry_after_s=float(wait) if wait.isdigit() else None)
    fix = ""
    if response.status_code in _NOT_ALLOWED:
        fix = "give the bot MLflow credentials that may write runs and models (the operator's settings)"
    return MlflowRefused(text, code=code, fix=fix)
