"""An engine for the port `Pipelines` that keeps real state in memory: runs that take the clock's time, not the machine's.

A pipeline's source is a Python literal that says what will happen, as `source` writes it. The model that a run hands
over has that text in it, so that the other engines in memory (scoring, serving) know how good and how well-behaved
it is.
"""

from __future__ import annotations

import ast
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from pprint import pformat
from typing import Any

from kfops.adapters.local.digest import digest_of_directory
from kfops.domain.package import (
    CompileFailure,
    InputSpec,
    InputType,
    Package,
    PackageContent,
    StepKind,
    StepSpec,
)
from kfops.domain.run import ENDED, Failure, FailureKind, RunOutputs, RunState, RunStatus, Step
from kfops.ports.clock import Clock
from kfops.ports.errors import Refused
from kfops.ports.pipelines import CompileOrder, RunOrder

MODEL_FILE = "model.json"
CANCELING = timedelta(milliseconds=200)  # how long a run takes to end when asked to
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_TYPES = {bool: InputType.BOOL, int: InputType.INT, float: InputType.FLOAT, str: InputType.STR}


def source(
    *,
    steps: Mapping[str, float] | None = None,
    inputs: Mapping[str, Any] | None = None,
    fails: str = "",
    image: str = "",
    **model: Any,
) -> str:
    """The text of a pipeline: its steps with their seconds, its inputs, the step that fails, the image that all name, and
    what its model is.
    """
    told = {
        "steps": dict(steps or {"train": 3.0, "evaluate": 1.0}),
        "inputs": dict(inputs or {"seed": 0}),
        "fails": fails,
        "image": image,
        "model": model,
    }
    return f"{pformat(told)}\n"


@dataclass
class _Run:
    name: str
    steps: tuple[tuple[str, float], ...]
    fails: str
    model: dict[str, Any]
    timeout_s: float
    began: datetime
    cancelled: datetime | None = None
    lost: bool = False
    ended: RunStatus | None = None


class InMemoryPipelines:
    """`runs` maps names to runs made: what a test of "nothing twice" counts. `pulls_images`: as of an engine whose steps
    run in images.
    """

    pulls_images = False

    def __init__(self, root: Path, clock: Clock) -> None:
        self._root, self._clock = root, clock
        self.runs: dict[str, _Run] = {}

    def compile(self, order: CompileOrder) -> Package | CompileFailure:
        path = order.source_dir / order.pipeline
        if not path.is_file():
            return CompileFailure(f"there is no file {order.pipeline}", order.pipeline)
        text = path.read_text(encoding="utf-8")
        try:
            told = json.loads(text) if order.pipeline.endswith(".yaml") else ast.literal_eval(text)
        except (ValueError, SyntaxError) as error:
            line = getattr(error, "lineno", None)
            return CompileFailure(f"{type(error).__name__}: {error}", order.pipeline, line, hint="Mend it.")
        package = json.dumps(told, sort_keys=True).encode()
        order.out_dir.mkdir(parents=True, exist_ok=True)
        target = order.out_dir / "package.yaml"
        target.write_bytes(package)
        return Package(target, hashlib.sha256(package).hexdigest(), _content(told))

    def submit(self, order: RunOrder) -> str:
        name = _checked(order.name)
        if name in self.runs:
            return name
        text = order.package.path.read_bytes()
        if hashlib.sha256(text).hexdigest() != order.package.digest:
            raise Refused(f"the package {order.package.digest[:12]} was changed after it was compiled")
        told = json.loads(text)
        self.runs[name] = _Run(
            name,
            tuple(told["steps"].items()),
            told["fails"],
            {
                **told["model"],
                **{key: value for key, value in order.parameters.items() if key in told["model"]},
            },
            order.timeout_s,
            self._clock.now(),
        )
        return name

    def find(self, name: str) -> str | None:
        return name if _checked(name) in self.runs else None

    def status(self, run_id: str) -> RunStatus:
        run = self._run(run_id)
        if run.ended is None:
            seen = self._seen(run, (self._clock.now() - run.began).total_seconds())
            if seen.state not in ENDED:
                return seen
            run.ended = seen
        return run.ended

    def cancel(self, run_id: str) -> None:
        run = self._run(run_id)
        if self.status(run_id).state not in ENDED and run.cancelled is None:
            run.cancelled = self._clock.now()

    def keep_one(self, name: str, run_id: str) -> None:
        """A name is a key here: there is no second one."""

    def outputs(self, run_id: str) -> RunOutputs:
        run, state = self._run(run_id), self.status(run_id).state
        if state is not RunState.SUCCEEDED:
            raise Refused(f"the run {run_id} is {state}; only a run that SUCCEEDED hands something over")
        folder = self._root / run_id
        model = folder / "model"
        model.mkdir(parents=True, exist_ok=True)
        (model / "MLmodel").write_text("flavors: {}\n")
        (model / MODEL_FILE).write_text(json.dumps(run.model, sort_keys=True))
        heldout = folder / "heldout.csv"
        heldout.write_text("tenure,churn\n1,0\n2,1\n")
        metrics = {name: value for name, value in run.model.items() if isinstance(value, float)}
        return RunOutputs(
            model=model,
            model_digest=digest_of_directory(model),
            metrics=metrics,
            heldout=heldout,
            profile=_profile(folder, run.model),
            digests={"data": hashlib.sha256(b"data").hexdigest()},
        )

    def lose(self, run_id: str) -> None:
        """Its process dies and leaves no result."""
        self._run(run_id).lost = True

    def _run(self, run_id: str) -> _Run:
        if run_id not in self.runs:
            raise Refused(f"there is no run {run_id}")
        return self.runs[run_id]

    def _seen(self, run: _Run, elapsed: float) -> RunStatus:
        steps, failed = _progress(run, elapsed)
        is_over = all(step.state in ENDED for step in steps)
        state = RunState.SUCCEEDED if is_over else RunState.RUNNING
        if run.lost:
            return _over(steps, RunState.FAILED, Failure(FailureKind.LOST, "the run left no result"), run)
        if failed:
            why = Failure(FailureKind.STEP, f"RuntimeError: {failed} fails", failed, "Traceback …")
            return _over(steps, RunState.FAILED, why, run)
        if run.cancelled is not None and not is_over:
            if self._clock.now() - run.cancelled < CANCELING:
                return RunStatus(RunState.CANCELING, steps, started_at=run.began)
            return _over(steps, RunState.CANCELED, None, run)
        if elapsed > run.timeout_s and not is_over:
            why = Failure(FailureKind.TIMEOUT, f"the run took longer than {run.timeout_s:g} s and was ended")
            return _over(steps, RunState.FAILED, why, run)
        ended = run.began + timedelta(seconds=sum(seconds for _, seconds in run.steps)) if is_over else None
        return RunStatus(state, steps, started_at=run.began, ended_at=ended)


def _profile(folder: Path, model: Mapping[str, Any]) -> Path | None:
    """`profile` of what the pipeline's text says of its model: the table's, as the template hands it over."""
    if "profile" not in model:
        return None
    file = folder / "profile.json"
    file.write_text(json.dumps(model["profile"]))
    return file


def _progress(run: _Run, elapsed: float) -> tuple[tuple[Step, ...], str]:
    """The steps as they are after so many seconds, and the one that has failed by then."""
    found, begins, failed = [], 0.0, ""
    for name, seconds in run.steps:
        ends = begins + seconds
        if failed:
            found.append(Step(name, RunState.SKIPPED))
        elif elapsed < begins:
            found.append(Step(name, RunState.PENDING))
        elif elapsed < ends:
            found.append(Step(name, RunState.RUNNING, elapsed - begins))
        elif name == run.fails:
            failed = name
            found.append(Step(name, RunState.FAILED, seconds))
        else:
            found.append(Step(name, RunState.SUCCEEDED, seconds))
        begins = ends
    return tuple(found), failed


def _over(steps: tuple[Step, ...], state: RunState, failure: Failure | None, run: _Run) -> RunStatus:
    ended = tuple(
        step
        if step.state in ENDED
        else replace(step, state=state if step.state is RunState.RUNNING else RunState.SKIPPED)
        for step in steps
    )
    return RunStatus(state, ended, failure=failure, started_at=run.began)


def _content(told: Mapping[str, Any]) -> PackageContent:
    inputs = tuple(
        InputSpec(name, _TYPES[type(default)], default) for name, default in sorted(told["inputs"].items())
    )
    steps = tuple(StepSpec(name, name, StepKind.PYTHON, told.get("image", "")) for name in told["steps"])
    return PackageContent("in-memory", "", inputs, steps)


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise Refused(f"{name!r} is no name for a run; expected {_NAME.pattern}")
    return name
