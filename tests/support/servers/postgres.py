"""A PostgreSQL of the tests' own: on a Unix socket in a folder of its own, gone when they end."""

from __future__ import annotations

import contextlib
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from kfops.adapters.sql.ledger import SqlLedger

WHY = "no PostgreSQL here: install Debian's package postgresql"
USER, EMPTY = "kfops", "empty"
SETTINGS = (
    "listen_addresses=",
    "fsync=off",
    "full_page_writes=off",
    "max_connections=200",
    "shared_buffers=32MB",
)


def binaries() -> Path | None:
    """The newest installed server's; Debian keeps them out of PATH. None also where root cannot become somebody else."""
    if os.geteuid() == 0 and not shutil.which("setpriv"):
        return None
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/postgres")]
    if on_path := shutil.which("postgres"):
        found.append(Path(on_path).parent)
    return max(found, key=lambda path: path.parent.name, default=None)


def _as_nobody_special() -> list[str]:
    """PostgreSQL refuses to run as root; the server ends when the tests are killed."""
    words = ["setpriv", "--pdeathsig", "INT"] if shutil.which("setpriv") else []
    if os.geteuid() == 0:
        words += [f"--reuid={_owner().pw_uid}", f"--regid={_owner().pw_gid}", "--clear-groups"]
    return words


def _owner() -> pwd.struct_passwd:
    with contextlib.suppress(KeyError):
        return pwd.getpwnam("postgres")
    return pwd.getpwnam("nobody")


@dataclass
class PostgresServer:
    binaries: Path
    folder: Path
    settings: tuple[str, ...] = SETTINGS
    process: subprocess.Popen[bytes] | None = None
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def url(self, name: str) -> str:
        return f"postgresql://{USER}@/{name}?host={self.folder}"

    def fresh(self) -> str:
        """The address of a database of one's own, with the whole schema and nothing in it."""
        name = f"ledger{next(self._numbers)}"
        self.run(f"CREATE DATABASE {name} TEMPLATE {EMPTY}")
        return self.url(name)

    def bare(self) -> str:
        """The same without the schema."""
        name = f"bare{next(self._numbers)}"
        self.run(f"CREATE DATABASE {name}")
        return self.url(name)

    def start(self) -> None:
        settings = [word for one in self.settings for word in ("-c", one)]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *_as_nobody_special(),
                    str(self.binaries / "postgres"),
                    *("-D", str(self.folder / "data"), "-k", str(self.folder), *settings),
                ],
                stdout=log,
                stderr=log,
                cwd="/",
            )
        ends = time.monotonic() + 30
        while True:
            try:
                return self.run("SELECT 1")
            except psycopg.OperationalError:
                if self.process.poll() is not None or time.monotonic() > ends:
                    raise AssertionError(
                        f"PostgreSQL did not start:\n{(self.folder / 'log').read_text()}"
                    ) from None
            time.sleep(0.05)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT: connections are cut, what was committed is written. SIGQUIT: as after a power cut."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(30)
            self.process = None

    def run(self, statement: str) -> None:
        with psycopg.connect(
            host=str(self.folder), user=USER, dbname="postgres", autocommit=True
        ) as connection:
            connection.execute(statement.encode())


@contextmanager
def running(found: Path, settings: tuple[str, ...] = SETTINGS) -> Iterator[PostgresServer]:
    # Not under pytest's folder: that one is closed to the server's user.
    folder = Path(tempfile.mkdtemp(prefix="kfops-postgres-"))
    server = PostgresServer(found, folder, settings)
    try:
        if os.geteuid() == 0:
            os.chown(folder, _owner().pw_uid, _owner().pw_gid)
        subprocess.run(
            [
                *_as_nobody_special(),
                str(found / "initdb"),
                *(
                    "-D",
                    str(folder / "data"),
                    "-U",
                    USER,
                    "-A",
                    "trust",
                    "-E",
                    "UTF8",
                    "--locale=C",
                    "--no-sync",
                ),
            ],
            check=True,
            capture_output=True,
            cwd="/",
        )
        server.start()
        server.run(f"CREATE DATABASE {EMPTY}")
        ledger = SqlLedger(server.url(EMPTY))
        ledger.migrate()
        ledger.close()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)
