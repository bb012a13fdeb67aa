"""What the matrices came to, as tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from tests.chaos.matrices import Result, Share

EFFECT = "{:<44} {:>6} {:>6} {:>6} {:>8}"
ROW = "{:<44} {:<28} {:>6} {:>6} {:>8} {:>9} {:>7}"
NONE = "-"


def rows(found: Iterable[tuple[Share, Result]]) -> Iterator[str]:
    """One row a story and a thing in between, and what was not well below it."""
    by: dict[tuple[str, str], list[Result]] = {}
    for share, result in found:
        by.setdefault((share.story, share.what), []).append(result)
    yield ROW.format("story", "what came in between", "tried", "lost", "doubled", "unpinned", "broken")
    for (story, what), results in by.items():
        counts = [sum(one) for one in zip(*map(_counts, results), strict=True)]
        yield ROW.format(story[:44], what[:28], *counts)
        yield from (f"    {told}" for one in results for told in one.told)


def effects(found: Iterable[tuple[Share, Result]]) -> Iterator[str]:
    """The deaths once more, by the effect that they came before or after."""
    before, after, lost, doubled = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    points = set()
    for share, result in found:
        for one, other, was_lost, was_doubled in result.effects:
            after[one] += 1
            before[other] += 1
            points |= {(share.story, one, "after"), (share.story, other, "before")}
            for name in {one, other}:
                lost[name] += was_lost
                doubled[name] += was_doubled
    yield EFFECT.format("effect", "before", "after", "lost", "doubled")
    for name in sorted((before.keys() | after.keys()) - {NONE}):
        yield EFFECT.format(name, before[name], after[name], lost[name], doubled[name])
    distinct = sum(name != NONE for _, name, _ in points)
    yield (
        f"{sum(after.values())} deaths, at {distinct} different (workflow, effect, before or after): "
        f"{sum(before[one] + after[one] for one in before.keys() | after.keys() if one != NONE)} points tried"
    )


def summary(found: Iterable[tuple[Share, Result]]) -> str:
    tried, lost, doubled, unpinned, broken = (
        sum(one) for one in zip(*(_counts(result) for _, result in found), strict=True)
    )
    return f"{tried} tried: {lost} lost, {doubled} doubled, {unpinned} unpinned, {broken} broken"


def _counts(one: Result) -> tuple[int, ...]:
    return one.tried, one.lost, one.doubled, one.unpinned, one.broken
