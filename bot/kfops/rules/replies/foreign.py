"""Foreign text made harmless before it is shown: what it may not carry, and what it may not set off (R15)."""

from __future__ import annotations

import re

ZERO_WIDTH_SPACE = "\u200b"
# Unicode's control and format characters (Cc, Cf), but for tab and newline, and the two joiners that scripts and
# emoji need. A regular expression, because logs are long.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b\u200e\u200f"
    "\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff\ufff9-\ufffb\U000110bd\U000110cd\U00013430-\U0001343f"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0001\U000e0020-\U000e007f]"
)
_SEPARATORS = re.compile("[\u2028\u2029]")
_HALVES = re.compile("[\ud800-\udfff]")  # of a surrogate pair, which cannot be sent
_ESCAPES = re.compile(
    r"\x1b\][^\x07\x1b\n]{0,2000}(?:\x07|\x1b\\)?"  # a terminal's title or link
    r"|[\x1b\x9b][\[()#;?]{0,4}[0-9;:?]{0,40}[@-~]"  # colours, the cursor
)
_LINE_ENDS, _OVERWRITTEN = re.compile(r"\r+(?:\n|\Z)"), re.compile(r"^[^\n]*\r", re.MULTILINE)
_TAGS = re.compile(r"<(?=/?details|/?summary|!--)", re.IGNORECASE)
_AUTOLINKS = re.compile(r"(?<=:)(?=//)|(?<=www)(?=\.)", re.IGNORECASE)
_HTML = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"})
_MARKDOWN = re.compile(r"([\\`*_\[\]|~#$!])")


def clean(text: str) -> str:
    """Without terminal escapes and without control, bidirectional and invisible characters.

    Of a line that overwrites itself (a progress bar's) the last state stays, as on a terminal.
    """
    plain = _OVERWRITTEN.sub("", _LINE_ENDS.sub("\n", _ESCAPES.sub("", text)))
    return _HALVES.sub("\ufffd", _SEPARATORS.sub(" ", _UNSEEN.sub("", plain)))


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
