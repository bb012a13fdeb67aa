"""Read what a step wrote: its progress, its last words, and the place in the repository. Pure, for any engine's log."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from kfops.domain.run import Progress

MARK = "KFOPS_PROGRESS "
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_NOISE = re.compile(r"^\s*\[KFP Executor |^\s*\[KFP \w+ ")
_FRAME = re.compile(r'^\s*File "(?P<file>[^"]+)", line (?P<line>\d+), in (?P<function>.+)$')
_FRAMEWORK = re.compile(r"/site-packages/(kfp|_pytest)/|^<frozen ")
_LIBRARY = re.compile(r"/site-packages/|/lib/python3\.\d+/|^<")
_CARETS = re.compile(r"^\s*[\^~]+\s*$")
_ERROR = re.compile(r"^[A-Za-z_][\w.]*(Error|Exception|Exit|Interrupt|Warning|Refused|NotValid)?(: |$)")
_LONGEST_LINE = 2000
_LONGEST_WORD = 60
_TRACEBACK = "Traceback (most recent call last):"


def plain(line: str) -> str:
    """Without colours, carriage returns and what follows 2,000 characters."""
    return _ANSI.sub("", line).replace("\r", "").replace("\x00", "")[:_LONGEST_LINE].rstrip()


def progress_of(line: str, step: str) -> Progress | None:
    """From a line `KFOPS_PROGRESS {json}`; None for any other line, and for one whose JSON is none."""
    text = line.strip()
    if not text.startswith(MARK) or len(text) > _LONGEST_LINE:
        return None
    try:
        content = json.loads(text[len(MARK) :])
    except (ValueError, RecursionError):
        return None
    if not isinstance(content, Mapping):
        return None
    return Progress(
        step=step,
        elapsed_s=finite_number(content.get("elapsed")),
        budget_s=finite_number(content.get("budget")),
        trials=_count(content.get("trials")),
        max_trials=_count(content.get("max_trials")),
        learner=_word(content.get("learner")),
        metric=_word(content.get("metric")),
        best=finite_number(content.get("best")),
        stage=_word(content.get("stage")),
    )


def readable(lines: Iterable[str], most: int = 40) -> list[str]:
    """The last lines that the step itself wrote: no framework lines, no frames of the framework's, no progress."""
    kept: list[str] = []
    in_input = in_frame = False
    for line in lines:
        if "Got executor_input:" in line:
            in_input = True
        if in_input:
            in_input = line.rstrip() != "}"
            continue
        frame = _FRAME.match(line)
        if frame:
            in_frame = bool(_FRAMEWORK.search(frame["file"]))
        elif in_frame and not line.startswith("    "):
            in_frame = False
        if in_frame or _NOISE.match(line) or line.startswith(MARK) or not line.strip():
            continue
        kept.append(line)
    return kept[-most:]


def last_words(lines: Sequence[str]) -> str:
    """The line that says why: the message of the last traceback, else the last line that is not empty."""
    written = [line for line in lines if line.strip()]
    if not written:
        return ""
    starts = [index for index, line in enumerate(written) if line.strip() == _TRACEBACK]
    if starts:
        for index in range(len(written) - 1, starts[-1], -1):
            if _ERROR.match(written[index]) and not written[index].startswith(" "):
                return "\n".join(written[index : index + 3]).strip()[:_LONGEST_LINE]
    return written[-1].strip()


@dataclass(frozen=True)
class Frame:
    """One line of a traceback; `code` is the source line as the traceback shows it, `` where it does not."""

    file: str
    line: int
    function: str
    code: str


def frames(lines: Sequence[str]) -> list[Frame]:
    """Of the last traceback, outermost first, without the library's own."""
    starts = [index for index, line in enumerate(lines) if line.strip() == _TRACEBACK]
    found = []
    for index in range(starts[-1] if starts else 0, len(lines)):
        match = _FRAME.match(lines[index])
        if match is None or _LIBRARY.search(match["file"]):
            continue
        code = lines[index + 1].strip() if index + 1 < len(lines) else ""
        if _FRAME.match(lines[index + 1]) if index + 1 < len(lines) else False:
            code = ""
        found.append(Frame(match["file"], int(match["line"]), match["function"], code))
    return found


def place_of(found: Sequence[Frame], sources: Mapping[str, str]) -> tuple[str, int] | None:
    """(path, line) of the deepest frame that lies in the repository; `sources` maps its paths to their text.

    A step's function and an embedded folder run from copies under other names. What tells their places is the source
    line itself, so a place is only given where exactly one fits.
    """
    for frame in reversed(found):
        place = _place(frame, sources)
        if place is not None:
            return place
    return None


def _place(frame: Frame, sources: Mapping[str, str]) -> tuple[str, int] | None:
    if frame.file in sources:
        return frame.file, frame.line
    if not frame.code:
        return None
    name = PurePosixPath(frame.file).name
    same_name = [path for path in sources if PurePosixPath(path).name == name]
    exact = [path for path in same_name if _line(sources[path], frame.line) == frame.code]
    if exact:
        return (exact[0], frame.line) if len(exact) == 1 else None
    places = [
        (path, number)
        for path, text in sources.items()
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip() == frame.code and _function_above(text, number) == frame.function
    ]
    return places[0] if len(places) == 1 else None


def _line(text: str, number: int) -> str | None:
    lines = text.splitlines()
    return lines[number - 1].strip() if 0 < number <= len(lines) else None


def _function_above(text: str, number: int) -> str:
    """The innermost `def` that the line is indented below."""
    lines = text.splitlines()
    indent = _indent(lines[number - 1])
    for line in reversed(lines[: number - 1]):
        if line.strip() and _indent(line) < indent:
            words = line.split()
            if words[0] == "def" or words[:2] == ["async", "def"]:
                return line.split("def ", 1)[1].split("(")[0].strip()
            if line.lstrip()[0] not in ")]}":
                indent = _indent(line)
    return "<module>"


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def finite_number(value: Any) -> float | None:
    """None for anything that is no finite number, booleans among them."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _count(value: Any) -> int | None:
    number = finite_number(value)
    return int(number) if number is not None and 0 <= number < 1e12 else None  # noqa: PLR2004 - nobody counts so far


def _word(value: Any) -> str | None:
    if not isinstance(value, str):
        return None
    return "".join(filter(str.isprintable, plain(value)))[:_LONGEST_WORD] or None
