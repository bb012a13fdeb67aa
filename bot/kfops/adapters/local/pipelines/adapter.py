"""Pipelines on one machine: compiled and run in the sandbox, each run under a supervisor that outlives the bot."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
import tempfile
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from kfops.adapters.local import processes
from kfops.adapters.local.confinement import Confinement, Limits
from kfops.adapters.local.environments.inside_path import bound, imported
from kfops.adapters.local.pipelines.compiling import Compiler
from kfops.adapters.local.pipelines.data_files import data_digests
from kfops.adapters.local.pipelines.handed_over import HandedOver
from kfops.adapters.local.pipelines.run_folder import RunFolder, from_json, write_whole
from kfops.adapters.local.pipelines.suitable import unsuitable
from kfops.domain.package import CompileFailure, Package
from kfops.domain.package_policy import Allowed
from kfops.domain.run import ENDED, Failure, FailureKind, RunOutputs, RunState, RunStatus, Step
from kfops.ports.clock import Clock
from kfops.ports.errors import Refused
from kfops.ports.pipelines import CompileOrder, RunOrder

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_INSIDE = Path(__file__).parent / "inside"
_PACKAGE_ROOT = Path(__file__).parents[4]
_REPOSITORY, _TOOLS, _OUT = Path("/repo"), Path("/kfops"), Path("/run/out")
_PACKAGE, _PARAMETERS = Path("/run/package.yaml"), Path("/run/parameters.json")
_STARTS_WITHIN = timedelta(seconds=30)
_DISK_BYTES = 10 << 30
_NOTHING_SPECIAL = Allowed()
_LIMITS = Limits()


class LocalPipelines:
    """The port `Pipelines`. `root` keeps one folder a run; `ledger`: a file without which no run is of use to anybody.

    Thread-safe. A run's source folder must stay until the run has ended. Steps are not cached between runs.
    """

    pulls_images = False

    def __init__(
        self,
        root: Path,
        sandbox: Confinement,
        clock: Clock,
        *,
        ledger: Path | None = None,
        allowed: Allowed = _NOTHING_SPECIAL,
        limits: Limits = _LIMITS,
        disk_bytes: int = _DISK_BYTES,
    ) -> None:
        self._root = root.absolute()
        self._sandbox = sandbox
        self._clock = clock
        self._ledger = ledger.absolute() if ledger else None
        self._compiler = Compiler(sandbox, allowed)
        self._limits = limits
        self._disk_bytes = disk_bytes
        self._children: set[int] = set()  # supervisors that this process started, to be waited for

    def compile(self, order: CompileOrder) -> Package | CompileFailure:
        return self._compiler.compile(replace(order, source_dir=order.source_dir.absolute()))

    def submit(self, order: RunOrder) -> str:
        name = _checked_name(order.name)
        folder = RunFolder(self._root / name)
        if not folder.path.exists():
            self._prepare(order, folder)
        if not folder.supervisor.exists():
            self._start(folder)
        return name

    def find(self, name: str) -> str | None:
        return name if (self._root / _checked_name(name)).is_dir() else None

    def status(self, run_id: str) -> RunStatus:
        self._reap()
        folder = self._folder(run_id)
        handle = _handle(folder)
        # Looked at before the result: a supervisor writes that and then ends.
        is_alive = handle is not None and processes.alive(handle)
        result = folder.read(folder.result)
        if result is not None:
            return from_json(result)
        seen = self._seen(folder)
        is_cancelled = folder.cancel.exists()
        if is_alive or (handle is None and self._is_young(folder)):
            return replace(seen, state=RunState.CANCELING) if is_cancelled else seen
        if is_cancelled:
            return _over(seen, RunState.CANCELED, None)
        words = "never started" if handle is None else "is gone and left no result"
        return _over(seen, RunState.FAILED, Failure(FailureKind.LOST, f"the run's supervisor {words}"))

    def cancel(self, run_id: str) -> None:
        self._folder(run_id).cancel.touch()

    def keep_one(self, name: str, run_id: str) -> None:
        """A name is a folder here: there is no second one."""

    def outputs(self, run_id: str) -> RunOutputs:
        folder = self._folder(run_id)
        state = self.status(run_id).state
        if state is not RunState.SUCCEEDED:
            raise Refused(f"the run {run_id} is {state}; only a run that SUCCEEDED hands something over")
        order = folder.read(folder.order) or {}
        steps = [(name, component, artifacts) for name, component, artifacts in order["artifacts"]]
        taken = HandedOver(folder.work, order["pipeline"], steps, folder.path / "outputs").take()
        return replace(taken, digests={**order["digests"], **taken.digests})

    def log(self, run_id: str) -> Path:
        """The file that the run's output goes to, which may not be there yet; foreign text."""
        return self._folder(run_id).log

    def _folder(self, run_id: str) -> RunFolder:
        folder = RunFolder(self._root / _checked_name(run_id))
        if not folder.path.is_dir():
            raise Refused(f"there is no run {run_id}")
        return folder

    def _prepare(self, order: RunOrder, folder: RunFolder) -> None:
        """All at once: a run's folder is whole, or not there."""
        text = order.package.path.read_bytes()
        if hashlib.sha256(text).hexdigest() != order.package.digest:
            raise Refused(f"the package {order.package.digest[:12]} was changed after it was compiled")
        for sentence in unsuitable(order.package.content, order.packages):
            raise Refused(sentence)
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        incoming = RunFolder(Path(tempfile.mkdtemp(prefix=".incoming-", dir=self._root)))
        try:
            write_whole(incoming.package, text)
            incoming.write(incoming.parameters, order.parameters)
            for file in (incoming.package, incoming.parameters):
                file.chmod(0o644)
            incoming.work.mkdir()
            incoming.write(incoming.order, self._order(order, folder, incoming))
            incoming.path.rename(folder.path)
        except OSError:
            if not folder.path.is_dir():  # else somebody was faster with the same run
                raise
        finally:
            shutil.rmtree(incoming.path, ignore_errors=True)

    def _order(self, order: RunOrder, folder: RunFolder, incoming: RunFolder) -> dict[str, Any]:
        command = self._command(order, incoming)
        here, there = str(incoming.path), str(folder.path)
        return {
            "name": order.name,
            "labels": dict(order.labels),
            "pipeline": order.package.name,
            "package_digest": order.package.digest,
            "steps": [[step.name, step.component] for step in order.package.steps],
            "artifacts": [[step.name, step.component, list(step.outputs)] for step in order.package.steps],
            "digests": data_digests(order.package.inputs, order.parameters, order.source_dir, order.data),
            "source_dir": str(order.source_dir.absolute()),
            "timeout_s": order.timeout_s,
            "memory_bytes": self._limits.memory_bytes,
            "disk_bytes": self._disk_bytes,
            "ledger": str(self._ledger) if self._ledger else None,
            "command": [word.replace(here, there) for word in command],
            "environment": self._sandbox.environment(),
            "ordered_at": self._clock.now().isoformat(),
        }

    def _command(self, order: RunOrder, folder: RunFolder) -> list[str]:
        return self._sandbox.argv(
            [
                *(sys.executable, "-s", str(_TOOLS / "run_pipeline.py")),
                *(str(_PACKAGE), str(_PARAMETERS), str(_OUT)),
            ],
            read_only={
                order.source_dir.absolute(): _REPOSITORY,
                _INSIDE: _TOOLS,
                folder.package: _PACKAGE,
                folder.parameters: _PARAMETERS,
                **{path.absolute(): path.absolute() for path in order.data},
                **bound(order.packages),
            },
            writable={folder.work: _OUT},
            chdir=_REPOSITORY,
            limits=self._limits,
            # As on Kubeflow, a step sees its own source and the folder that it embeds, not the repository's modules.
            variables={"PYTHONUNBUFFERED": "1", "PYTHONSAFEPATH": "1", **imported(order.packages)},
        )

    def _start(self, folder: RunFolder) -> None:
        handle = processes.spawn(
            [sys.executable, "-m", "kfops.adapters.local.pipelines.supervise", str(folder.path)],
            env={"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "PYTHONPATH": str(_PACKAGE_ROOT)},
            cwd=Path("/"),
            log=folder.path / "supervisor.log",
        )
        self._children.add(handle.pid)

    def _reap(self) -> None:
        """One that has ended stays in the table of processes until its parent asks for it."""
        for pid in tuple(self._children):
            try:
                ended, _ = os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                ended = pid
            if ended:
                self._children.discard(pid)

    def _seen(self, folder: RunFolder) -> RunStatus:
        content = folder.read(folder.state)
        if content is not None:
            return from_json(content)
        order = folder.read(folder.order) or {}
        steps = tuple(Step(name, RunState.PENDING) for name, _ in order.get("steps", ()))
        return RunStatus(RunState.PENDING, steps)

    def _is_young(self, folder: RunFolder) -> bool:
        order = folder.read(folder.order) or {}
        return self._clock.now() - datetime.fromisoformat(order["ordered_at"]) < _STARTS_WITHIN


def _checked_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise Refused(f"{name!r} is no name for a run; expected {_NAME.pattern}")
    return name


def _handle(folder: RunFolder) -> processes.Handle | None:
    try:
        return processes.Handle.from_json(folder.supervisor.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _over(seen: RunStatus, state: RunState, failure: Failure | None) -> RunStatus:
    steps = tuple(
        step
        if step.state in ENDED
        else replace(step, state=state if step.state is RunState.RUNNING else RunState.SKIPPED)
        for step in seen.steps
    )
    return replace(seen, state=state, steps=steps, failure=failure)
