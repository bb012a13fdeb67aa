"""A package index on loopback, and wheels made on the spot: what `LocalEnvironments` installs from in tests."""

from __future__ import annotations

import hashlib
import threading
import zipfile
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


def wheel(
    folder: Path,
    name: str,
    version: str,
    source: str,
    *,
    needs: tuple[str, ...] = (),
    more: Mapping[str, str] = {},
) -> Path:
    """A wheel with one module, called as the project is."""
    info = f"{name}-{version}.dist-info"
    requires = "".join(f"Requires-Dist: {one}\n" for one in needs)
    files = {
        f"{name}.py": source,
        **more,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requires}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = [
        f"{path},sha256={urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b'=').decode()},{len(text)}"
        for path, text in files.items()
    ]
    files[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,"]) + "\n"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for inner, text in files.items():
            archive.writestr(inner, text)
    return path


@dataclass
class Index:
    """`asked`: every request as (method, path, authorization)."""

    address: str
    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)

    def add(self, path: Path, project: str) -> None:
        content = path.read_bytes()
        self.files[f"/files/{path.name}"] = content
        page = self.files.get(f"/simple/{project}/", b"")
        link = f'<a href="../../files/{path.name}#sha256={hashlib.sha256(content).hexdigest()}">{path.name}</a>\n'
        self.files[f"/simple/{project}/"] = page + link.encode()


@contextmanager
def index_here(*, user: str = "") -> Iterator[Index]:
    """`user`: `name:password` that every request must carry."""
    wanted = f"Basic {b64encode(user.encode()).decode()}" if user else None

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            said = self.headers.get("Authorization")
            index.asked.append((self.command, self.path, said))
            content = index.files.get(self.path)
            status = 401 if wanted and said != wanted else 404 if content is None else 200
            self.send_response(status)
            self.send_header("Content-Type", "text/html" if self.path.endswith("/") else "application/zip")
            self.end_headers()
            self.wfile.write(content if content is not None and status == 200 else b"")

        do_POST = do_PUT = do_GET  # noqa: N815 - the base class's names

        def log_message(self, *_: object) -> None:
            """Tests read `asked`."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    login = f"{user}@" if user else ""
    index = Index(f"http://{login}127.0.0.1:{server.server_port}/simple")
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield index
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
