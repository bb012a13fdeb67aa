"""Ends the bot of a demo that was killed. A process of its own, as a killed one can tidy nothing up."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_ENDS_WITHIN_S = 15.0


@contextmanager
def guarded(bot: int, data_dir: Path, temporary: Path | None, environment: dict[str, str]) -> Iterator[None]:
    """While the block runs, the death of this process ends the bot and what outlives it by design.

    `temporary` is a folder that goes away with the demo. The guard holds the reading end of a pipe: when this process
    dies, however it does, the kernel closes the other end.
    """
    words = [sys.executable, "-m", "kfops.demo.guard", str(bot), str(data_dir), str(temporary or "")]
    guard = subprocess.Popen(
        words,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        guard.kill()  # the demo itself ends everything in order
        guard.wait()
        if guard.stdin is not None:
            guard.stdin.close()


def watch(bot: int, data_dir: Path, temporary: Path | None) -> None:
    """Waits until standard input ends, then ends the bot, the serving stack and the tracking server."""
    sys.stdin.buffer.read()
    with suppress(ProcessLookupError):
        os.kill(bot, signal.SIGTERM)
        _wait_for_the_end_of(bot)
        os.kill(bot, signal.SIGKILL)
    from kfops.bootstrap.engines import shutdown
    from kfops.settings import Settings

    shutdown(Settings(data_dir=data_dir))
    if temporary is not None:
        shutil.rmtree(temporary, ignore_errors=True)


def _wait_for_the_end_of(pid: int) -> None:
    """Returns after a deadline; ProcessLookupError as soon as the process is gone."""
    deadline = time.monotonic() + _ENDS_WITHIN_S
    while time.monotonic() < deadline:
        os.kill(pid, 0)
        time.sleep(0.1)


if __name__ == "__main__":
    watch(int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]) if sys.argv[3] else None)
