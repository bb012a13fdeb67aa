"""How the benches say what they measured: one line a figure, against its bound, with the machine's load beside it."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Figure:
    """`bound` None where none is promised; `at_least`: the figure must reach its bound instead of staying below."""

    name: str
    value: float
    unit: str = ""
    bound: float | None = None
    at_least: bool = False
    detail: str = ""

    def line(self) -> str:
        said = f"{self.name:<46} {_number(self.value):>9} {self.unit}"
        if self.bound is None:
            return f"{said:<66} {self.detail}".rstrip()
        kept = self.value >= self.bound if self.at_least else self.value <= self.bound
        word = "at least" if self.at_least else "at most"
        verdict = "kept" if kept else "MISSED"
        said = (
            f"{said:<66} {word} {_number(self.bound)}: {verdict} ({_number(self.value / self.bound)} of it)"
        )
        return f"{said}  {self.detail}".rstrip()


def title(text: str) -> None:
    """The heading of one bench: figures say little without the machine's state."""
    one, five, fifteen = os.getloadavg()
    print(f"\n## {text}\n   {os.cpu_count()} cores, load {one:.2f} {five:.2f} {fifteen:.2f}", flush=True)


def show(figures: Sequence[Figure]) -> None:
    for figure in figures:
        print(figure.line(), flush=True)


def note(text: str) -> None:
    print(f"   {text}", flush=True)


def spread(values: Sequence[float], digits: int = 3) -> str:
    return f"median of {len(values)}, {min(values):.{digits}f}-{max(values):.{digits}f}"


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that is not exceeded by `share` of them; they need not be sorted."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def disk_ms(folder: Path) -> float:
    """What every commit waits for: the median of fdatasync after 8 kB."""
    taken = []
    with (folder / "sync").open("wb") as file:
        for _ in range(50):
            file.write(b"0" * 8192)
            file.flush()
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            taken.append(1000 * (time.perf_counter() - began))
    return median(taken)


def cpu_of_child(argv: Sequence[str], cwd: Path, environment: Mapping[str, str]) -> float:
    """User and system seconds of one process from its start to its end."""
    # Its own wait4: subprocess reaps without telling what the child used.
    process = subprocess.Popen(
        argv, cwd=cwd, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"{' '.join(argv)} ended with {process.returncode}")
    return used.ru_utime + used.ru_stime


def cpu_of(pid: int) -> float:
    """User and system seconds that a running process has used so far, without its children's."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mib(pid: int, what: str = "VmRSS") -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{what}:"))


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}" if abs(value) < 100 else f"{value:.1f}"
