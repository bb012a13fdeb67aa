"""What the commands cost before they do anything: CPU of the whole process, as the installed script runs."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from tests.bench.figures import ROOT, Figure, cpu_of_child, median, show, spread, title


def run(times: int = 11) -> list[Figure]:
    title("Start-up, seconds of CPU (user and system, whole process, warm)")
    script = Path(sys.executable).with_name("kfc")
    kfc = [str(script)] if script.exists() else [shutil.which("kfc") or "kfc"]
    template = ROOT / "pipeline_template"
    cases = (
        ("kfc --help", [*kfc, "--help"], 0.15),
        ("kfc check --no-compile", [*kfc, "check", "--no-compile", "--repo", str(template)], 0.4),
        ("bare python -c pass", [sys.executable, "-c", "pass"], None),
    )
    used: dict[str, list[float]] = {name: [] for name, _, _ in cases}
    for turn in range(times + 1):
        for name, argv, _ in cases:
            seconds = cpu_of_child(argv, template, dict(os.environ))
            if turn:  # the first one warms the caches
                used[name].append(seconds)
    figures = [
        Figure(name, median(used[name]), "s", bound, detail=spread(used[name])) for name, _, bound in cases
    ]
    show(figures)
    return figures
