"""Which lines of a comment are its author's own prose, by the rules by which the forge renders it.

Code, block quotes, HTML and its comments, tables and link definitions are somebody else's words or no words at
all. A line inside a list counts only when it starts at the margin: there GitHub's hard breaks show it as a line
of its own, and the person who ends a list with a command means it.

The Markdown parser tells where a line begins *outside* of inline code, links and inline HTML only while it
tokenises; so a rule of ours, asked first at every position, marks the slashes that begin a line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

_LINE_END = re.compile(r"\r\n|\r|\n")  # the parser's own idea of a line, unlike str.splitlines
_CANDIDATE = re.compile(r" {0,3}/[A-Za-z]")
_MARK = "line_slash"
_MARGIN = 3  # more spaces would make it code
_LISTS = frozenset({"bullet_list_open", "ordered_list_open", "list_item_open"})
_PROSE = frozenset({"paragraph_open", "heading_open"})


@dataclass(frozen=True)
class ProseLine:
    """`number` counts from 1; `indent` spaces stand before the slash in `text`, the whole line."""

    number: int
    text: str
    indent: int


def slash_lines(text: str) -> tuple[ProseLine, ...]:
    """The prose lines that begin with a slash, in order."""
    lines = _LINE_END.split(text)
    if not any(_CANDIDATE.match(line) for line in lines):
        return ()  # most comments: no need to parse them
    found = []
    for number, in_list in _marked(_parser().parse(text)):
        line = lines[number] if number < len(lines) else ""
        indent = len(line) - len(line.lstrip(" "))
        if indent <= (0 if in_list else _MARGIN) and line[indent : indent + 1] == "/":
            found.append(ProseLine(number + 1, line, indent))
    return tuple(found)


def _marked(tokens: Iterable[Token]) -> Iterator[tuple[int, bool]]:
    """(line from 0, stands in a list) of each mark in a paragraph or heading that nothing but lists is around."""
    around: list[str] = []
    for token in tokens:
        if token.nesting == 1:
            around.append(token.type)
        elif token.nesting == -1:
            around.pop()
        elif token.map and around[-1:] and around[-1] in _PROSE and _LISTS.issuperset(around[:-1]):
            line, read = token.map[0], 0
            for child in token.children or ():
                if child.type == _MARK:
                    line += token.content.count("\n", read, child.meta["at"])
                    read = child.meta["at"]
                    yield line, len(around) > 1


def _mark_slash(state: StateInline, silent: bool) -> bool:
    if state.src[state.pos] != "/" or state.linkLevel:
        return False
    line_start = state.src.rfind("\n", 0, state.pos) + 1
    if state.src[line_start : state.pos].strip(" "):
        return False
    if not silent:
        state.push(_MARK, "", 0).meta = {"at": state.pos}
    state.pos += 1
    return True


def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark").enable("table")
    parser.inline.ruler.before("text", _MARK, _mark_slash)
    return parser
