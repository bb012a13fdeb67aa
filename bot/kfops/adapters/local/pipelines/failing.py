"""Why a run failed, in words for the pull request: the step, its last line, the place in the repository."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kfops.adapters.local.outputs import read_output
from kfops.adapters.local.pipelines.following import Following
from kfops.domain.run import Failure, FailureKind
from kfops.domain.step_log import Frame, frames, last_words, place_of, plain
from kfops.ports.errors import Refused

_MARK = "KFOPS_RUN "
_MOST_SOURCES = 500
_LARGEST_SOURCE = 256 << 10
_NOT_LOOKED_AT = {".git", ".venv", "venv", "node_modules", "__pycache__"}
_MEMORY = re.compile(r"MemoryError|bad_alloc|annot allocate memory|^Killed|out of memory", re.IGNORECASE)
_NO_MODULE = re.compile(r"ModuleNotFoundError: No module named '([^'.]+)")
_NO_NETWORK = re.compile(r"Network is unreachable|Temporary failure in name resolution|NameResolutionError")


def failure_of(following: Following, source_dir: Path, exit_code: int, memory_bytes: int) -> Failure:
    """Of a run that ended by itself and did not succeed."""
    if following.failed is None:
        return _of_the_engine(following, exit_code)
    tail = following.tail(following.failed)
    summary = last_words(tail) or "the step ended without a word"
    found, sources = frames(tail), _sources(source_dir)
    place = place_of(found, sources)
    return Failure(
        kind=FailureKind.STEP,
        summary=summary,
        step=following.steps[following.failed].name,
        log_tail=_in_the_repository("\n".join(tail), found, sources),
        path=place[0] if place else None,
        line=place[1] if place else None,
        hint=_hint(summary, tail, memory_bytes),
    )


def _in_the_repository(text: str, found: list[Frame], sources: dict[str, str]) -> str:
    """The same traceback with the places that its reader knows, instead of those of the copies that ran."""
    for frame in found:
        place = place_of([frame], sources)
        if place is not None:
            was = f'File "{frame.file}", line {frame.line},'
            text = text.replace(was, f'File "{place[0]}", line {place[1]},')
    return text


def _of_the_engine(following: Following, exit_code: int) -> Failure:
    said = [line for line in following.outside if line.startswith(_MARK)]
    others = [line for line in following.outside if not line.startswith(_MARK)]
    summary = _error(said[-1]) if said else ""
    if not summary:
        summary = others[-1] if others else f"the run ended with exit code {exit_code} and without a word"
    return Failure(FailureKind.BACKEND, summary, log_tail="\n".join(others[-40:]))


def _error(line: str) -> str:
    try:
        content: Any = json.loads(line.removeprefix(_MARK))
    except (ValueError, RecursionError):
        return ""
    return plain(str(content.get("error", ""))) if isinstance(content, dict) else ""


def _hint(summary: str, tail: list[str], memory_bytes: int) -> str:
    text = "\n".join([summary, *tail[-5:]])
    if _MEMORY.search(text):
        return f"the step needed more memory than its {memory_bytes / (1 << 30):g} GiB"
    if match := _NO_MODULE.search(text):
        return f"the package that holds {match[1]} is not in the environment of the steps"
    if _NO_NETWORK.search(text):
        return "steps have no network here; data comes in by a path"
    return ""


def _sources(folder: Path) -> dict[str, str]:
    """The Python files of the repository by their paths, without following links."""
    found: dict[str, str] = {}
    for path in _python_files(folder):
        if len(found) >= _MOST_SOURCES:
            break
        try:
            found[path] = read_output(folder, path, _LARGEST_SOURCE).decode()
        except (Refused, OSError, UnicodeDecodeError):
            continue
    return found


def _python_files(folder: Path) -> Iterator[str]:
    for here, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in _NOT_LOOKED_AT)
        for name in sorted(files):
            if name.endswith(".py"):
                yield str((Path(here) / name).relative_to(folder))
