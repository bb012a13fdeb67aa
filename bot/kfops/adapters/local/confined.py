"""One short piece of foreign work in the sandbox, seen through to its end: bounded in time, in words and in answer."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import IO, Any, Self

from kfops.adapters.local.confinement import Confinement, Limits
from kfops.adapters.local.process_tree import kill_tree, too_much_memory

_TAIL_BYTES = 4000
_LOOK_EVERY_S = 0.25


@dataclass(frozen=True)
class Ended:
    """`code` None: the time was up, or `stopped` says what it did too much of. `answer` is the JSON object on standard output, None when there was none.

    Both the answer and the log's tail (standard error) are foreign.
    """

    code: int | None
    answer: dict[str, Any] | None
    log_tail: str
    stopped: str = ""

    @property
    def last_line(self) -> str:
        lines = self.log_tail.strip().splitlines()
        return lines[-1] if lines else ""


class Confined:
    """Starts at once, and ends at the latest with its `with` block. It belongs to the thread that made it: the kernel
    ends the sandbox with the thread that started it.
    """

    def __init__(
        self,
        sandbox: Confinement,
        command: Sequence[str],
        *,
        largest_answer: int,
        memory_bytes: int = Limits().memory_bytes,
    ) -> None:
        # Files, which the sandbox's limit on their size bounds: a pipe would have to be read into our own memory.
        self._answer: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed at the end of the block
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        self._largest = largest_answer
        self._memory_bytes = memory_bytes
        self._telling: threading.Thread | None = None
        self._process = subprocess.Popen(
            list(command),
            env=sandbox.environment(),
            stdin=subprocess.PIPE,
            bufsize=0,  # what was not taken by the end is nobody's
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

    def finish(
        self, timeout_s: float, *, said: bytes = b"", too_much: Callable[[], str] | None = None
    ) -> Ended:
        """Tell it `said` on standard input, wait for its end, take what it leaves.

        `too_much` is asked meanwhile, and its sentence ends it, as taking too much memory does.
        """
        # In a thread of its own: what it is told can be more than a pipe holds, and it may read late, or never.
        self._telling = threading.Thread(target=self._tell, args=(said,), daemon=True)
        self._telling.start()
        deadline = time.monotonic() + timeout_s
        stopped = ""
        while not stopped and time.monotonic() < deadline:
            try:
                self._process.wait(_LOOK_EVERY_S)
                break
            except subprocess.TimeoutExpired:
                stopped = self._took_too_much() or (too_much() if too_much else "")
        code = None if stopped else self._process.poll()
        self._end()
        return Ended(code, self._content(), self._tail(), stopped or (too_much() if too_much else ""))

    def _tell(self, said: bytes) -> None:
        pipe = self._process.stdin
        if pipe is None:
            return
        rest = memoryview(said)
        with contextlib.suppress(BrokenPipeError):  # it has ended without listening
            while rest:
                rest = rest[pipe.write(rest) :]
        pipe.close()

    def _took_too_much(self) -> str:
        return too_much_memory(self._process.pid, self._memory_bytes, whose="the code")

    def _end(self) -> None:
        # All of it: without a sandbox, what it started may still be there.
        if self._process.poll() is None:
            kill_tree(self._process.pid)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        if self._telling is not None:
            self._telling.join(_LOOK_EVERY_S)
        elif self._process.stdin is not None:
            self._process.stdin.close()

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
