"""Words sorted into a command's arguments and flags, as its catalogue entry knows them."""

from __future__ import annotations

from dataclasses import dataclass, field

from kfops.command.catalog import Entry, Flag
from kfops.command.identifiers import shown
from kfops.command.model import Mistake
from kfops.command.nearness import nearest
from kfops.command.words import Unreadable, Word


@dataclass(frozen=True)
class Read:
    """`flags` holds the values in order; of a switch, or of `--name` without its optional value, an empty text."""

    arguments: tuple[Word, ...] = ()
    flags: dict[str, list[Word]] = field(default_factory=dict)

    def argument(self, index: int) -> str | None:
        return self.arguments[index].text if index < len(self.arguments) else None

    def last(self, flag: str) -> str | None:
        return self.flags[flag][-1].text if flag in self.flags else None

    def texts(self, flag: str) -> tuple[str, ...]:
        return tuple(word.text for word in self.flags.get(flag, ()))


def read_words(entry: Entry, words: tuple[Word, ...], start: int, end: int) -> Read:
    """Raises Unreadable; `start` and `end` are where the command's name stands."""
    arguments: list[Word] = []
    flags: dict[str, list[Word]] = {}
    waiting = iter(words)
    for word in waiting:
        if not word.is_flag:
            if len(arguments) == len(entry.arguments):
                raise _unexpected(entry, word)
            arguments.append(word)
            continue
        name, equals, text = word.text.partition("=")
        flag = _flag(entry, name, word)
        value = Word(text, word.start + len(name) + 1, word.end) if equals else None
        if flag.metavar and not flag.value_optional and value is None:
            value = next(waiting, None)
        _check_value(flag, value, word)
        if name in flags and not flag.is_repeatable:
            raise Unreadable(
                Mistake.REPEATED_FLAG, word.start, word.end, f"{name} stands here twice.", "Keep one of them."
            )
        flags.setdefault(name, []).append(value or Word("", word.start, word.end))
    _check_complete(entry, arguments, flags, start, end)
    return Read(tuple(arguments), flags)


def _flag(entry: Entry, name: str, word: Word) -> Flag:
    flag = next((flag for flag in entry.flags if flag.name == name), None)
    if flag:
        return flag
    names = [flag.name for flag in entry.flags]
    near = nearest(name, names)
    known = f"/{entry.name} knows {', '.join(names)}." if names else f"/{entry.name} takes no flags."
    raise Unreadable(
        Mistake.UNKNOWN_FLAG,
        word.start,
        word.start + len(name),
        f"/{entry.name} has no flag {shown(name)}.",
        f"Did you mean {near}? {known}" if near else known,
    )


def _check_value(flag: Flag, value: Word | None, word: Word) -> None:
    if not flag.metavar and value is not None:
        raise Unreadable(
            Mistake.UNWANTED_VALUE,
            word.start,
            word.end,
            f"{flag.name} takes no value.",
            f"Write {flag.name}.",
        )
    if (
        flag.metavar
        and not flag.value_optional
        and (value is None or (value.text.startswith("--") and value.is_flag))
    ):
        raise Unreadable(
            Mistake.MISSING_VALUE,
            word.start,
            word.end,
            f"{flag.name} needs a value.",
            f"Write {flag.name} {flag.metavar}.",
        )


def _check_complete(
    entry: Entry, arguments: list[Word], flags: dict[str, list[Word]], start: int, end: int
) -> None:
    missing = [one.metavar for one in entry.arguments[len(arguments) :] if one.is_required]
    missing += [flag.name for flag in entry.flags if flag.is_required and flag.name not in flags]
    if missing:
        raise Unreadable(
            Mistake.MISSING_ARGUMENT,
            start,
            end,
            f"/{entry.name} needs {' and '.join(missing)}.",
            f"Usage: {entry.usage}",
        )


def _unexpected(entry: Entry, word: Word) -> Unreadable:
    return Unreadable(
        Mistake.UNEXPECTED_ARGUMENT,
        word.start,
        word.end,
        f"{shown(word.text)} is too much for /{entry.name}, so nothing was done.",
        f"Usage: {entry.usage}. Text for people goes on a line of its own.",
    )
