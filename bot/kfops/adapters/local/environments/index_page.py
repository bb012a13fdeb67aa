"""A page of the simple repository API (PEP 503): which files there are, read from the index and written anew.

Only wheels are passed on, and only the attributes that pip needs to choose among them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from html import escape
from html.parser import HTMLParser
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]{0,250}")
_KEPT = ("data-requires-python", "data-yanked", "data-core-metadata", "data-dist-info-metadata")
_SHA256 = re.compile(r"sha256=[0-9a-f]{64}")


@dataclass(frozen=True)
class FileLink:
    """`url` is absolute and has no fragment; `fragment` is the hash, where the index gives one."""

    name: str
    url: str
    fragment: str = ""
    attributes: tuple[tuple[str, str], ...] = field(default=())

    @property
    def is_wheel(self) -> bool:
        return self.name.endswith(".whl")


def read_page(content: str, address: str) -> list[FileLink]:
    """The files that the page at `address` links to; whatever else it has is left out."""
    reader = _Links(address)
    reader.feed(content)
    reader.close()
    return reader.found


def file_link(url: str, attributes: Iterable[tuple[str, str | None]] = ()) -> FileLink | None:
    """None where its name is none that a distribution can have."""
    plain, fragment = urldefrag(url)
    name = unquote(urlsplit(plain).path.rpartition("/")[2])
    if not _NAME.fullmatch(name):
        return None
    kept = tuple((key, value or "") for key, value in attributes if key in _KEPT)
    return FileLink(name, plain, fragment if _SHA256.fullmatch(fragment) else "", kept)


def write_page(files: Iterable[tuple[int, FileLink]]) -> str:
    """The same files below `/file/NUMBER/`."""
    lines = [
        f'<a href="/file/{number}/{escape(one.name)}{f"#{one.fragment}" if one.fragment else ""}"'
        + "".join(f' {key}="{escape(value)}"' for key, value in one.attributes)
        + f">{escape(one.name)}</a><br>"
        for number, one in files
    ]
    return "<!DOCTYPE html><html><body>\n" + "\n".join(lines) + "\n</body></html>\n"


class _Links(HTMLParser):
    def __init__(self, address: str) -> None:
        super().__init__()
        self._address = address
        self.found: list[FileLink] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        href = dict(attrs).get("href")
        if tag == "base" and href:
            self._address = urljoin(self._address, href)
        if tag == "a" and href:
            link = file_link(urljoin(self._address, href), attrs)
            if link is not None:
                self.found.append(link)
