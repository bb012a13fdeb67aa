"""Durable acknowledgement beside receivers that store nothing: the same signed payload, in turns, on one machine."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench import probot
from tests.bench.deliveries import comment
from tests.bench.figures import ROOT, Figure, cpu_of, disk_ms, median, note, show, spread, title

PATH = "/webhooks/github"
KFOPS, COMMANDS, PROBOT, BARE = "kfops", "kfops, /build_run each", "probot", "bare fastapi"
NO_DISK = "kfops, ledger in RAM"
MEMORY = Path("/dev/shm")
CONNECTIONS = (1, 50)
Result = dict[str, float]


@dataclass
class Receiver:
    key: str  # for folders
    name: str
    start: Callable[[int, Path], subprocess.Popen[bytes]]
    body: Path
    connections: tuple[int, ...] = CONNECTIONS
    results: dict[int, list[Result]] = field(default_factory=dict)

    def middle(self, connections: int, what: str) -> float:
        return median([one[what] for one in self.results[connections]])


def run(rounds: int = 3, seconds: float = 4, warm_up_s: float = 1) -> list[Figure]:
    title(f"Webhook acknowledgement: {rounds} rounds in turns, {seconds:g} s each")
    with tempfile.TemporaryDirectory(prefix="kfops-bench-") as name, _memory() as memory:
        folder = Path(name)
        tried = receivers(folder, memory)
        for turn in range(rounds):
            for receiver in tried if turn % 2 == 0 else tried[::-1]:
                for connections in receiver.connections:
                    place = folder / f"{receiver.key}-{turn}-{connections}"
                    place.mkdir()
                    before = disk_ms(place)
                    result = measure(receiver, place, connections, warm_up_s, seconds)
                    result["disk_ms"] = (before + disk_ms(place)) / 2
                    receiver.results.setdefault(connections, []).append(result)
        return _told(tried)


@contextmanager
def _memory() -> Iterator[Path | None]:
    """A folder that no disk keeps; None where the machine has none."""
    if not MEMORY.is_dir() or not os.access(MEMORY, os.W_OK):
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="kfops-bench-", dir=MEMORY) as name:
        yield Path(name)


def receivers(folder: Path, memory: Path | None) -> list[Receiver]:
    plain, command = folder / "plain.json", folder / "command.json"
    plain.write_bytes(comment(folder / "a", "This looks good to me."))
    command.write_bytes(comment(folder / "b", "/build_run"))
    found = [
        Receiver("kfops", KFOPS, start_kfops, plain),
        Receiver("bare", BARE, lambda port, _: _python("bare", str(port)), plain),
        Receiver("commands", COMMANDS, _start_without_workers, command),
    ]
    if memory is not None:
        here = memory

        def without_a_disk(port: int, place: Path) -> subprocess.Popen[bytes]:
            (here / place.name).mkdir()
            return start_kfops(port, here / place.name)

        found.append(Receiver("memory", NO_DISK, without_a_disk, plain, connections=(1,)))
    place = folder / "probot"
    place.mkdir()
    problem = probot.install(place)
    if problem is None:
        found.insert(1, Receiver("node", PROBOT, lambda port, _: probot.start(place, port), plain))
    else:
        note(f"Probot is left out: {problem}.")
    return found


def start_kfops(port: int, place: Path) -> subprocess.Popen[bytes]:
    return _python("kfops", str(port), f"sqlite:///{place / 'ledger.db'}")


def _start_without_workers(port: int, place: Path) -> subprocess.Popen[bytes]:
    """Every delivery leaves a command and an operation; here they are only taken in."""
    return _python("kfops", str(port), f"sqlite:///{place / 'ledger.db'}", "without-workers")


def _python(*words: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "bot"), str(ROOT)])}
    return subprocess.Popen(
        [sys.executable, "-m", "tests.bench.receivers", *words], env=environment, cwd=ROOT
    )


def measure(receiver: Receiver, place: Path, connections: int, warm_up_s: float, seconds: float) -> Result:
    with _running(receiver, place) as (process, port):
        began = cpu_of(process.pid)
        done = subprocess.run(
            [
                *(sys.executable, "-m", "tests.bench.load_generator", PATH, str(port), str(connections)),
                *(str(warm_up_s), str(seconds), str(receiver.body)),
            ],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "bot"), str(ROOT)])},
            stdout=subprocess.PIPE,
            check=True,
        )
        result: Result = json.loads(done.stdout)
        result["cpu"] = (cpu_of(process.pid) - began) / (warm_up_s + seconds)
    ledger = place / "ledger.db"
    if ledger.exists():
        with contextlib.closing(sqlite3.connect(ledger)) as opened:
            (stored,) = opened.execute("SELECT count(*) FROM deliveries").fetchone()
        if stored < result["requests"]:
            raise RuntimeError(f"{result['requests']:.0f} were acknowledged and {stored} are stored")
    return result


@contextmanager
def _running(receiver: Receiver, place: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    process = receiver.start(port, place)
    try:
        deadline = time.monotonic() + 30
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            if time.monotonic() > deadline or process.poll() is not None:
                raise RuntimeError(f"{receiver.name} did not start")
            time.sleep(0.05)
        yield process, port
    finally:
        process.terminate()
        process.wait(20)


def _told(receivers: Sequence[Receiver]) -> list[Figure]:
    note(
        f"{'':<22} {'conn':>4} {'req/s':>8} {'(min-max)':>15} {'p50 ms':>7} {'p99 ms':>7} {'cores':>6} {'load':>5}"
    )
    for one in receivers:
        for connections, results in one.results.items():
            rates = [result["per_second"] for result in results]
            middle = {what: one.middle(connections, what) for what in ("p50_ms", "p99_ms", "cpu", "own_cpu")}
            note(
                f"{one.name:<22} {connections:>4} {median(rates):>8,.0f} {f'({min(rates):,.0f}-{max(rates):,.0f})':>15} "
                f"{middle['p50_ms']:>7.2f} {middle['p99_ms']:>7.2f} {middle['cpu']:>6.2f} {middle['own_cpu']:>5.2f}"
            )
    named = {one.name: one for one in receivers}
    ours, figures = named[KFOPS], []
    for other, rate_bound, tail_bound in ((PROBOT, 1 / 3, 2.0), (BARE, None, None)):
        if other not in named:
            continue
        for connections in CONNECTIONS:
            rate = _ratio(ours, named[other], connections, "per_second")
            tail = _ratio(ours, named[other], connections, "p99_ms")
            # The bound on the tail is promised for 50 connections.
            bound = tail_bound if connections > 1 else None
            figures += [
                Figure(
                    f"req/s, of {other}'s, {connections} connections", rate, "x", rate_bound, at_least=True
                ),
                Figure(f"p99, of {other}'s, {connections} connections", tail, "x", bound),
            ]
    figures += _without_the_disk(named)
    show(figures)
    return figures


def _without_the_disk(named: Mapping[str, Receiver]) -> list[Figure]:
    """With one connection every answer waits for one fdatasync, which takes what the disk takes."""
    kfops, node, memory = named[KFOPS], named.get(PROBOT), named.get(NO_DISK)
    waited = [one["disk_ms"] for one in kfops.results[1]]
    alone = [one["per_second"] * one["disk_ms"] / 1000 for one in kfops.results[1]]
    figures = [
        Figure("fdatasync of 8 kB, beside 1 connection", median(waited), "ms", detail=spread(waited, 2)),
        Figure("req/s, of the disk's fdatasyncs alone, 1 conn.", median(alone), "x"),
    ]
    if node is not None:
        as_durable = [
            ours["per_second"] * (1 / theirs["per_second"] + ours["disk_ms"] / 1000)
            for ours, theirs in zip(kfops.results[1], node.results[1], strict=True)
        ]
        figures.append(Figure("req/s, of probot's plus one fdatasync, 1 conn.", median(as_durable), "x"))
    if node is not None and memory is not None:
        rate = _ratio(memory, node, 1, "per_second")
        figures.append(
            Figure("req/s with no disk, of probot's, 1 connection", rate, "x", 1 / 3, at_least=True)
        )
    return figures


def _ratio(ours: Receiver, theirs: Receiver, connections: int, what: str) -> float:
    """The median of the rounds' ratios: each round saw the machine in one state."""
    pairs = zip(ours.results[connections], theirs.results[connections], strict=True)
    return median([mine[what] / other[what] for mine, other in pairs])
