"""The words replies are written with. What takes foreign text makes it harmless (R15); masking secrets comes first.

`Section` and `bounded` keep a whole reply within the forge's limit.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from kfops.rules.replies.foreign import clean, one_line, plain, quiet
from kfops.rules.replies.secrecy import mask
from kfops.rules.replies.sections import LIMIT, Section, bounded, details, fence, width

__all__ = [
    "LIMIT",
    "Section",
    "bar",
    "bounded",
    "cell",
    "clean",
    "code_span",
    "details",
    "duration",
    "fence",
    "mask",
    "mermaid_line",
    "number",
    "plain",
    "table",
    "tail",
    "width",
]

NOTHING = "–"
_MOST_CELL = 300
_MOST_POINTS = 60
_ALIGNMENTS = {"left": ":--", "right": "--:", "center": ":-:"}
_UNSAFE_IN_MERMAID = re.compile(r"[^\w .,:;/%()+=<>-]")
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


def cell(text: str, limit: int = _MOST_CELL) -> str:
    """Foreign text as part of a line or a table: shown as it is, without effect."""
    line = one_line(text)
    return plain(line if len(line) <= limit else f"{line[: limit - 1]}…") or NOTHING


def code_span(text: str, limit: int = _MOST_CELL) -> str:
    line = one_line(text)
    line = quiet(line if len(line) <= limit else f"{line[: limit - 1]}…")
    if not line:
        return NOTHING
    longest = max((len(run) for run in re.findall(r"`+", line)), default=0)
    ticks = "`" * (longest + 1)
    return f"{ticks} {line} {ticks}" if line[0] == "`" or line[-1] == "`" else f"{ticks}{line}{ticks}"


def tail(log: str, limit: int = 4000) -> str:
    """The last `limit` characters of a log, in whole lines where there are such. Masked before, fenced after."""
    text = clean(log[-limit * 20 :]).strip("\n")
    if len(text) <= limit:
        return text
    kept = text[-limit:]
    return kept.partition("\n")[2] or kept


def table(header: Sequence[str], rows: Sequence[Sequence[str]], align: Sequence[str] = ()) -> str:
    """Of ready Markdown cells; foreign ones go through `cell` or `code_span` first. `align`: left, right, center."""
    marks = [_ALIGNMENTS[name] for name in align] + ["---"] * (len(header) - len(align))
    lines = [_row(header, len(header)), _row(marks, len(header)), *(_row(row, len(header)) for row in rows)]
    return "\n".join(lines)


def _row(cells: Sequence[str], columns: int) -> str:
    filled = [*cells[:columns], *[""] * (columns - len(cells))]
    safe = [re.sub(r"(?<!\\)\|", r"\\|", " ".join(one.split())) for one in filled]
    return f"| {' | '.join(safe)} |"


def bar(fraction: float, cells: int = 20) -> str:
    """A share of 1 as a bar of blocks; out of range counts as the nearer end, not a number as empty."""
    full = 0 if math.isnan(fraction) else round(min(1.0, max(0.0, fraction)) * cells)
    return "█" * full + "░" * (cells - full)


def duration(seconds: float | None) -> str:
    if seconds is None or not math.isfinite(seconds):
        return NOTHING
    if abs(seconds) < 1:
        return f"{seconds * 1000:.0f} ms"
    if abs(seconds) < 10:  # noqa: PLR2004 - below ten seconds the tenth says something
        return f"{seconds:.1f} s"
    whole = round(seconds)
    sign, whole = ("-", -whole) if whole < 0 else ("", whole)
    for size, unit, smaller, small in (
        (_DAY, "d", _HOUR, "h"),
        (_HOUR, "h", _MINUTE, "min"),
        (_MINUTE, "min", 1, "s"),
    ):
        if whole >= size:
            rest = whole % size // smaller
            return f"{sign}{whole // size} {unit}" + (f" {rest} {small}" if rest else "")
    return f"{sign}{whole} s"


def number(value: float | None, digits: int = 4) -> str:
    """Counts in full with thousands apart, other values to `digits` significant digits."""
    if value is None or math.isnan(value):
        return NOTHING
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if float(value).is_integer() and abs(value) < 1e15:  # noqa: PLR2004 - beyond, a float's digits are not its own
        return f"{int(value):,}"
    if abs(value) >= 10**digits:
        return f"{value:,.0f}"
    return f"{value:.{digits}g}"


def mermaid_line(
    title: str, xs: Sequence[float | str], *lines: Sequence[float], x_label: str = "", y_label: str = ""
) -> str:
    """An `xychart-beta` of one or more lines over the same xs; empty where there are not two points to connect."""
    rows = [(x, *ys) for x, *ys in zip(xs, *lines, strict=True) if all(math.isfinite(one) for one in ys)]
    if len(rows) < 2 or not lines:  # noqa: PLR2004 - a line has two ends
        return ""
    rows = _thinned(rows)
    values = [float(one) for row in rows for one in row[1:]]
    low, high = min(values), max(values)
    margin = (high - low) * 0.05 or abs(high) * 0.05 or 1.0
    labels = ", ".join(_quoted(one if isinstance(one, str) else number(one)) for one, *_ in rows)
    drawn = [
        f"  line [{', '.join(f'{float(row[at]):.6g}' for row in rows)}]" for at in range(1, len(lines) + 1)
    ]
    chart = [
        "xychart-beta",
        f"  title {_quoted(title)}",
        f"  x-axis {f'{_quoted(x_label)} ' if x_label else ''}[{labels}]",
        f"  y-axis {f'{_quoted(y_label)} ' if y_label else ''}{low - margin:.6g} --> {high + margin:.6g}",
        *drawn,
    ]
    return fence("\n".join(chart), "mermaid")


def _thinned(rows: list[tuple[float | str, ...]]) -> list[tuple[float | str, ...]]:
    if len(rows) <= _MOST_POINTS:
        return rows
    step = (len(rows) - 1) / (_MOST_POINTS - 1)
    return [rows[round(at * step)] for at in range(_MOST_POINTS)]


def _quoted(text: str) -> str:
    """Mermaid's strings have no escape: what ends or reads otherwise is left out."""
    kept = _UNSAFE_IN_MERMAID.sub("", one_line(text))[:80]
    return f'"{kept}"'
