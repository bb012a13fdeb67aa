"""What of a comment's HTML reaches the page: a list of harmless tags and attributes, balanced; all else goes.

The whole rendered comment passes through here, so neither Markdown nor raw HTML can bring in more.
"""

from __future__ import annotations

import re
from html import escape
from html.parser import HTMLParser

_VOID = frozenset({"br", "hr", "img", "input"})
_TAGS = _VOID | frozenset(
    [
        "a",
        "b",
        "blockquote",
        "code",
        "del",
        "details",
        "div",
        "em",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "i",
        "ins",
        "kbd",
        "li",
        "ol",
        "p",
        "pre",
        "s",
        "small",
        "span",
        "strong",
        "sub",
        "summary",
        "sup",
        "table",
        "tbody",
        "td",
        "th",
        "thead",
        "tr",
        "ul",
    ]
)
_SILENT = frozenset(
    {"script", "style", "template", "noscript", "iframe", "object", "textarea", "title", "svg", "math"}
)
_CLASSES = re.compile(
    r"(language-[A-Za-z0-9_+-]+|mermaid|alert|alert-[a-z]+|alert-title|mention|task|task-list)"
)
_LINK = re.compile(r"(https?://|mailto:|#|/(?!/))", re.IGNORECASE)
_IMAGE = re.compile(r"(https?://|/(?!/)|data:image/(png|gif|jpeg|webp);base64,)", re.IGNORECASE)
_ALIGN = re.compile(r"text-align:(left|right|center)")


def safe_html(text: str) -> str:
    sieve = _Sieve()
    sieve.feed(text)
    sieve.close()
    return sieve.result()


class _Sieve(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._out: list[str] = []
        self._open: list[str] = []
        self._silent = 0

    def result(self) -> str:
        return "".join(self._out) + "".join(f"</{tag}>" for tag in reversed(self._open))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _SILENT:
            self._silent += 1
        if self._silent or tag not in _TAGS:
            return
        kept = {name: value or "" for name, value in attrs if _keeps(tag, name, value or "")}
        if tag == "input":
            if kept.get("type") != "checkbox":
                return
            kept["disabled"] = ""
        if tag == "a":
            kept["rel"] = "nofollow noopener noreferrer"
        shown = "".join(f' {name}="{escape(value)}"' for name, value in kept.items())
        self._out.append(f"<{tag}{shown}>")
        if tag not in _VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag in _SILENT:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in _SILENT:
            self._silent = max(0, self._silent - 1)
            return
        if self._silent or tag not in self._open:
            return
        while (last := self._open.pop()) != tag:
            self._out.append(f"</{last}>")
        self._out.append(f"</{tag}>")

    def parse_marked_section(self, i: int, report: bool = True) -> int:  # noqa: ARG002 - the library's
        """`<![…` is a comment to browsers; this parser fails at words in it that it does not know."""
        return self.parse_bogus_comment(i)

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self._out.append(escape(data))


def _keeps(tag: str, name: str, value: str) -> bool:
    match (tag, name):
        case (_, "class"):
            return all(_CLASSES.fullmatch(one) for one in value.split())
        case ("a", "href"):
            return bool(_LINK.match(value))
        case ("img", "src"):
            return bool(_IMAGE.match(value))
        case ("img", "width" | "height"):
            return value.isdecimal()
        case ("th" | "td", "style"):
            return bool(_ALIGN.fullmatch(value))
        case ("ol", "start"):
            return value.isdecimal()
        case ("img", "alt" | "title") | ("a", "title") | ("details", "open") | ("input", "type" | "checked"):
            return True
        case ("th" | "td", "align"):
            return value in {"left", "right", "center"}
        case _:
            return False
