"""Is the data of this run like production's? Effect sizes with conventional bounds; they warn and gate nothing.

Numbers: the difference of means in standard deviations of production's table (Cohen 1988: 0.2 is a small effect).
Other values: the population stability index over the shares of the most frequent values, the rest taken together
(Siddiqi 2006: below 0.1 nothing moved). Missing values: the difference of their shares.
"""

from __future__ import annotations

import math

from kfops.domain.profile import Column, ColumnDrift, DataDrift, Profile

SMALL_SHIFT = 0.2
SMALL_PSI = 0.1
SMALL_SHARE = 0.05
MOST = 12
_LARGEST_SHIFT = 1e6
_LEAST_SHARE = 1e-4  # of a value that was not seen: its logarithm must be finite


def drift(now: Profile, then: Profile) -> DataDrift:
    """`then` is what production's model was trained on."""
    before = {one.name: one for one in then.columns}
    after = {one.name: one for one in now.columns}
    found = [
        *(
            ColumnDrift(name, "is new", "", one.type, None)
            for name, one in after.items()
            if name not in before
        ),
        *(
            ColumnDrift(name, "is gone", one.type, "", None)
            for name, one in before.items()
            if name not in after
        ),
    ]
    for name in after.keys() & before.keys():
        found += _moved(after[name], before[name], max(now.rows, 1), max(then.rows, 1))
    found.sort(key=lambda one: (-math.inf if one.effect is None else -one.effect, one.name, one.what))
    return DataDrift(now.rows, then.rows, tuple(found[:MOST]))


def _moved(now: Column, then: Column, rows: int, rows_then: int) -> list[ColumnDrift]:
    found = []
    shares = now.missing / rows, then.missing / rows_then
    if abs(shares[0] - shares[1]) >= SMALL_SHARE:
        text = tuple(f"{share:.1%}" for share in shares)
        found.append(ColumnDrift(now.name, "missing", text[1], text[0], abs(shares[0] - shares[1])))
    if now.mean is not None and then.mean is not None:
        shift = _shift(now.mean, then.mean, then.std)
        if shift is None or shift >= SMALL_SHIFT:
            found.append(ColumnDrift(now.name, "mean", f"{then.mean:.4g}", f"{now.mean:.4g}", shift))
    elif (now.mean is None) != (then.mean is None) and now.missing < rows and then.missing < rows_then:
        found.append(ColumnDrift(now.name, "type", then.type, now.type, None))
    elif now.top and then.top:
        index, value = _psi(now, then, rows, rows_then)
        if index >= SMALL_PSI:
            counts = tuple(dict(one.top).get(value, 0) for one in (now, then))
            found.append(
                ColumnDrift(
                    now.name,
                    f"share of {value}",
                    f"{counts[1] / rows_then:.1%}",
                    f"{counts[0] / rows:.1%}",
                    index,
                )
            )
    return found


def _shift(now: float, then: float, std: float | None) -> float | None:
    """None: production's column never varied, and this one's mean is another."""
    if std:
        return min(abs(now - then) / std, _LARGEST_SHIFT)
    return None if now != then else 0.0


def _psi(now: Column, then: Column, rows: int, rows_then: int) -> tuple[float, str]:
    """The index, and the value that moved most. Values of production's table; all others are one more."""
    counts, counts_then = dict(now.top), dict(then.top)
    present, present_then = max(rows - now.missing, 1), max(rows_then - then.missing, 1)
    shares = {value: (counts.get(value, 0) / present, count / present_then) for value, count in then.top}
    if now.unique > len(now.top):  # what is not among its most frequent ones is somewhere among the rest
        shares = {value: pair for value, pair in shares.items() if value in counts}
    rest = 1 - sum(pair[0] for pair in shares.values()), 1 - sum(pair[1] for pair in shares.values())
    parts = {value: _part(*pair) for value, pair in shares.items()}
    worst = max(parts, key=lambda value: parts[value]) if parts else next(iter(counts_then))
    return sum(parts.values()) + _part(*rest), worst


def _part(now: float, then: float) -> float:
    now, then = max(now, _LEAST_SHARE), max(then, _LEAST_SHARE)
    return (now - then) * math.log(now / then)
