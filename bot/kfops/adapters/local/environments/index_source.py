"""Where the operator's packages come from: an index over HTTP, or a folder of this machine."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

import httpx

from kfops.adapters.local.environments.index_page import FileLink, file_link, read_page
from kfops.ports.errors import Unavailable

_LARGEST_PAGE = 64 << 20
_BLOCK = 1 << 16
_TIMEOUT_S = 30.0
_FILE = "file"
# Files listed as links, as every index gives them; the newer JSON form is not everywhere.
_ACCEPT = {"Accept": "application/vnd.pypi.simple.v1+html, text/html;q=0.5"}


@dataclass(frozen=True)
class OperatorsIndex:
    """Addresses (`https:`, `http:`, `file:`), credentials in them included. `indexes` have one page a project;
    `flat` have all their files on one page, or are folders of files. `verify`: a file of certificates.
    """

    indexes: tuple[str, ...] = field(default=(), repr=False)
    flat: tuple[str, ...] = field(default=(), repr=False)
    verify: str | None = None


class IndexSource:
    """Reads what the operator's addresses give, and nothing else."""

    def __init__(self, index: OperatorsIndex) -> None:
        verify = ssl.create_default_context(cafile=index.verify) if index.verify else True
        # The machine's own proxy is how the operator reaches the index.
        self._client = httpx.Client(verify=verify, timeout=_TIMEOUT_S, follow_redirects=True)

    def close(self) -> None:
        self._client.close()

    def page(self, address: str) -> list[FileLink]:
        """Empty where there is no such page. Unavailable where the index does not answer."""
        if urlsplit(address).scheme == _FILE:
            return _in_folder(_path(address))
        try:
            with self._client.stream("GET", address, headers=_ACCEPT) as answer:
                if answer.status_code == httpx.codes.NOT_FOUND:
                    return []
                answer.raise_for_status()
                content = bytearray()
                for block in answer.iter_bytes(_BLOCK):
                    content += block
                    if len(content) > _LARGEST_PAGE:
                        raise Unavailable(f"a page of the index has more than {_LARGEST_PAGE} bytes")
                return read_page(content.decode(errors="replace"), str(answer.url))
        except httpx.HTTPError as error:
            raise Unavailable(f"the package index does not answer: {_safe(error)}") from error

    @contextmanager
    def file(self, address: str) -> Iterator[Iterator[bytes]]:
        """The content in blocks. FileNotFoundError where there is none."""
        if urlsplit(address).scheme == _FILE:
            with _path(address).open("rb") as reading:
                yield iter(lambda: reading.read(_BLOCK), b"")
            return
        try:
            with self._client.stream("GET", address) as answer:
                if answer.status_code == httpx.codes.NOT_FOUND:
                    raise FileNotFoundError(address)
                answer.raise_for_status()
                yield answer.iter_bytes(_BLOCK)
        except httpx.HTTPError as error:
            raise Unavailable(f"the package index does not answer: {_safe(error)}") from error


def _in_folder(folder: Path) -> list[FileLink]:
    page = folder / "index.html"
    if page.is_file():
        # A file's links are read beside it, as a browser would.
        return read_page(page.read_text(encoding="utf-8", errors="replace"), page.as_uri())
    try:
        files = sorted(path for path in folder.iterdir() if path.is_file())
    except OSError:
        return []
    found = [file_link(path.as_uri()) for path in files]
    return [one for one in found if one is not None]


def _path(address: str) -> Path:
    return Path(unquote(urlsplit(address).path))


def _safe(error: httpx.HTTPError) -> str:
    """Without the address, which may have the operator's credentials in it."""
    if isinstance(error, httpx.HTTPStatusError):
        return f"status {error.response.status_code}"
    return type(error).__name__
