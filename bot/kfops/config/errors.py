"""What is wrong with a configuration, said to a person: where, what was found, what was expected, how to mend it."""

from __future__ import annotations

from dataclasses import dataclass

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Position:
    """A place in a file: `line` and `column` count from 1. `source` is a file's name; or a `--set` as typed, in line 0."""

    source: str
    line: int = 1
    column: int = 1

    def __str__(self) -> str:
        return f"{self.source}:{self.line}:{self.column}" if self.line else self.source


@dataclass(frozen=True)
class ConfigProblem:
    """`path` is the key as written with dots, empty for the file as a whole. `found` is somebody's text (R15)."""

    position: Position
    path: str
    message: str
    found: str = ""
    expected: str = ""
    hint: str = ""

    def __str__(self) -> str:
        where = f"{self.position}: "
        subject = f"{self.path}: " if self.path else ""
        details = [f"found {self.found}"] if self.found else []
        details += [f"expected {self.expected}"] if self.expected else []
        tail = f" ({', '.join(details)})" if details else ""
        return f"{where}{subject}{self.message}{tail}{'. ' + self.hint if self.hint else ''}"


class ConfigError(Exception):
    """Everything that is wrong with one configuration, in the order of the file; never empty."""

    def __init__(self, problems: tuple[ConfigProblem, ...]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


def dotted(path: Path) -> str:
    """`("images", "build", 0, "name")` as `images.build[0].name`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text
