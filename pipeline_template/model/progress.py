"""Say how far training is: one line of JSON on standard output, which Kfops shows in the pull request."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def say(**content: Any) -> None:
    print("KFOPS_PROGRESS " + json.dumps(content), flush=True)


@contextmanager
def watched(trials: Path, *, metric: str, score: Any, every_s: float = 1.0, **fixed: Any) -> Iterator[None]:
    """Report on FLAML's log of trials while the block runs. `score` turns a loss into the metric's own number."""
    over = threading.Event()
    begun = time.monotonic()

    def report() -> None:
        losses, learner = _losses(trials)
        best = score(min(losses)) if losses else None
        say(
            stage="train",
            elapsed=round(time.monotonic() - begun, 1),
            trials=len(losses),
            learner=learner,
            metric=metric,
            best=round(best, 5) if best is not None else None,
            **fixed,
        )

    def watch() -> None:
        while not over.wait(every_s):
            report()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        report()


def _losses(trials: Path) -> tuple[list[float], str | None]:
    """The losses so far, and the learner of the best one."""
    try:
        lines = trials.read_text().splitlines()
    except FileNotFoundError:
        return [], None
    records = []
    for line in lines:
        try:
            record = json.loads(line)
        except ValueError:
            continue  # being written just now
        if isinstance(record.get("validation_loss"), float):
            records.append((record["validation_loss"], record.get("learner")))
    if not records:
        return [], None
    return [loss for loss, _ in records], min(records, key=lambda record: record[0])[1]
