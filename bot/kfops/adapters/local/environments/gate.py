"""The only way out of the sandbox in which an environment is made: GET from the operator's index, and only wheels.

A Unix socket, because that sandbox has no network. pip inside names a project or the number of a link that was shown
to it; which address that is, and with which credentials it is asked, stays out here.
"""

from __future__ import annotations

import re
import secrets
import shutil
import socketserver
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote

from kfops.adapters.local.environments.index_page import FileLink, write_page
from kfops.adapters.local.environments.index_source import IndexSource, OperatorsIndex
from kfops.ports.errors import Unavailable

SOCKET = "index.sock"
_PAGE = re.compile(r"/index/(\d{1,3})/([A-Za-z0-9][A-Za-z0-9._-]{0,200})/")
_FLAT = re.compile(r"/flat/(\d{1,3})/")
_LINK = re.compile(r"/file/(\d{1,9})/([^/]+?)(\.metadata)?")


@dataclass
class Gate:
    """`most_bytes`: how much one installation may fetch in all."""

    index: OperatorsIndex
    source: IndexSource
    most_bytes: int
    links: list[FileLink] = field(default_factory=list)
    only_sources: set[str] = field(default_factory=set)  # projects that have files, and no wheel among them
    troubles: list[str] = field(default_factory=list)
    _fetched: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def page(self, path: str) -> str | None:
        """The page that pip asked for, None where there is none such."""
        if asked := _PAGE.fullmatch(path):
            number, project = int(asked[1]), asked[2]
            if number >= len(self.index.indexes):
                return None
            found = self.source.page(f"{self.index.indexes[number].rstrip('/')}/{project}/")
            with self._lock:
                if found and not any(link.is_wheel for link in found):
                    self.only_sources.add(project)
            return self._written(found)
        if (asked := _FLAT.fullmatch(path)) and int(asked[1]) < len(self.index.flat):
            return self._written(self.source.page(self.index.flat[int(asked[1])]))
        return None

    def address(self, path: str) -> str | None:
        """Of a file that was on a page."""
        asked = _LINK.fullmatch(path)
        if asked is None:
            return None
        with self._lock:
            link = self.links[int(asked[1])] if int(asked[1]) < len(self.links) else None
        if link is None or link.name != unquote(asked[2]):
            return None
        return link.url + (asked[3] or "")

    def take(self, size: int) -> bool:
        with self._lock:
            self._fetched += size
            if self._fetched <= self.most_bytes:
                return True
            self._note(f"the packages have more than {self.most_bytes / (1 << 30):g} GiB together")
            return False

    def trouble(self, words: str) -> None:
        with self._lock:
            self._note(words)

    def _note(self, words: str) -> None:
        if words not in self.troubles:
            self.troubles.append(words)

    def _written(self, found: list[FileLink]) -> str:
        with self._lock:
            wheels = [link for link in found if link.is_wheel]
            first = len(self.links)
            self.links.extend(wheels)
        return write_page(enumerate(wheels, start=first))


@contextmanager
def opened(gate: Gate) -> Iterator[Path]:
    """The folder with the gate's socket, to be mounted where pip is; the gate answers until the block ends."""
    outer = Path(tempfile.mkdtemp(prefix="kfops-index-"))
    # The sandbox's user must get there, and nobody who is not told the name: the gate speaks with the operator's rights.
    outer.chmod(0o711)
    folder = outer / secrets.token_hex(16)
    folder.mkdir()
    folder.chmod(0o755)
    server = _Server(str(folder / SOCKET), gate)
    (folder / SOCKET).chmod(0o666)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield folder
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        shutil.rmtree(outer, ignore_errors=True)


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, path: str, gate: Gate) -> None:
        super().__init__(path, _Handler)
        self.gate = gate

    def handle_error(self, *_: Any) -> None:
        """Whoever hung up is of no interest."""


class _Handler(BaseHTTPRequestHandler):
    timeout = 60

    @property
    def _gate(self) -> Gate:
        return cast("_Server", self.server).gate

    def do_GET(self) -> None:
        try:
            page = self._gate.page(self.path)
            if page is not None:
                self._begin(HTTPStatus.OK, "text/html; charset=utf-8", len(page.encode()))
                self.wfile.write(page.encode())
            elif (address := self._gate.address(self.path)) is not None:
                self._send(address)
            else:
                self._begin(HTTPStatus.NOT_FOUND)
        except Unavailable as error:
            self._gate.trouble(str(error))
            self._begin(HTTPStatus.NOT_FOUND)
        except FileNotFoundError:
            self._begin(HTTPStatus.NOT_FOUND)

    def _send(self, address: str) -> None:
        with self._gate.source.file(address) as blocks:
            self._begin(HTTPStatus.OK, "application/octet-stream")
            for block in blocks:
                if not self._gate.take(len(block)):
                    return
                self.wfile.write(block)

    def _begin(self, status: HTTPStatus, kind: str = "text/plain", length: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Connection", "close")
        if length is not None or status is not HTTPStatus.OK:
            self.send_header("Content-Length", str(length or 0))
        self.end_headers()

    def address_string(self) -> str:
        return "sandbox"  # a Unix socket's client has no address

    def log_message(self, *_: Any) -> None:
        """What foreign code asks for is not the bot's log."""
