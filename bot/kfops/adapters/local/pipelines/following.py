"""Follow a run of kfp.local by its output, line by line: steps, progress, the learning curve, the last words."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from kfops.domain.package import StepSpec
from kfops.domain.run import CurvePoint, Progress, RunState, Step
from kfops.domain.step_log import plain, progress_of, readable

# The framework's own lines begin at the margin; whatever a step writes is indented by it.
_FRAMEWORK = re.compile(r"^\d\d:\d\d:\d\d\.\d{3} - (?:INFO|ERROR|WARNING) - (?P<words>.*)")
_BEGINS = re.compile(r"Executing task '(?P<name>[^']+)'")
_ENDS = re.compile(r"Task '(?P<name>[^']+)' finished with status (?P<status>\w+)")
_INDENT = "    "
_TAIL = 400
_MOST_POINTS = 60
_RULER = re.compile(r"^-{10,}$")


@dataclass
class Following:
    """`feed` takes the lines in order with the seconds since the start; everything else is there to be read."""

    specs: Sequence[StepSpec]
    steps: list[Step] = field(init=False)
    progress: Progress | None = None
    curve: list[CurvePoint] = field(default_factory=list)
    current: int | None = None
    failed: int | None = None
    outside: deque[str] = field(default_factory=lambda: deque(maxlen=_TAIL))
    _began: dict[int, float] = field(default_factory=dict)
    _tails: dict[int, deque[str]] = field(default_factory=dict)
    _in_step: bool = False

    def __post_init__(self) -> None:
        self.steps = [Step(spec.name, RunState.PENDING) for spec in self.specs]

    def feed(self, line: str, at_s: float) -> None:
        line = plain(line)
        framework = _FRAMEWORK.match(line)
        if framework:
            self._follow(framework["words"], at_s)
        elif _RULER.match(line):
            return
        elif self._in_step and self.current is not None:
            self._heard(line.removeprefix(_INDENT), self.current, at_s)
        elif line.strip():
            self.outside.append(line)

    def ended(self, state: RunState, at_s: float) -> None:
        """The run is over: a step that was under way ends with it, those that never began are skipped."""
        for index, step in enumerate(self.steps):
            if step.state is RunState.RUNNING:
                self._set(index, state, at_s)
            elif step.state is RunState.PENDING:
                self.steps[index] = replace(step, state=RunState.SKIPPED)
        self.current = None

    def seen(self, at_s: float) -> tuple[Step, ...]:
        """The steps as they are at that moment."""
        return tuple(
            replace(step, seconds=round(at_s - self._began[index], 1))
            if step.state is RunState.RUNNING
            else step
            for index, step in enumerate(self.steps)
        )

    def tail(self, index: int) -> list[str]:
        """The step's last lines, free of the framework's."""
        return readable(self._tails.get(index, ()))

    def raw_tail(self, index: int) -> list[str]:
        return list(self._tails.get(index, ()))

    def _follow(self, words: str, at_s: float) -> None:
        if begins := _BEGINS.match(words):
            self.current = self._next(begins["name"])
            if self.current is not None:
                self._began[self.current] = at_s
                self._tails[self.current] = deque(maxlen=_TAIL)
                self._set(self.current, RunState.RUNNING, at_s)
            self._in_step = True
        elif ends := _ENDS.match(words):
            if self.current is not None:
                succeeded = ends["status"] == "SUCCESS"
                self._set(self.current, RunState.SUCCEEDED if succeeded else RunState.FAILED, at_s)
                if not succeeded:
                    self.failed = self.current
                elif self.failed == self.current:
                    self.failed = None  # a retry made it good
            self._in_step = False

    def _next(self, component: str) -> int | None:
        """The framework names a step by its component: the first that waits, else the last (a retry, a loop)."""
        matching = [index for index, spec in enumerate(self.specs) if spec.component == component]
        waiting = [index for index in matching if self.steps[index].state is RunState.PENDING]
        if waiting and not (self.current in matching and self._is_retry()):
            return waiting[0]
        return self.current if self.current in matching else (matching[-1] if matching else None)

    def _is_retry(self) -> bool:
        return self.current is not None and self.steps[self.current].state is RunState.FAILED

    def _set(self, index: int, state: RunState, at_s: float) -> None:
        began = self._began.get(index, at_s)
        self.steps[index] = replace(self.steps[index], state=state, seconds=round(at_s - began, 1))

    def _heard(self, line: str, index: int, at_s: float) -> None:
        progress = progress_of(line, self.specs[index].name)
        if progress is None:
            self._tails[index].append(line)
            return
        self.progress = progress
        note = _note(progress)
        if note:
            self.steps[index] = replace(self.steps[index], note=note)
        if progress.best is not None:
            elapsed = progress.elapsed_s if progress.elapsed_s is not None else at_s - self._began[index]
            self._point(CurvePoint(round(elapsed, 1), progress.best))

    def _point(self, point: CurvePoint) -> None:
        if len(self.curve) >= 2 and self.curve[-1].best == self.curve[-2].best == point.best:  # noqa: PLR2004
            self.curve[-1] = point  # a level stretch needs its two ends only
        else:
            self.curve.append(point)
        if len(self.curve) > _MOST_POINTS:
            self.curve = [*self.curve[:-1:2], self.curve[-1]]


def follow(lines: Iterable[str], specs: Sequence[StepSpec]) -> Following:
    """A whole log at once: the seconds are those of the framework's own lines."""
    following = Following(specs)
    first: float | None = None
    at_s = 0.0
    for line in lines:
        if _FRAMEWORK.match(plain(line)):
            moment = _moment(line)
            first = moment if first is None else first
            at_s = (moment - first) % 86_400
        following.feed(line, at_s)
    return following


def _moment(line: str) -> float:
    hours, minutes, seconds = line[:12].split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


def _note(progress: Progress) -> str:
    words = [progress.learner or "", f"{progress.trials} trials" if progress.trials else ""]
    return ", ".join(word for word in words if word)
