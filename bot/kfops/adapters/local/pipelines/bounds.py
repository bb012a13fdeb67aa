"""What a run may take: time, memory, disk. Looked at while it goes on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kfops.adapters.local.disk import too_much
from kfops.adapters.local.process_tree import too_much_memory
from kfops.domain.run import Failure, FailureKind

_WEIGH_EVERY_S = 0.25  # memory, which fills fast
_MEASURE_EVERY_S = 2.0  # the disk


@dataclass
class RunBounds:
    """`timeout_s` for the whole run, `memory_bytes` for all of its processes together, `disk_bytes` for `work`."""

    work: Path
    timeout_s: float
    memory_bytes: int
    disk_bytes: int
    _weighed_s: float = 0.0
    _measured_s: float = 0.0

    def exceeded(self, pid: int, elapsed_s: float, step: str | None) -> Failure | None:
        """Of the processes below `pid`, `elapsed_s` seconds after their start, in that step."""
        if elapsed_s > self.timeout_s:
            words = f"the run took longer than {self.timeout_s:g} s (pipeline.timeout)"
            return Failure(FailureKind.TIMEOUT, words, step=step)
        if elapsed_s - self._weighed_s > _WEIGH_EVERY_S:
            self._weighed_s = elapsed_s
            if taken := too_much_memory(pid, self.memory_bytes, whose="the run"):
                return Failure(FailureKind.STEP, taken, step=step)
        if elapsed_s - self._measured_s > _MEASURE_EVERY_S:
            self._measured_s = elapsed_s
            if written := too_much(self.work, self.disk_bytes, whose="the run"):
                return Failure(FailureKind.OUT_OF_SPACE, written, step=step)
        return None
