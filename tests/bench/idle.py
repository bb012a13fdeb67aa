"""The bot with nothing to do: memory and CPU of its own process, MLflow and Envoy being others'."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from tests.bench.figures import Figure, cpu_of, note, resident_mib, show, title
from tests.support.live import Live, live


def run(seconds: float = 30, warm_up_s: float = 15) -> list[Figure]:
    title(f"The idle bot: {seconds:g} s after {warm_up_s:g} s of warm-up")
    with tempfile.TemporaryDirectory(prefix="kfops-bench-") as folder, live(Path(folder)) as world:
        fresh = _measured(world, "just started", warm_up_s, seconds)
        number = world.open_pull("first", "README.md", lambda text: f"{text}\nA first model.\n")
        world.done("ada", number, "/build_run")
        used = _measured(world, "after a /build_run", warm_up_s, seconds)
    show([*fresh, *used])
    return [*fresh, *used]


def _measured(world: Live, when: str, warm_up_s: float, seconds: float) -> list[Figure]:
    if world.bot is None:
        raise RuntimeError("the bot did not start")
    pid = world.bot.pid
    time.sleep(warm_up_s)
    began, at = cpu_of(pid), time.monotonic()
    time.sleep(seconds)
    share = 100 * (cpu_of(pid) - began) / (time.monotonic() - at)
    memory = resident_mib(pid)
    threads = len(list(Path(f"/proc/{pid}/task").iterdir()))
    note(f"{when}: {threads} threads, peak {resident_mib(pid, 'VmHWM'):.0f} MiB")
    return [
        Figure(f"memory, {when}", memory * 1024 * 1024 / 1e6, "MB", 150),
        Figure(f"CPU, {when}", share, "%", 1),
    ]
