r"""Words of one command line, with where they stood.

    line   = blank* (word blank+)* word?
    word   = (bare | "=" quoted?)+ | quoted            a quote opens at a word's start or right after "="
    quoted = '"' (character | '\"' | '\\')* '"'

Anywhere else a double quote is a character like any other, so `--set layers={"a":1}` arrives whole.
"""

from __future__ import annotations

from dataclasses import dataclass

from kfops.command.identifiers import shown
from kfops.command.model import Mistake

_BLANK = " \t"
_OTHER_QUOTES = "'“”„«»‘’"
_DASHES = "—–−"


class Unreadable(Exception):  # noqa: N818 - a place in the line and what to say of it; becomes a Problem
    def __init__(self, code: Mistake, start: int, end: int, message: str, hint: str) -> None:
        super().__init__(message)
        self.code = code
        self.start = start
        self.end = end
        self.message = message
        self.hint = hint


@dataclass(frozen=True)
class Word:
    """`text` without its quotes. `is_quoted`: it began with one, so it is no flag whatever it looks like."""

    text: str
    start: int
    end: int
    is_quoted: bool = False

    @property
    def is_flag(self) -> bool:
        return self.text.startswith("-") and not self.is_quoted


def split(line: str, start: int) -> tuple[Word, ...]:
    """The words of `line` from offset `start` on; raises Unreadable."""
    words: list[Word] = []
    at = start
    while True:
        while at < len(line) and line[at] in _BLANK:
            at += 1
        if at == len(line):
            return tuple(words)
        word = _word(line, at)
        words.append(word)
        at = word.end


def _word(line: str, start: int) -> Word:
    at, text = start, ""
    if line[start] in _DASHES:
        raise Unreadable(
            Mistake.UNKNOWN_FLAG,
            start,
            start + 1,
            "A flag begins with two hyphens; this is a dash.",
            "Write `--`; some keyboards turn two hyphens into a dash.",
        )
    while at < len(line) and line[at] not in _BLANK:
        if at == start or line[at - 1] == "=":
            if line[at] == '"':
                quoted, at = _quoted(line, at)
                text += quoted
                break
            if line[at] in _OTHER_QUOTES:
                raise Unreadable(
                    Mistake.BAD_QUOTE,
                    at,
                    at + 1,
                    f"{shown(line[at])} does not quote here.",
                    'Use straight double quotes: "…".',
                )
        text += line[at]
        at += 1
    return Word(text, start, at, line[start] == '"')


def _quoted(line: str, start: int) -> tuple[str, int]:
    """What stands between the quotes, and the offset behind the closing one."""
    at, text = start + 1, ""
    while at < len(line) and line[at] != '"':
        if line[at] == "\\" and line[at + 1 : at + 2] in {'"', "\\"}:
            at += 1
        text += line[at]
        at += 1
    if at == len(line):
        raise Unreadable(
            Mistake.BAD_QUOTE,
            start,
            len(line),
            "This quotation does not end on its line.",
            'Close it with ". A command is one line.',
        )
    if at + 1 < len(line) and line[at + 1] not in _BLANK:
        raise Unreadable(
            Mistake.BAD_QUOTE,
            at,
            at + 1,
            "The quotation ends in the middle of a word.",
            'Put the whole value in quotes, and write \\" for a quote inside.',
        )
    return text, at + 1
