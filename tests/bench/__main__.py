"""`make bench`: what was promised as figures, measured; ONLY=name picks one. Nothing is asserted here.

python -m tests.bench                 all of them, in short
python -m tests.bench webhook --long  one, with more rounds
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

from tests.bench import canary_simulation, idle, ledger, open_operations, overhead, start, webhook
from tests.bench.figures import note, title


def canary(runs: int) -> None:
    title(f"The canary, simulated: {runs} runs a case")
    is_off = canary_simulation.main(["--runs", str(runs)])
    note(f"wrong decisions stayed within their bound: {'no' if is_off else 'yes'}")


BENCHES: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
    "start": (lambda: start.run(11), lambda: start.run(31)),
    "webhook": (lambda: webhook.run(3, 3), lambda: webhook.run(7, 8, 2)),
    "ledger": (lambda: ledger.run(3, 200), lambda: ledger.run(5, 1000)),
    "open": (lambda: open_operations.run(20), lambda: open_operations.run(120)),
    "idle": (lambda: idle.run(30, 15), lambda: idle.run(120, 30)),
    "overhead": (lambda: overhead.run(3), lambda: overhead.run(9)),
    "canary": (lambda: canary(100), lambda: canary(2000)),
}


def main() -> None:
    given = argparse.ArgumentParser(prog="python -m tests.bench")
    given.add_argument("only", nargs="?", choices=BENCHES, help="one of them")
    given.add_argument("--long", action="store_true", help="more rounds")
    asked = given.parse_args()
    for name, (short, long) in BENCHES.items():
        if asked.only in {None, name}:
            (long if asked.long else short)()


if __name__ == "__main__":
    main()
