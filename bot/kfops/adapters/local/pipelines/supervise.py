"""`python -m kfops.adapters.local.pipelines.supervise FOLDER`: see one run through, whatever becomes of the bot.

It starts what `order.json` says, keeps the log and the state, and writes the result at the end, whole. It ends the run
when the time is up, when the disk fills, when it is asked to, and when nobody is left who could want the result: its
folder or the bot's ledger is gone.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from kfops.adapters.local.pipelines.bounds import RunBounds
from kfops.adapters.local.pipelines.failing import failure_of
from kfops.adapters.local.pipelines.following import Following
from kfops.adapters.local.pipelines.run_folder import RunFolder, as_json, write_whole
from kfops.adapters.local.process_tree import kill_tree
from kfops.adapters.local.processes import this_process
from kfops.domain.package import StepKind, StepSpec
from kfops.domain.run import Failure, FailureKind, RunState, RunStatus

_LOOK_EVERY_S = 0.1
_WRITE_EVERY_S = 1.0
_GRACE_S = 2.0
_LARGEST_LOG = 16 << 20
_LONGEST_LINE = 1 << 16


class Supervisor:
    """`now` gives the moment, aware, for people; durations are measured with `monotonic`, in seconds."""

    def __init__(
        self,
        folder: RunFolder,
        *,
        now: Callable[[], datetime],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._order: dict[str, Any] = folder.read(folder.order) or {}
        self._now = now
        self._monotonic = monotonic
        self._inode = folder.path.stat().st_ino
        self._following = Following(
            [StepSpec(name, component, StepKind.PYTHON) for name, component in self._order["steps"]]
        )
        self._lock = threading.Lock()
        self._started = monotonic()
        self._started_at = now()
        self._told_s = -_WRITE_EVERY_S
        self._logged = 0

    def run(self) -> None:
        try:
            process = subprocess.Popen(
                self._order["command"],
                env=self._order["environment"],
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            self._conclude(1, Failure(FailureKind.BACKEND, f"the sandbox cannot be started: {error}"))
            return
        reader = threading.Thread(target=self._read, args=(process.stdout,), daemon=True)
        reader.start()
        why = self._watch(process)
        if why is not None:
            _end(process)
        # Whatever outlives the command has no right to: without a sandbox, it could hold the pipe open.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        reader.join(_GRACE_S)
        if self._is_wanted():
            self._conclude(process.wait(), why)

    def _watch(self, process: subprocess.Popen[bytes]) -> Failure | RunState | None:
        """Until it ends, or there is a reason to end it."""
        order = self._order
        bounds = RunBounds(self._folder.work, order["timeout_s"], order["memory_bytes"], order["disk_bytes"])
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_LOOK_EVERY_S)
                return None
            if not self._is_wanted() or self._folder.cancel.exists():
                return RunState.CANCELED
            failure = bounds.exceeded(process.pid, self._elapsed(), self._step())
            if failure is not None:
                return failure
            self._tell()

    def _conclude(self, exit_code: int, why: Failure | RunState | None) -> None:
        with self._lock:
            if isinstance(why, Failure):
                state, failure = RunState.FAILED, self._with_tail(why)
            elif why is not None:
                state, failure = RunState.CANCELED, None
            elif exit_code == 0:
                state, failure = RunState.SUCCEEDED, None
            else:
                state = RunState.FAILED
                failure = failure_of(
                    self._following, Path(self._order["source_dir"]), exit_code, self._order["memory_bytes"]
                )
            self._following.ended(state, self._elapsed())
            status = self._status(state, failure, self._now())
        self._folder.write(self._folder.result, as_json(status))

    def _with_tail(self, failure: Failure) -> Failure:
        current = self._following.current
        tail = "\n".join(self._following.tail(current)) if current is not None else ""
        return Failure(failure.kind, failure.summary, failure.step, tail)

    def _step(self) -> str | None:
        with self._lock:
            current = self._following.current
            return self._following.steps[current].name if current is not None else None

    def _tell(self) -> None:
        """The state, once a second."""
        elapsed = self._elapsed()
        if elapsed - self._told_s < _WRITE_EVERY_S:
            return
        self._told_s = elapsed
        with self._lock:
            status = self._status(RunState.RUNNING, None, None)
        with contextlib.suppress(OSError):  # the folder is gone, which the next look finds
            self._folder.write(self._folder.state, as_json(status))

    def _status(self, state: RunState, failure: Failure | None, ended_at: datetime | None) -> RunStatus:
        following = self._following
        return RunStatus(
            state=state,
            steps=following.seen(self._elapsed()),
            progress=following.progress,
            curve=tuple(following.curve),
            failure=failure,
            started_at=self._started_at,
            ended_at=ended_at,
        )

    def _read(self, output: IO[bytes]) -> None:
        with self._folder.log.open("ab") as log:
            while line := output.readline(_LONGEST_LINE):
                with self._lock:
                    self._following.feed(line.decode(errors="replace").rstrip("\n"), self._elapsed())
                self._logged += len(line)
                if self._logged <= _LARGEST_LOG:
                    log.write(line)
                    log.flush()

    def _elapsed(self) -> float:
        return self._monotonic() - self._started

    def _is_wanted(self) -> bool:
        try:
            if self._folder.path.stat().st_ino != self._inode:
                return False
        except OSError:
            return False
        ledger = self._order.get("ledger")
        return ledger is None or Path(ledger).exists()


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_GRACE_S)
        return
    kill_tree(process.pid)


def main(path: str) -> int:
    folder = RunFolder(Path(path))
    with folder.lock.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return 0  # another one sees to this run
        if folder.result.exists() or folder.supervisor.exists():
            return 0  # it has been seen to: a run is never started twice
        write_whole(folder.supervisor, this_process().to_json().encode())
        Supervisor(folder, now=lambda: datetime.fromtimestamp(time.time(), UTC)).run()
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
