"""What `/build_run` takes longer than the same compiled package with bare `kfp.local`, comment to final reply."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.figures import Figure, median, note, show, spread, title
from tests.support.live import REPOSITORY, Live, live

BARE = """
import json, sys
from kfp import components, local
package, parameters, root = sys.argv[1:]
local.init(local.SubprocessRunner(use_venv=False), pipeline_root=root, raise_on_error=True)
components.load_component_from_file(package)(**json.load(open(parameters)))
"""
ENDINGS = {"rocket", "confused", "-1"}


def run(times: int = 5) -> list[Figure]:
    title(
        f"/build_run beside bare kfp.local, {times} times each, in turns (two trials of the search in both)"
    )
    whole, bare = [], []
    with tempfile.TemporaryDirectory(prefix="kfops-bench-") as folder, live(Path(folder)) as world:
        number = world.open_pull("first", "README.md", lambda text: f"{text}\nA first model.\n")
        for turn in range(times + 1):
            commented = _commented(world, number)
            alone = _alone(Path(folder))
            if turn:  # the first one warms the caches
                whole.append(commented)
                bare.append(alone)
    difference = [one - other for one, other in zip(whole, bare, strict=True)]
    note(f"each difference: {', '.join(f'{one:.2f}' for one in difference)} s")
    figures = [
        Figure("comment to final reply", median(whole), "s", detail=spread(whole, 2)),
        Figure("bare kfp.local, whole process", median(bare), "s", detail=spread(bare, 2)),
        Figure("overhead of /build_run", median(difference), "s", 3, detail=spread(difference, 2)),
    ]
    show(figures)
    return figures


def _commented(world: Live, number: int) -> float:
    began = time.monotonic()
    comment = world.say("ada", number, "/build_run")
    owner = next(one for one in world.playground.state.repositories.values() if comment in one.comments)
    # Looked at in this process, which is the forge: asking over HTTP so often would slow down what is measured.
    while time.monotonic() - began < 300:
        marks = {mark.content for mark in owner.comments[comment].reactions.values()}
        if "rocket" in marks:
            return time.monotonic() - began
        if marks & ENDINGS:
            break
        time.sleep(0.02)
    raise RuntimeError(f"/build_run in {REPOSITORY} did not succeed:\n{world.replies(number)[-1]}")


def _alone(folder: Path) -> float:
    """The package of the run that just ended, its parameters, its commit's files; nothing else of the bot's."""
    runs = sorted(
        (folder / "bot").glob("pipelines/**/parameters.json"), key=lambda path: path.stat().st_mtime
    )
    last = runs[-1].parent
    source = Path(json.loads((last / "order.json").read_text())["source_dir"])
    with tempfile.TemporaryDirectory(dir=folder) as root:
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-c", BARE, str(last / "package.yaml"), str(last / "parameters.json"), root],
            cwd=source,
            env={**os.environ, "PYTHONPATH": ""},
            capture_output=True,
            text=True,
            check=False,
        )
        took = time.monotonic() - began
    if done.returncode != 0:
        raise RuntimeError(f"bare kfp.local failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return took
