"""`make chaos`: every matrix in full, printed as a table. Ends with 1 when anything was lost, doubled or unpinned.

python -m tests.chaos [--crashes everywhere|each_pair|each_named] [--deliveries N] [--only WORDS] [--what WORDS]
                      [--every N] [--jobs N] [--kept FILE]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.chaos import table
from tests.chaos.everything import FLOOD, everything, quietly, shelf_in
from tests.chaos.matrices import Share, plan
from tests.chaos.quick_folder import quick_folder


def main() -> int:
    asked = _arguments()
    quietly()
    with quick_folder() as folder, shelf_in(folder) as shelf:
        shares = list(plan(shelf, everywhere=asked.crashes, only=asked.only, every=asked.every))
    if asked.deliveries and asked.only in FLOOD:
        shares.insert(0, Share(FLOOD, f"{asked.deliveries} deliveries", (asked.deliveries,)))
    shares = [one for one in shares if asked.what in one.what]
    found = everything(shares, asked.jobs, asked.kept, _say)
    for line in (*table.rows(found), *table.effects(found), table.summary(found)):
        _say(line)
    return 1 if any(result.told for _, result in found) else 0


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos")
    choices = ["everywhere", "each_pair", "each_named"]
    parser.add_argument("--crashes", default="everywhere", choices=choices, help="where the process dies")
    parser.add_argument("--deliveries", type=int, default=100_000)
    parser.add_argument("--only", default="", help="stories with these words in their name")
    parser.add_argument(
        "--what",
        default="",
        help="only what has these words in its name: death, push, forge, pause, engine, defect",
    )
    parser.add_argument("--every", type=int, default=1, help="only each N-th place, step and call")
    parser.add_argument("--jobs", type=int, default=1, help="processes at once")
    parser.add_argument(
        "--kept", type=Path, help="a file of what was tried; it grows, and is not tried again"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
