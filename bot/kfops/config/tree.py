"""YAML text to plain values, each with its place in the text.

Only the plain part of YAML is let in: one document, no tags, no anchors or aliases (a few bytes of them unfold to
gigabytes), no key twice (YAML keeps the last and says nothing), text keys. Size and depth are bounded first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from kfops.command.identifiers import shown
from kfops.config.errors import ConfigError, ConfigProblem, Path, Position, dotted
from kfops.config.scalars import plain

LARGEST = 65_536  # bytes
DEEPEST = 24


@dataclass(frozen=True)
class Tree:
    """`value` is JSON-like. `keys` and `values` say where the key of a path and its value begin."""

    source: str
    value: dict[str, Any]
    keys: dict[Path, Position] = field(default_factory=dict)
    values: dict[Path, Position] = field(default_factory=dict)
    quotes: frozenset[Path] = frozenset()

    def quoted(self, path: Path) -> int:
        """How many columns behind its place a text's first character stands: 1 behind a quotation mark."""
        return int(path in self.quotes)

    def place(self, path: Path) -> Position:
        """Of the value, or of the nearest thing around it that stands in the text."""
        for length in range(len(path), 0, -1):
            position = self.values.get(path[:length])
            if position:
                return position
        return Position(self.source)

    def key_place(self, path: Path) -> Position:
        return self.keys.get(path) or self.place(path)


def read_tree(content: bytes | str | None, source: str, largest: int = LARGEST) -> Tree:
    """Raises ConfigError. None: there is no such file."""
    if content is None:
        raise _whole(source, "there is no such file", hint="Start from kfops.example.yaml, or `kfc init`.")
    text = _decoded(content, source, largest)
    try:
        return _Builder(source, yaml.parse(text, Loader=yaml.SafeLoader)).tree()
    except yaml.MarkedYAMLError as wrong:
        mark = wrong.problem_mark or wrong.context_mark
        place = Position(source, mark.line + 1, mark.column + 1) if mark else Position(source)
        sentence = ", ".join(part for part in (wrong.context, wrong.problem) if part)
        raise ConfigError((ConfigProblem(place, "", f"this is not YAML: {sentence}"),)) from wrong
    except yaml.reader.ReaderError as wrong:
        place = _place_of(text, source, wrong.position)
        raise ConfigError(
            (ConfigProblem(place, "", "a character that YAML does not allow", f"U+{_code(wrong):04X}"),)
        ) from wrong


def _code(wrong: yaml.reader.ReaderError) -> int:
    return wrong.character if isinstance(wrong.character, int) else ord(wrong.character[:1] or "\0")


def _decoded(content: bytes | str, source: str, largest: int) -> str:
    raw = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
    if len(raw) > largest:
        raise _whole(source, "the file is too large", f"{len(raw)} bytes", f"at most {largest} bytes")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as wrong:
        place = _place_of(raw[: wrong.start].decode("utf-8", "replace"), source, wrong.start)
        problem = ConfigProblem(
            place,
            "",
            "the file is not UTF-8",
            f"the byte 0x{raw[wrong.start]:02X}",
            "UTF-8 text",
            "Save it as UTF-8.",
        )
        raise ConfigError((problem,)) from wrong
    if not text.strip():
        raise _whole(source, "the file is empty", hint="Start from kfops.example.yaml, or `kfc init`.")
    return text


def _place_of(text: str, source: str, offset: int) -> Position:
    before = text[:offset]
    return Position(source, before.count("\n") + 1, len(before) - before.rfind("\n"))


def _whole(source: str, message: str, found: str = "", expected: str = "", hint: str = "") -> ConfigError:
    return ConfigError((ConfigProblem(Position(source), "", message, found, expected, hint),))


class _Builder:
    """Events to a tree, in one pass. Recursion is bounded by DEEPEST."""

    def __init__(self, source: str, events: Iterator[yaml.Event]) -> None:
        self._source = source
        self._events = events
        self._problems: list[ConfigProblem] = []
        self._keys: dict[Path, Position] = {}
        self._values: dict[Path, Position] = {}
        self._quotes: set[Path] = set()

    def tree(self) -> Tree:
        value: Any = None
        documents = 0
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._fail(event, (), "a second document begins here", "---", "one document")
            elif not isinstance(event, yaml.StreamStartEvent | yaml.StreamEndEvent | yaml.DocumentEndEvent):
                value = self._value(event, ())
        if not isinstance(value, dict):
            message = "the file holds no keys"
            raise _whole(self._source, message, _kind(value), "keys and values, such as `version: 1`")
        if self._problems:
            raise ConfigError(tuple(self._problems))
        return Tree(self._source, value, self._keys, self._values, frozenset(self._quotes))

    def _value(self, event: yaml.Event, path: Path) -> Any:
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            self._fail(event, path, "anchors and aliases are not allowed", hint="Write the value out.")
        tag: str | None = getattr(event, "tag", None)
        if tag:
            self._fail(event, path, "tags are not allowed", shown(tag), hint="Write the plain value.")
        if len(path) > DEEPEST:
            self._fail(event, path, "nested too deeply", expected=f"at most {DEEPEST} levels")
        self._values[path] = self._position(event)
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(path)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(path)
        return self._scalar(event, path)

    def _mapping(self, path: Path) -> dict[str, Any]:
        content: dict[str, Any] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._key(event, path)
            here = (*path, key)
            if key in content:
                message = f"the key stands twice, first in line {self._keys[here].line}"
                self._problems.append(
                    ConfigProblem(self._position(event), dotted(here), message, hint="Keep one of them.")
                )
            self._keys[here] = self._position(event)
            content[key] = self._value(next(self._events), here)
        return content

    def _key(self, event: yaml.Event, path: Path) -> str:
        key = self._value(event, (*path, "?")) if isinstance(event, yaml.ScalarEvent) else None
        if not isinstance(key, str):
            self._fail(event, path, "a key that is no text", _kind(key), "a name, in quotes if need be")
        return str(key)

    def _sequence(self, path: Path) -> list[Any]:
        content: list[Any] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            content.append(self._value(event, (*path, len(content))))
        return content

    def _scalar(self, event: yaml.Event, path: Path) -> Any:
        text = str(getattr(event, "value", ""))
        if any("\ud800" <= letter <= "\udfff" for letter in text):
            self._fail(event, path, "half a character", expected="whole characters")
        style = getattr(event, "style", None)
        if style in {'"', "'"}:
            self._quotes.add(path)
        return plain(text) if style is None else text

    def _position(self, event: yaml.Event) -> Position:
        mark = event.start_mark
        return Position(self._source, mark.line + 1, mark.column + 1) if mark else Position(self._source)

    def _fail(
        self, event: yaml.Event, path: Path, message: str, found: str = "", expected: str = "", hint: str = ""
    ) -> None:
        """Stop here: what follows cannot be trusted to mean what it seems to."""
        problem = ConfigProblem(self._position(event), dotted(path), message, found, expected, hint)
        raise ConfigError((*self._problems, problem))


def _kind(value: object) -> str:
    match value:
        case None:
            return "nothing"
        case dict():
            return "keys and values"
        case list():
            return "a list"
        case _:
            return shown(str(value))
