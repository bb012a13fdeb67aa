"""The Kubernetes API with plain dicts: what is sent is what was written, whatever version of an SDK is installed.

Every call ends within its time-out. `Unavailable`: not now; `Refused`: not at all, and why.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import httpx

from kfops.adapters.kubernetes.access import Access
from kfops.ports.errors import Refused, Unavailable

Document = dict[str, Any]

MERGE = "application/merge-patch+json"
APPLY = "application/apply-patch+yaml"
_NOT_FOUND, _CONFLICT, _TOO_MANY, _SERVER = 404, 409, 429, 500
_FORBIDDEN = {401, 403}


class Conflict(Unavailable):
    """Somebody else changed it since it was read, or has made it already: read again, then decide again."""


class Kubernetes:
    """Thread-safe. Paths are the API's own, such as `/api/v1/namespaces/churn/pods`."""

    def __init__(self, access: Access, *, timeout_s: float = 10.0, page: int = 500) -> None:
        self._access = access
        self._page = page
        self._http = httpx.Client(
            base_url=access.server, verify=access.tls(), timeout=timeout_s, trust_env=False
        )

    def close(self) -> None:
        self._http.close()

    def get(self, path: str) -> Document | None:
        """None: there is no such thing, or the API does not know its kind."""
        answer = self._send("GET", path)
        return None if answer.status_code == _NOT_FOUND else _document(answer, path)

    def list(
        self, path: str, labels: Mapping[str, str] | None = None, *, fields: Mapping[str, str] | None = None
    ) -> list[Document]:
        """Everything, page by page; nothing where the API does not know the kind."""
        found: list[Document] = []
        query = {"limit": str(self._page)}
        for name, wanted in (("labelSelector", labels), ("fieldSelector", fields)):
            if wanted:
                query[name] = ",".join(f"{key}={value}" for key, value in wanted.items())
        while True:
            answer = self._send("GET", path, query=query)
            if answer.status_code == _NOT_FOUND:
                return []
            page = _document(answer, path)
            found += page.get("items") or []
            more = page.get("metadata", {}).get("continue")
            if not more:
                return found
            query |= {"continue": more}

    def create(self, path: str, body: Mapping[str, Any]) -> Document:
        """Conflict: it is there already."""
        return _document(self._send("POST", path, body), path)

    def patch(self, path: str, body: Mapping[str, Any]) -> Document:
        """A merge patch: null takes a field away. With `metadata.resourceVersion` in it, it is only taken when nothing
        has changed since that was read. Else Conflict, as when it is gone.
        """
        answer = self._send("PATCH", path, body, kind=MERGE)
        if answer.status_code == _NOT_FOUND:
            raise Conflict(f"{path} is gone")
        return _document(answer, path)

    def apply(self, path: str, body: Mapping[str, Any], *, manager: str, force: bool = False) -> Document:
        """Server-side apply under the name of `manager`."""
        query = {"fieldManager": manager} | ({"force": "true"} if force else {})
        return _document(self._send("PATCH", path, body, kind=APPLY, query=query), path)

    def delete(self, path: str, *, uid: str | None = None, is_last: bool = False) -> bool:
        """False: it was not there. With `uid`: only that very one, not a later one of the same name. `is_last`: it goes
        after what belongs to it, so that its name is free when nothing of it is left.
        """
        body: Document = {"propagationPolicy": "Foreground" if is_last else "Background"}
        if uid is not None:
            body["preconditions"] = {"uid": uid}
        answer = self._send("DELETE", path, body)
        if answer.status_code == _NOT_FOUND:
            return False
        _document(answer, path)
        return True

    def text(self, path: str, query: Mapping[str, str] | None = None) -> str | None:
        """A log. None: there is none."""
        answer = self._send("GET", path, query=query)
        if answer.status_code == _NOT_FOUND:
            return None
        _raise_for(answer, path)
        return answer.text

    def _send(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        kind: str = "application/json",
        query: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        headers = {"accept": "application/json, */*"}
        token = self._access.token()
        if token:
            headers["authorization"] = f"Bearer {token}"
        content = None
        if body is not None:
            content, headers["content-type"] = json.dumps(body).encode(), kind
        try:
            return self._http.request(
                method, path, content=content, headers=headers, params=dict(query or {})
            )
        except (httpx.HTTPError, OSError) as error:
            raise Unavailable(f"the Kubernetes API did not answer {method} {path}: {error}") from error


def _document(answer: httpx.Response, path: str) -> Document:
    _raise_for(answer, path)
    try:
        return dict(answer.json())
    except (ValueError, TypeError) as error:
        raise Unavailable(f"the Kubernetes API answered {path} with something else than JSON") from error


def _raise_for(answer: httpx.Response, path: str) -> None:
    status = answer.status_code
    if answer.is_success:
        return
    said = f"the Kubernetes API answered {status} to {answer.request.method} {path}: {_message(answer)}"
    if status == _CONFLICT:
        raise Conflict(said)
    if status == _TOO_MANY or status >= _SERVER:
        wait = answer.headers.get("retry-after", "")
        raise Unavailable(said, retry_after_s=float(wait) if wait.isdigit() else None)
    fix = (
        "give the bot's account this right; deploy/ has the roles that it needs"
        if status in _FORBIDDEN
        else ""
    )
    raise Refused(said, fix=fix)


def _message(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["message"])
    except (ValueError, KeyError, TypeError):
        return answer.text[:300]


def condition(conditions: Iterable[Mapping[str, Any]] | None, kind: str) -> Mapping[str, Any]:
    """The condition of this type; an empty one where it was not reported."""
    return next((one for one in conditions or () if one.get("type") == kind), {})
