"""YAML of strangers: small, without what makes it mean more than it says, and the same for every reader."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import yaml

_DEEPEST = 60
_MOST_NODES = 200_000
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the same rules in C, which large texts need


class NotPlain(ValueError):  # noqa: N818 - what was given, in the reader's words
    """The message goes on from the name of the text: `is not valid YAML at line 2`."""


def plain_documents(text: str, largest: int) -> list[Any]:
    """Every document of the text. NotPlain says what is wrong; nothing else is raised."""
    size = len(text.encode(errors="surrogatepass"))
    if size > largest:
        raise NotPlain(f"has {size} bytes; expected at most {largest}")
    try:
        _look_first(text)
        return list(yaml.load_all(text, Loader=_LOADER))
    except NotPlain:
        raise
    except yaml.YAMLError as error:
        place = getattr(error, "problem_mark", None)
        where = f" at line {place.line + 1}" if place else ""
        raise NotPlain(f"is not valid YAML{where}") from error
    except (ValueError, RecursionError) as error:  # a date that is none, for instance
        raise NotPlain(f"cannot be read: {error}") from error


def _look_first(text: str) -> None:
    """An alias makes a small text large, a deep one breaks readers, and of two entries with one name readers differ in
    which counts: all are refused before anything is built.
    """
    inside: list[_Collection] = []
    for nodes, event in enumerate(yaml.parse(text, Loader=_LOADER)):
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise NotPlain(f"has an anchor or an alias in line {_line(event)}; expected plain YAML")
        if isinstance(event, yaml.CollectionEndEvent):
            inside.pop()
        elif isinstance(event, yaml.NodeEvent):
            key = event.value if isinstance(event, yaml.ScalarEvent) else None
            if inside and not inside[-1].takes(key):
                raise NotPlain(
                    f"has the name {str(key)[:60]!r} once more in line {_line(event)}; expected each name once"
                )
            if isinstance(event, yaml.CollectionStartEvent):
                inside.append(_Collection(is_mapping=isinstance(event, yaml.MappingStartEvent)))
        if len(inside) > _DEEPEST or nodes > _MOST_NODES:
            raise NotPlain("is nested too deeply or has too many entries")


def _line(event: Any) -> int | str:
    return event.start_mark.line + 1 if event.start_mark else "?"


@dataclass
class _Collection:
    """A mapping or a list that is being read: in a mapping, a name and its value take turns."""

    is_mapping: bool
    seen: set[str] = field(default_factory=set)
    is_value: bool = False

    def takes(self, text: str | None) -> bool:
        """False for a name that was there already."""
        if not self.is_mapping:
            return True
        is_name, self.is_value = not self.is_value, not self.is_value
        if not is_name or text is None:
            return True
        is_new = text not in self.seen
        self.seen.add(text)
        return is_new
