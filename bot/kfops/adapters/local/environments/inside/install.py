"""`python install.py SOCKET INDEXES FLAT REQUIREMENTS TARGET`: pip, with the operator's index behind a Unix socket.

Runs in the sandbox, which has no network: a port on loopback, inside, is passed on to the socket. `INDEXES` and `FLAT`
are how many addresses of each kind the gate has. Stands alone: it imports nothing of Kfops.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading

_BLOCK = 1 << 16


def main(gate: str, indexes: str, flat: str, requirements: str, target: str) -> int:
    os.umask(0o022)
    scratch = os.path.join(os.path.dirname(target), "tmp")  # noqa: PTH118, PTH120
    os.mkdir(scratch)  # noqa: PTH102
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=listen, args=(server, gate), daemon=True).start()
        here = f"http://127.0.0.1:{server.getsockname()[1]}"
        command = [
            *(sys.executable, "-s", "-m", "pip", "install", "--isolated", "--no-input", "--quiet"),
            *("--disable-pip-version-check", "--no-cache-dir", "--no-compile", "--progress-bar", "off"),
            *("--retries", "1", "--timeout", "60", "--no-warn-conflicts", "--root-user-action", "ignore"),
            *("--only-binary", ":all:", "--target", target, "--requirement", requirements),
            *index_options(here, int(indexes), int(flat)),
        ]
        return subprocess.call(command, env={**os.environ, "TMPDIR": scratch, "PIP_CONFIG_FILE": os.devnull})


def index_options(here: str, indexes: int, flat: int) -> list[str]:
    pages = [f"{here}/index/{number}/" for number in range(indexes)]
    words = ["--index-url", pages[0]] if pages else ["--no-index"]
    for page in pages[1:]:
        words += ["--extra-index-url", page]
    for number in range(flat):
        words += ["--find-links", f"{here}/flat/{number}/"]
    return words


def listen(server: socket.socket, gate: str) -> None:
    while True:
        asking, _ = server.accept()
        threading.Thread(target=join, args=(asking, gate), daemon=True).start()


def join(asking: socket.socket, gate: str) -> None:
    with asking, contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as answering:
        answering.connect(gate)
        back = threading.Thread(target=pump, args=(answering, asking), daemon=True)
        back.start()
        pump(asking, answering)
        back.join()


def pump(reading: socket.socket, writing: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while block := reading.recv(_BLOCK):
            writing.sendall(block)
    with contextlib.suppress(OSError):
        writing.shutdown(socket.SHUT_WR)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
