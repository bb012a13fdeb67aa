"""`kfc from-notebook`: the component's file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kfops.cli.exits import Exit, Stop
from kfops.cli.notebook.component import MADE, Asked, component


def write(asked: Asked, out: Path) -> tuple[dict[str, Any], list[str]]:
    """What was made, as JSON and in lines. A file that a person wrote is never written over."""
    if out.suffix != ".py":
        raise Stop(Exit.USAGE, f"--out {out}: expected a Python file, such as components/{asked.name}.py")
    if out.exists() and not out.read_text(encoding="utf-8").startswith(MADE):
        raise Stop(Exit.USAGE, f"{out} was not made from a notebook; give another file, or remove it first")
    text = component(asked)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(text, encoding="utf-8")
    lines = [
        f"component {asked.name} in {out}",
        f"use it: from {out.parent.name or '.'}.{out.stem} import {asked.name}",
    ]
    return {"component": asked.name, "file": str(out)}, lines
