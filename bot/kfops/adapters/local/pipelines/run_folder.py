"""A run's folder: what it was ordered to do, how far it came, how it ended. Whole files only, never half of one."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from kfops.domain.run import CurvePoint, Failure, FailureKind, Progress, RunState, RunStatus, Step


@dataclass(frozen=True)
class RunFolder:
    """`order.json`, `package.yaml`, `parameters.json`, `work/` (the run's own), `log.txt`, `state.json`, `result.json`,
    `supervisor.json`, `cancel` (asked to end), `lock` (held by the supervisor while it lives).
    """

    path: Path

    @property
    def order(self) -> Path:
        return self.path / "order.json"

    @property
    def package(self) -> Path:
        return self.path / "package.yaml"

    @property
    def parameters(self) -> Path:
        return self.path / "parameters.json"

    @property
    def work(self) -> Path:
        return self.path / "work"

    @property
    def log(self) -> Path:
        return self.path / "log.txt"

    @property
    def state(self) -> Path:
        return self.path / "state.json"

    @property
    def result(self) -> Path:
        return self.path / "result.json"

    @property
    def supervisor(self) -> Path:
        return self.path / "supervisor.json"

    @property
    def cancel(self) -> Path:
        return self.path / "cancel"

    @property
    def lock(self) -> Path:
        return self.path / "lock"

    def read(self, file: Path) -> dict[str, Any] | None:
        """None when it is not there yet."""
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        return content if isinstance(content, dict) else None

    def write(self, file: Path, content: Mapping[str, Any]) -> None:
        """On the disk when this returns, and all of it."""
        write_whole(file, json.dumps(content, ensure_ascii=False).encode(errors="replace"))


def write_whole(file: Path, content: bytes) -> None:
    fresh = file.with_name(f".{file.name}.new")
    with fresh.open("wb") as writing:
        writing.write(content)
        writing.flush()
        os.fsync(writing.fileno())
    fresh.replace(file)
    folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def as_json(status: RunStatus) -> dict[str, Any]:
    return {
        "state": status.state,
        "steps": [asdict(step) for step in status.steps],
        "progress": asdict(status.progress) if status.progress else None,
        "curve": [[point.elapsed_s, point.best] for point in status.curve],
        "failure": asdict(status.failure) if status.failure else None,
        "started_at": status.started_at.isoformat() if status.started_at else None,
        "ended_at": status.ended_at.isoformat() if status.ended_at else None,
    }


def from_json(content: Mapping[str, Any]) -> RunStatus:
    failure, progress = content["failure"], content["progress"]
    return RunStatus(
        state=RunState(content["state"]),
        steps=tuple(Step(**step | {"state": RunState(step["state"])}) for step in content["steps"]),
        progress=Progress(**progress) if progress else None,
        curve=tuple(CurvePoint(*point) for point in content["curve"]),
        failure=Failure(**failure | {"kind": FailureKind(failure["kind"])}) if failure else None,
        started_at=_moment(content["started_at"]),
        ended_at=_moment(content["ended_at"]),
    )


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
