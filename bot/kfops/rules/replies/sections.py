"""A reply as sections, fitted into what the forge takes: structure is closed because it is written last."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from kfops.rules.replies.foreign import clean, html, quiet

LIMIT = 60_000  # of GitHub's 65,536 characters, counted in UTF-16 units, which are never fewer
_CUT = "… cut …"
_FENCE = re.compile(r"^ {0,3}(`{3,}(?=[^`]*$)|~{3,})")  # with a backquote after it, it is a code span
_DETAILS = re.compile(r"<(/?)details\b", re.IGNORECASE)


@dataclass(frozen=True)
class Section:
    """Ready Markdown, or, with `language`, foreign text to be fenced. With `summary` it is folded, and may be cut.

    Of foreign text the end is kept (a log's last words count), of Markdown the beginning.
    """

    body: str
    summary: str | None = None
    language: str | None = None
    is_open: bool = False

    @property
    def may_be_cut(self) -> bool:
        return self.summary is not None

    def render(self) -> str:
        body = self.body if self.language is None else fence(self.body, self.language)
        return body if self.summary is None else details(self.summary, body, is_open=self.is_open)


def width(text: str) -> int:
    """In UTF-16 code units."""
    return len(text.encode("utf-16-le", errors="replace")) // 2


def fence(text: str, language: str = "") -> str:
    """Foreign text as a code block that it cannot leave."""
    body = quiet(clean(text)).strip("\n")
    longest = max((len(run) for run in re.findall(r"`+", body)), default=0)
    ticks = "`" * max(3, longest + 1)
    return f"{ticks}{re.sub(r'[^A-Za-z0-9_+-]', '', language)}\n{body}\n{ticks}"


def details(summary: str, body: str, is_open: bool = False) -> str:
    """`summary` is text, `body` ready Markdown."""
    opened = "<details open>" if is_open else "<details>"
    return f"{opened}<summary>{html(summary)}</summary>\n\n{closed(body)}\n\n</details>"


def bounded(sections: Sequence[Section], limit: int = LIMIT) -> str:
    """The reply, at most `limit` long: the longest folded parts are cut first, and what stays is whole Markdown."""
    parts = [_settled(one) for one in sections if one.body.strip()]
    shown = parts
    ceiling = max((width(one.body) for one in parts if one.may_be_cut), default=0)
    while (excess := width(_joined(shown)) - limit) > 0 and ceiling > 0:
        ceiling = _lower(parts, ceiling, excess)
        shown = [_cut(one, ceiling) for one in parts]
    text = _joined(shown)
    return text if width(text) <= limit else _cut_prose(text, limit)


def _settled(section: Section) -> Section:
    """With foreign text as it will be shown, so that its width is the true one."""
    return section if section.language is None else replace(section, body=quiet(clean(section.body)))


def _joined(parts: Sequence[Section]) -> str:
    return "\n\n".join(closed(one.render()) for one in parts)


def _lower(parts: Sequence[Section], ceiling: int, excess: int) -> int:
    """The width that no folded part may exceed for the reply to become shorter by `excess`; 0 where none will do."""
    widths = sorted((min(width(one.body), ceiling) for one in parts if one.may_be_cut), reverse=True)
    for count, one in enumerate(widths, start=1):
        following = widths[count] if count < len(widths) else 0
        room = sum(widths[:count]) - count * following
        if room >= excess:
            # Cutting adds its own line, and whole lines are kept: a little less than what is just enough.
            return max(0, min(one, (sum(widths[:count]) - excess) // count) - len(_CUT) - 1)
    return 0


def _cut(section: Section, ceiling: int) -> Section:
    """At most `ceiling` wide, in whole lines where there are such, with a note where something is missing."""
    if not section.may_be_cut or width(section.body) <= ceiling:
        return section
    if ceiling <= 0:
        body = _CUT
    elif section.language is None:
        body = f"{_first(section.body, ceiling)}\n{_CUT}"
    else:
        body = f"{_CUT}\n{_last(section.body, ceiling)}"
    return replace(section, body=body)


def _first(text: str, wanted: int) -> str:
    kept = _units(text, wanted)
    whole, _, _ = kept.rpartition("\n")
    return whole if len(whole) * 2 > len(kept) else kept


def _last(text: str, wanted: int) -> str:
    kept = _units(text[::-1], wanted)[::-1]
    _, _, whole = kept.partition("\n")
    return whole if len(whole) * 2 > len(kept) else kept


def _units(text: str, wanted: int) -> str:
    """The longest beginning of at most `wanted` UTF-16 units."""
    return text.encode("utf-16-le", errors="replace")[: max(0, wanted) * 2].decode(
        "utf-16-le", errors="ignore"
    )


def _cut_prose(text: str, limit: int) -> str:
    """The last resort, where even the parts that are never cut are too long."""
    room = limit - len(_CUT) - 2
    while room > 0:
        found = closed(f"{_first(text, room)}\n\n{_CUT}")
        over = width(found) - limit
        if over <= 0:
            return found
        room -= over
    return _units(_CUT, limit)


def closed(text: str) -> str:
    """With every code fence and every `<details>` that it leaves open closed."""
    fence_now, folded = "", 0
    for line in text.split("\n"):
        found = _FENCE.match(line)
        if fence_now:
            is_end = (
                found is not None and found[1].startswith(fence_now) and not line.strip().strip(fence_now[0])
            )
            fence_now = "" if is_end else fence_now
        elif found is not None:
            fence_now = found[1]
        else:
            for tag in _DETAILS.finditer(line):
                folded = max(0, folded + (-1 if tag[1] else 1))
    ending = (f"\n{fence_now}" if fence_now else "") + "\n\n</details>" * folded
    return f"{text}{ending}"
