"""A requirements file of a pull request, read as foreign text: plain requirements by name, and nothing else.

The format is pip's, less everything by which a file could say where packages come from or how they are installed:
option lines, addresses, paths and variables. Hashes may be given.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from packaging.requirements import InvalidRequirement, Requirement

LARGEST_BYTES = 1 << 18
_MOST_LINES = 2000
_SHOWN = 80
_COMMENT = re.compile(r"(^|\s)#.*$")
_HASH = re.compile(r"\s+--hash[= ]sha256:([0-9a-f]{64})(?=\s|$)")
_PATH = re.compile(r"^[./~\\]|^[A-Za-z]:[\\/]|[\\/]|\.(whl|zip|tar|tgz|tar\.(gz|bz2|xz))$", re.IGNORECASE)
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://|^(git|hg|svn|bzr|file)\+?:", re.IGNORECASE)
_SOURCE = re.compile(r"\.(zip|tar|tgz|tar\.(gz|bz2|xz))$", re.IGNORECASE)


@dataclass(frozen=True)
class RequirementProblem:
    """`line` counts from 1; 0: the file as a whole."""

    line: int
    found: str
    why: str

    def __str__(self) -> str:
        where = f"line {self.line}: " if self.line else ""
        return f"{where}{self.why}{f' ({self.found})' if self.found else ''}"


@dataclass(frozen=True)
class Requirements:
    """`lines`: each as pip takes it, normalised, in the file's order, hashes included."""

    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        return "".join(f"{line}\n" for line in self.lines)

    def plain(self) -> tuple[Requirement, ...]:
        return tuple(Requirement(_HASH.sub("", line)) for line in self.lines)


def read_requirements(text: str) -> Requirements | tuple[RequirementProblem, ...]:
    """All that is wrong at once, in the order of the lines."""
    if len(text) > LARGEST_BYTES:
        return (RequirementProblem(0, "", f"the file has more than {LARGEST_BYTES} characters"),)
    lines: list[str] = []
    problems: list[RequirementProblem] = []
    for number, line in _logical(text):
        read = read_requirement(line, number)
        if isinstance(read, RequirementProblem):
            problems.append(read)
        else:
            lines.append(read)
    if len(lines) > _MOST_LINES:
        problems.append(RequirementProblem(0, "", f"there are more than {_MOST_LINES} requirements"))
    return tuple(problems) or Requirements(tuple(dict.fromkeys(lines)))


def read_requirement(line: str, number: int = 0) -> str | RequirementProblem:
    """One requirement, as pip takes it."""
    hashes = _HASH.findall(line)
    rest = _HASH.sub("", line).strip()

    def problem(why: str) -> RequirementProblem:
        found = line.strip()
        return RequirementProblem(number, found if len(found) <= _SHOWN else f"{found[:_SHOWN]}…", why)

    name = re.split(r"[\s;\[=<>!~@]", rest, maxsplit=1)[0]
    if rest.startswith("-") or " --" in rest or re.search(r"\s-[A-Za-z]\b", rest):
        return problem("options are not taken; the operator says where packages come from")
    if "$" in rest:
        return problem("variables are not taken")
    if _ADDRESS.search(rest) or ("@" in rest and not _PATH.search(name)):
        return problem("addresses are not taken; packages come from the operator's index by their name")
    if _SOURCE.search(name):
        return problem(
            "this is a source distribution, which would run its own code to be installed; only wheels are taken"
        )
    if _PATH.search(name) or rest.startswith("~"):
        return problem("paths are not taken; packages come from the operator's index by their name")
    try:
        wanted = Requirement(rest)
    except InvalidRequirement:
        return problem("this is no requirement; expected a name and versions, such as pandas==2.3.3")
    return " ".join([str(wanted), *(f"--hash=sha256:{one}" for one in hashes)])


def _logical(text: str) -> Iterator[tuple[int, str]]:
    """The number of its first line, and the line: comments taken off, continued lines joined, empty ones left out."""
    begun, parts = 0, list[str]()
    for number, raw in enumerate(re.split(r"\r\n|\r|\n", text), start=1):
        if not parts:
            begun = number
        line = _COMMENT.sub("", raw)
        is_continued = line.endswith("\\")
        parts.append(line.removesuffix("\\").strip())
        if is_continued:
            continue
        whole = " ".join(part for part in parts if part)
        parts = []
        if whole:
            yield begun, whole
    whole = " ".join(part for part in parts if part)
    if whole:
        yield begun, whole
