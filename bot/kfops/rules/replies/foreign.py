"""Foreign text made harmless before it is shown: what it may not carry, and what it may not set off (R15)."""

from __future__ import annotations

import re
import unicodedata

ZERO_WIDTH_SPACE = "\u200b"
_JOINERS = frozenset("\u200c\u200d")  # scripts and emoji need them, and they do nothing else
_ESCAPES = re.compile(
    r"\x1b\][^\x07\x1b\n]{0,2000}(?:\x07|\x1b\\)?"  # a terminal's title or link
    r"|[\x1b\x9b][\[()#;?]{0,4}[0-9;:?]{0,40}[@-~]"  # colours, the cursor
)
_LINE_ENDS, _OVERWRITTEN = re.compile(r"\r+(?:\n|\Z)"), re.compile(r"[^\n]*\r")
_TAGS = re.compile(r"<(?=/?details|/?summary|!--)", re.IGNORECASE)
_AUTOLINKS = re.compile(r"(?<=:)(?=//)|(?<=www)(?=\.)", re.IGNORECASE)
_HTML = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"})
_MARKDOWN = re.compile(r"([\\`*_\[\]|~#$!])")


def clean(text: str) -> str:
    """Without terminal escapes and without control, bidirectional and invisible characters.

    Of a line that overwrites itself (a progress bar's) the last state stays, as on a terminal.
    """
    plain = _OVERWRITTEN.sub("", _LINE_ENDS.sub("\n", _ESCAPES.sub("", text)))
    return "".join(_shown(character) for character in plain)


def _shown(character: str) -> str:
    if character in "\n\t" or character in _JOINERS:
        return character
    category = unicodedata.category(character)
    if category == "Cs":
        return "\ufffd"  # half of a surrogate pair cannot be sent
    if category in {"Zl", "Zp"}:
        return " "
    return "" if category in {"Cc", "Cf"} else character


def quiet(text: str) -> str:
    """Mentions nobody: a zero-width space stands after each @, and tags that fold or hide are broken."""
    return _TAGS.sub(f"<{ZERO_WIDTH_SPACE}", text.replace("@", f"@{ZERO_WIDTH_SPACE}"))


def one_line(text: str) -> str:
    return " ".join(clean(text).split())


def html(text: str) -> str:
    """One line for inside HTML tags, where Markdown is not read."""
    return _AUTOLINKS.sub(ZERO_WIDTH_SPACE, quiet(one_line(text))).translate(_HTML)


def plain(text: str) -> str:
    """One line that reads as it was written: no markup, no link, no mention, no reference."""
    return _MARKDOWN.sub(r"\\\1", html(text).replace("&quot;", '"'))
