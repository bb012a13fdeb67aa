"""Code that looks for everything it must not have, and a machine that has it: the corpus of hostile repositories
plays the same search wherever a pull request's code runs.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

SECRET = "KFOPS_TEST_TOKEN_7f3a"

LOOK_AROUND = '''\
def look_around(terces, files, ports, sockets):
    """What of it was got at, as sentences. The secret is given backwards: this text is in processes' arguments."""
    import glob, os, socket
    secret = terces[::-1]
    got = []

    def tell(words):
        got.append(words)

    def read(path):
        try:
            with open(path, "rb") as file:
                return file.read(1 << 16)
        except OSError:
            return b""

    for path in glob.glob("/proc/*/environ") + glob.glob("/proc/*/cmdline"):
        if secret.encode() in read(path):
            tell("a secret in " + path)
    for path in files:
        for way in (path, "/proc/1/root" + path, "/proc/self/root" + path, "/proc/1/cwd" + path, "../../../../.." + path):
            if os.path.exists(way):
                tell("the file " + way)
    for number in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink("/proc/self/fd/" + number)
        except OSError:
            continue
        if target in files or (os.path.isfile(target) and secret.encode() in read("/proc/self/fd/" + number)):
            tell("an open file " + target)
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"), (socket.AF_INET, "192.0.2.1")):
        for port in ports:
            try:
                with socket.socket(family) as s:
                    s.settimeout(0.5)
                    s.connect((host, port))
                    tell("a connection to %s:%s" % (host, port))
            except OSError:
                pass
    try:
        socket.getaddrinfo("example.org", 80)
        tell("a name was resolved")
    except OSError:
        pass
    for path in sockets:
        with socket.socket(socket.AF_UNIX) as s:
            try:
                s.connect(path.replace("@", chr(0), 1) if path.startswith("@") else path)
                tell("a connection to " + path)
            except OSError:
                pass
    for path in files + ["/usr/bin/env", "/etc/hosts", os.__file__]:
        try:
            open(path, "ab").close()
            tell("could write " + path)
        except OSError:
            pass
    if os.getuid() == 0:
        tell("the root user")
    return got
'''


@dataclass(frozen=True)
class Surroundings:
    """Of the bot: files that hold its secrets, ports that listen as MLflow and the dashboard do, sockets."""

    files: tuple[str, ...]
    ports: tuple[int, ...]
    sockets: tuple[str, ...]

    def call(self, *sockets: str, ports: Sequence[int] = ()) -> str:
        """Python that searches, to be put behind `LOOK_AROUND`."""
        return f"look_around({SECRET[::-1]!r}, {[*self.files]}, {[*self.ports, *ports]}, {[*self.sockets, *sockets]})"


@contextmanager
def surroundings(data_dir: Path) -> Iterator[Surroundings]:
    """A bot's data folder as it is on one machine, and servers beside it."""
    files = [
        data_dir / "ledger.db",
        data_dir / "git" / "2.git" / "config",
        data_dir / "sources" / "2" / "main" / "secret.py",  # another repository
        data_dir / "environments" / "models" / ("a" * 64),
        data_dir / "app.pem",
    ]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(SECRET)
    with ExitStack() as open_ones:
        ports = [_listening(open_ones, socket.AF_INET, ("127.0.0.1", 0)).getsockname()[1] for _ in range(2)]
        path = f"/tmp/kfops-hostile-{os.getpid()}-{data_dir.stat().st_ino}.sock"
        _listening(open_ones, socket.AF_UNIX, path)
        open_ones.callback(os.unlink, path)
        name = f"kfops-hostile-{os.getpid()}-{data_dir.stat().st_ino}"
        _listening(open_ones, socket.AF_UNIX, f"\0{name}")
        yield Surroundings(tuple(map(str, files)), tuple(ports), (path, f"@{name}"))


def _listening(open_ones: ExitStack, family: int, address: object) -> socket.socket:
    made = open_ones.enter_context(socket.socket(family))
    made.bind(address)
    made.listen()
    return made
