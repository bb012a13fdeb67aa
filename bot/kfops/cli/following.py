"""Watching a run until it has ended; Ctrl+C cancels it and waits for that too."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from kfops.cli.exits import Exit, Stop
from kfops.domain.run import ENDED, RunState, RunStatus, Step
from kfops.ports.pipelines import Pipelines

_EVERY_S = 0.25
_CANCEL_WITHIN_S = 30


class Screen(Protocol):
    def show(self, status: RunStatus) -> None: ...

    def close(self) -> None: ...


@contextmanager
def cancelled_by_ctrl_c(pipelines: Pipelines, name: str) -> Iterator[None]:
    """Leaves no run of this name behind, also where it comes while the run is being submitted."""
    try:
        yield
    except KeyboardInterrupt:
        found = pipelines.find(name)
        if found is None:
            raise Stop(Exit.INTERRUPTED, "Nothing was started.") from None
        _cancel(pipelines, found)
        raise Stop(Exit.INTERRUPTED, f"The run {found} was cancelled.", detail={"run": found}) from None


def follow(pipelines: Pipelines, run_id: str, screen: Screen) -> RunStatus:
    try:
        while True:
            status = pipelines.status(run_id)
            screen.show(status)
            if status.state in ENDED:
                return status
            time.sleep(_EVERY_S)
    finally:
        screen.close()


def _cancel(pipelines: Pipelines, run_id: str) -> None:
    pipelines.cancel(run_id)
    until = time.monotonic() + _CANCEL_WITHIN_S
    while pipelines.status(run_id).state not in ENDED and time.monotonic() < until:
        time.sleep(_EVERY_S)


class Quiet:
    """For `--json`."""

    def show(self, status: RunStatus) -> None:
        pass

    def close(self) -> None:
        pass


class Lines:
    """For a log: one line when a step changes, on standard error."""

    def __init__(self) -> None:
        self._seen: dict[str, RunState] = {}

    def show(self, status: RunStatus) -> None:
        for step in status.steps:
            if self._seen.get(step.name, RunState.PENDING) is not step.state:
                self._seen[step.name] = step.state
                took = f" ({step.seconds:.1f} s)" if step.seconds is not None and step.state in ENDED else ""
                print(f"{step.name}: {step.state.value.lower()}{took}", file=sys.stderr)

    def close(self) -> None:
        pass


class Bars:
    """For a terminal: one bar a step; a step that tells its budget fills its bar with it."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn

        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            console=Console(stderr=True),
        )
        self._tasks: dict[str, TaskID] = {}
        self._progress.start()

    def show(self, status: RunStatus) -> None:
        for step in status.steps:
            if step.name not in self._tasks:
                self._tasks[step.name] = self._progress.add_task(step.name, total=1, note="", start=False)
            task = self._tasks[step.name]
            if step.state is not RunState.PENDING:
                self._progress.start_task(task)
            self._progress.update(task, completed=_share(step, status), note=_note(step, status))

    def close(self) -> None:
        self._progress.stop()


def _share(step: Step, status: RunStatus) -> float:
    if step.state in ENDED:
        return 1.0
    told = status.progress
    if told is None or told.step != step.name or not told.budget_s or told.elapsed_s is None:
        return 0.0
    return min(told.elapsed_s / told.budget_s, 1.0)


def _note(step: Step, status: RunStatus) -> str:
    words = [step.state.value.lower()]
    if step.seconds is not None:
        words.append(f"{step.seconds:.1f} s")
    told = status.progress
    if told is not None and told.step == step.name:
        if told.trials is not None:
            words.append(f"{told.trials} trials")
        if told.best is not None:
            words.append(f"best {told.metric or 'score'} {told.best:.4f}")
    return ", ".join(words)


def screen(*, as_json: bool) -> Screen:
    if as_json:
        return Quiet()
    return Bars() if sys.stderr.isatty() else Lines()
