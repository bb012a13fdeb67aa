"""A real image registry on this machine: Debian's docker-registry, on loopback, with an account where one is wanted."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from tests.support.servers.bound import bound

WHY = "no docker-registry here: Debian's package docker-registry has it; .ci/run installs it"


ACCOUNT = ("builder", "rosebud")
_KNOWN = "builder:$2b$04$ny1msh4ZL6BQINZcRUNxiumi08PqPyQVvMXhYj7QXjOhVSd0TvqEy\n"  # as htpasswd -B writes it


@contextmanager
def running(folder: Path, *, is_closed: bool = False) -> Iterator[str]:
    """Its host, with the port. `is_closed`: for `ACCOUNT` only."""
    program = shutil.which("docker-registry")
    if program is None:
        pytest.skip(WHY)
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{one.getsockname()[1]}"
    config = folder / "registry.yml"
    config.write_text(
        f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {folder / 'images'}}}}}\nhttp: {{addr: {host}}}\n"
    )
    if is_closed:
        (folder / "known").write_text(_KNOWN)
        with config.open("a") as more:
            more.write(f"auth: {{htpasswd: {{realm: here, path: {folder / 'known'}}}}}\n")
    with (folder / "registry.log").open("wb") as log:
        process = subprocess.Popen(bound([program, "serve", str(config)]), stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 20
        while not _answers(host):
            assert process.poll() is None, (folder / "registry.log").read_text()[-2000:]
            assert time.monotonic() < deadline, (folder / "registry.log").read_text()[-2000:]
            time.sleep(0.05)
        yield host
    finally:
        process.kill()
        process.wait(10)


def _answers(host: str) -> bool:
    try:
        return httpx.get(f"http://{host}/v2/", timeout=1, trust_env=False).status_code in {200, 401}
    except httpx.HTTPError:
        return False
