"""Archives that a pod fetches by their address, from a small web server of this machine's."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass
class Web:
    """Archives that anybody can fetch, as from a bucket."""

    folder: Path
    url: str
    spoils: bool = False

    def put(self, name: str, file: Path, *, valid_s: int) -> str:
        content = file.read_bytes()
        (self.folder / name).write_bytes(content[:-1] if self.spoils else content)
        return f"{self.url}/{name}"

    def remove(self, name: str) -> None:
        (self.folder / name).unlink()


@contextmanager
def folder_on_the_web(folder: Path) -> Iterator[Web]:
    folder.mkdir()

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Nothing: tests are quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield Web(folder, f"http://127.0.0.1:{server.server_address[1]}")
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
