"""Servers that end with the process that runs the tests, however that ends."""

from __future__ import annotations

import shutil
from collections.abc import Sequence


def bound(words: Sequence[str]) -> list[str]:
    """The command, killed by the kernel when the thread that starts it is gone; for servers of the main thread."""
    program = shutil.which("setpriv")
    return [program, "--pdeathsig", "KILL", "--", *words] if program else [*words]
