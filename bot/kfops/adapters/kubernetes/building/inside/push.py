"""`python push.py LAYOUT REPOSITORY TAG [CONFIG]`: push an image that lies here as files (OCI image layout, 1.1).

CONFIG is Docker's file of credentials. What the layout says is foreign: every blob is measured before it is sent, and
no link is followed. The registry's words are those of the OCI distribution specification, 1.1, and of Docker's token
authentication. KFOPS_REGISTRY=plain: without TLS. Stands alone: it imports nothing of Kfops.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import os
import re
import stat
import sys
import urllib.parse
import urllib.request
from pathlib import Path
from typing import IO, Any

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_INDEX = "application/vnd.oci.image.index.v1+json"
_LARGEST_DOCUMENT = 4 << 20
_BLOCK = 1 << 20
_WITHIN_S = 120
_TIMES = 2


class Problem(Exception):  # noqa: N818
    """Why it was not pushed, in a sentence."""


class Registry:
    """One repository of it."""

    def __init__(self, repository: str, config: dict[str, Any], *, is_plain: bool) -> None:
        self.host, _, self.name = repository.partition("/")
        self._kind = http.client.HTTPConnection if is_plain else http.client.HTTPSConnection
        known = config.get("auths") or {}
        entry = known.get(self.host) or known.get(f"https://{self.host}") or {}
        self._basic = entry.get("auth") or (
            base64.b64encode(f"{entry['username']}:{entry['password']}".encode()).decode()
            if "username" in entry
            else ""
        )
        self._said = ""

    def ask(
        self, method: str, address: str, body: bytes | IO[bytes] | None = None, **headers: str
    ) -> tuple[int, http.client.HTTPMessage]:
        """Once more with a token, where the registry asks for one."""
        for _ in range(_TIMES):
            url = urllib.parse.urlsplit(urllib.parse.urljoin(f"//{self.host}/v2/{self.name}/", address))
            if hasattr(body, "seek"):
                body.seek(0)  # type: ignore[union-attr]
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            if self._said and url.netloc == self.host:
                sent["Authorization"] = self._said
            connection = self._kind(url.netloc, timeout=_WITHIN_S)
            try:
                path = f"{url.path}?{url.query}" if url.query else url.path
                connection.request(method, path, body, sent)
                answer = connection.getresponse()
                answer.read(_LARGEST_DOCUMENT)
            finally:
                connection.close()
            if answer.status != http.client.UNAUTHORIZED or self._said:
                return answer.status, answer.headers
            self._said = self._credentials(answer.headers.get("WWW-Authenticate", ""))
        return answer.status, answer.headers

    def _credentials(self, challenge: str) -> str:
        scheme, _, rest = challenge.partition(" ")
        if scheme.lower() != "bearer":
            return f"Basic {self._basic}"
        words = dict(re.findall(r'(\w+)="([^"]*)"', rest))
        query = {
            "service": words.get("service", ""),
            "scope": f"repository:{self.name}:pull,push",
        }
        request = urllib.request.Request(f"{words['realm']}?{urllib.parse.urlencode(query)}")  # noqa: S310
        if self._basic:
            request.add_header("Authorization", f"Basic {self._basic}")
        with urllib.request.urlopen(request, timeout=_WITHIN_S) as answer:  # noqa: S310 - the registry's own word
            said = json.loads(answer.read(_LARGEST_DOCUMENT))
        return f"Bearer {said.get('token') or said['access_token']}"


def push(layout: Path, registry: Registry, tag: str) -> str:
    """The digest of what is now under the tag."""
    (image,) = json.loads(small(layout / "index.json"))["manifests"]
    manifest = json.loads(small(blob(layout, image)))
    for one in (manifest["config"], *manifest["layers"]):
        send(layout, registry, one)
    content = small(blob(layout, image))
    if hashlib.sha256(content).hexdigest() != image["digest"].partition(":")[2]:
        raise Problem("the manifest has another digest than is said")
    status, _ = registry.ask("PUT", f"manifests/{tag}", content, Content_Type=image["mediaType"])
    expected(status, {http.client.CREATED, http.client.OK}, "the manifest")
    return str(image["digest"])


def send(layout: Path, registry: Registry, one: dict[str, Any]) -> None:
    """A blob that the registry has is not sent again."""
    digest = str(one["digest"])
    path = blob(layout, one)
    status, _ = registry.ask("HEAD", f"blobs/{digest}")
    if status == http.client.OK:
        return
    with opened(path) as file:
        found = hashlib.sha256()
        while block := file.read(_BLOCK):
            found.update(block)
        if f"sha256:{found.hexdigest()}" != digest:
            raise Problem("a layer has another digest than is said")
        status, headers = registry.ask("POST", "blobs/uploads/", b"", Content_Length="0")
        expected(status, {http.client.ACCEPTED}, "an upload")
        place = headers["Location"]
        place += f"{'&' if '?' in place else '?'}digest={urllib.parse.quote(digest)}"
        size = str(path.stat().st_size)
        status, _ = registry.ask(
            "PUT", place, file, Content_Type="application/octet-stream", Content_Length=size
        )
        expected(status, {http.client.CREATED}, "a layer")


def blob(layout: Path, one: dict[str, Any]) -> Path:
    digest = str(one["digest"])
    if not _DIGEST.fullmatch(digest):
        raise Problem(f"{digest[:80]!r} is no digest")
    return layout / "blobs" / "sha256" / digest.partition(":")[2]


def opened(path: Path) -> IO[bytes]:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise Problem("the layout has something else than files")
    return os.fdopen(descriptor, "rb")


def small(path: Path) -> bytes:
    with opened(path) as file:
        return file.read(_LARGEST_DOCUMENT)


def expected(status: int, good: set[int], what: str) -> None:
    if status not in good:
        raise Problem(f"the registry answered {status} to {what}")


def main(layout: str, repository: str, tag: str, config: str = "") -> None:
    said = json.loads(Path(config).read_text()) if config else {}
    registry = Registry(repository, said, is_plain=os.environ.get("KFOPS_REGISTRY") == "plain")
    try:
        digest = push(Path(layout), registry, tag)
    except Problem as problem:
        sys.exit(str(problem))
    except (OSError, http.client.HTTPException) as error:
        sys.exit(f"the registry {registry.host} cannot be pushed to: {error}")
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        sys.exit(f"the layout or the registry says what cannot be read: {type(error).__name__}: {error}")
    sys.stdout.write(f"{digest}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
