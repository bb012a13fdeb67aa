"""Children that do not outlive the stack, even when it is killed."""

from __future__ import annotations

import shutil


def die_with_parent(*argv: str) -> list[str]:
    """The command, arranged so that the kernel kills it when its parent ends; plain where `setpriv` is missing."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", "--", *argv] if setpriv else list(argv)
