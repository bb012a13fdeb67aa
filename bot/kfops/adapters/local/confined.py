"""One short piece of foreign work in the sandbox, seen through to its end: bounded in time, in words and in answer."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import IO, Any, Self

from kfops.adapters.local.sandbox import Confinement

_TAIL_BYTES = 4000


@dataclass(frozen=True)
class Ended:
    """`code` None: the time was up. `answer` is the JSON object on standard output, None when there was none.

    Both the answer and the log's tail (standard error) are foreign.
    """

    code: int | None
    answer: dict[str, Any] | None
    log_tail: str

    @property
    def last_line(self) -> str:
        lines = self.log_tail.strip().splitlines()
        return lines[-1] if lines else ""


class Confined:
    """Starts at once, and ends at the latest with its `with` block. It belongs to the thread that made it: the kernel
    ends the sandbox with the thread that started it.
    """

    def __init__(self, sandbox: Confinement, command: Sequence[str], *, largest_answer: int) -> None:
        # Files, which the sandbox's limit on their size bounds: a pipe would have to be read into our own memory.
        self._answer: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed at the end of the block
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        self._largest = largest_answer
        self._process = subprocess.Popen(
            list(command),
            env=sandbox.environment(),
            stdin=subprocess.PIPE,
            stdout=self._answer,
            stderr=self._log,
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()
        self._answer.close()
        self._log.close()

    def finish(self, timeout_s: float, *, said: bytes = b"") -> Ended:
        """Tell it `said` on standard input, wait for its end, take what it leaves."""
        code: int | None = None
        try:
            self._process.communicate(said, timeout=timeout_s)
            code = self._process.returncode
        except subprocess.TimeoutExpired:
            pass
        self._end()
        return Ended(code, self._content(), self._tail())

    def finish_unless(
        self, too_much: Callable[[], str], timeout_s: float, *, every_s: float
    ) -> tuple[Ended, str]:
        """Wait for its end, looking meanwhile whether it did too much; that ends it at once, with that sentence."""
        stopped = ""
        with contextlib.suppress(OSError):
            self._process.stdin.close() if self._process.stdin else None
        deadline = time.monotonic() + timeout_s
        while not stopped and time.monotonic() < deadline:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(every_s)
                break
            stopped = too_much()
        code = self._process.poll()
        self._end()
        return Ended(code, self._content(), self._tail()), stopped or too_much()

    def _end(self) -> None:
        # The group too: without a sandbox, what it started may still be there.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        self._process.wait()

    def _content(self) -> dict[str, Any] | None:
        self._answer.seek(0)
        try:
            content = json.loads(self._answer.read(self._largest))
        except (ValueError, RecursionError):
            return None
        return content if isinstance(content, dict) else None

    def _tail(self) -> str:
        size = self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, size - _TAIL_BYTES))
        return self._log.read(_TAIL_BYTES).decode(errors="replace")
