"""A comment's text to commands. Total: any text gives a tuple, and nothing raises.

    comment  = one command for each prose line (see `markdown`) that begins with a slash and a known name
    command  = "/" name (blank+ (argument | flag))*
    flag     = "--" name ("=" value | blank+ value)?    the second form where the flag takes a value
    name     = letters, "_" and "-", the latter two equal

A line that begins otherwise is none of our business, and neither is a word that merely begins like a command
(`/deployment is done`, `/usr/bin`). A near miss gets one "did you mean". A known command with anything too much
behind it is a Problem, never half obeyed: `/deploy now please` deploys nothing.
"""

from __future__ import annotations

import re

from kfops.command.catalog import ENTRIES, Entry, find
from kfops.command.identifiers import InvalidValue, shown
from kfops.command.making import make
from kfops.command.markdown import ProseLine, slash_lines
from kfops.command.model import Command, Mistake, Plan, Plannable, Problem
from kfops.command.nearness import nearest
from kfops.command.reading import Read, read_words
from kfops.command.words import Unreadable, Word, split
from kfops.domain.operation import Kind

LONGEST_TEXT = 65_536  # what GitHub lets a comment be, in characters
MOST_COMMANDS = 16
_NAME = re.compile(r"/([A-Za-z][A-Za-z_-]*)(?=[ \t]|$)")
_PLANNED = re.compile(r"[ \t]+/?([^ \t]+)")
_WORD = re.compile(r"/([A-Za-z][A-Za-z_-]*)([.,;:!?]*)(?=[ \t]|$)")


def parse(text: str) -> tuple[Command | Problem, ...]:
    """Every command of a comment in order, and a Problem for each line that was meant as one and cannot be read."""
    if len(text) > LONGEST_TEXT:
        problem = Problem(
            1, 0, 0, f"The comment is longer than {LONGEST_TEXT} characters.", "Shorten it.", Mistake.TOO_LONG
        )
        return (problem,)
    found: list[Command | Problem] = []
    for line in slash_lines(text):
        one = _parse_line(line)
        if one is None:
            continue
        if len(found) == MOST_COMMANDS:
            # None of the commands is obeyed: half of a plan may be worse than none of it.
            return (
                _problem(
                    line,
                    Unreadable(
                        Mistake.TOO_MANY,
                        line.indent,
                        len(line.text),
                        f"A comment takes {MOST_COMMANDS} commands.",
                        "Nothing of it was done; write fewer.",
                    ),
                ),
            )
        found.append(one)
    return tuple(found)


def parse_line(text: str) -> Command | Problem | None:
    """One line that is known to be prose, such as a command-line argument: `/deploy --run 7`."""
    line = text.strip(" \t")
    if any(end in line for end in "\r\n"):
        return Problem(1, 0, 0, "A command is one line.", "Remove the line breaks.", Mistake.BAD_VALUE)
    return _parse_line(ProseLine(1, line, 0))


def _parse_line(line: ProseLine) -> Command | Problem | None:
    named = _NAME.match(line.text, line.indent)
    entry = find(named[1]) if named else None
    try:
        if named and entry:
            return _command(entry, line.text, named.start(), named.end())
        _near_miss(line)
    except Unreadable as wrong:
        return _problem(line, wrong)
    return None


def _command(entry: Entry, line: str, start: int, end: int) -> Command:
    if entry.kind is Kind.PLAN:
        return Plan(_planned(entry, line, start, end))
    return _plannable(entry, line, start, end)


def _plannable(entry: Entry, line: str, start: int, end: int) -> Plannable:
    read = read_words(entry, split(line, end), start, end)
    try:
        return make(entry.kind, read)
    except InvalidValue as wrong:
        raise _misfit(entry, read, wrong, start, end) from wrong


def _planned(plan: Entry, line: str, start: int, end: int) -> Plannable:
    """The command behind `/plan`, with its slash or without."""
    named = _PLANNED.match(line, end)
    if named is None:
        raise Unreadable(
            Mistake.MISSING_ARGUMENT, start, end, "/plan needs a command.", f"Usage: {plan.usage}"
        )
    entry = find(named[1])
    if entry is None or entry.kind is Kind.PLAN:
        known = [entry.name for entry in ENTRIES if entry.kind is not Kind.PLAN]
        near = nearest(named[1].replace("-", "_"), known)
        raise Unreadable(
            Mistake.UNKNOWN_COMMAND,
            named.start(1),
            named.end(1),
            f"{shown(named[1])} is no command that can be planned.",
            f"Did you mean /plan {near}?" if near else f"There are {', '.join(known)}.",
        )
    return _plannable(entry, line, named.start(1), named.end(1))


def _near_miss(line: ProseLine) -> None:
    """Raises Unreadable where a typing error is likelier than a word that is not ours.

    A longer word that begins with a command's name (`/deployment`, `/builds`) is another word, not a typing error.
    """
    word = _WORD.match(line.text, line.indent)
    if word is None:
        return
    typed = word[1].lower().replace("-", "_")
    names = {entry.name.replace("-", "_"): entry.name for entry in ENTRIES}
    near: str | None = typed  # with capitals, or with a full stop behind it
    if typed not in names:
        near = nearest(typed, names)
        if near and typed.startswith(near):
            return
    if near and near[0] == typed[0]:
        name = names[near]
        raise Unreadable(
            Mistake.UNKNOWN_COMMAND,
            line.indent,
            word.end(),
            f"There is no command {shown(word[0])}.",
            f"Did you mean /{name}?",
        )


def _misfit(entry: Entry, read: Read, wrong: InvalidValue, start: int, end: int) -> Unreadable:
    """Where in the line the value stands that the command refused."""
    words: list[Word] = list(read.flags.get(wrong.field, ()))
    for argument, word in zip(entry.arguments, read.arguments, strict=False):
        if argument.metavar == wrong.field:
            words.append(word)
    if words:
        word = next((one for one in words if wrong.found in one.text), words[-1])
        start, end = word.start, word.end
    return Unreadable(
        Mistake.BAD_VALUE,
        start,
        end,
        f"{wrong.field} got {shown(wrong.found)}." if wrong.found else f"{wrong.field} is missing.",
        f"Expected: {wrong.expected}.",
    )


def _problem(line: ProseLine, wrong: Unreadable) -> Problem:
    return Problem(line.number, wrong.start, wrong.end, wrong.message, wrong.hint, wrong.code, line.text)
