"""What was tried is kept, is not tried again, and is told as a table."""

from __future__ import annotations

import json
from dataclasses import asdict

from tests.chaos import code, table
from tests.chaos.everything import _read, everything
from tests.chaos.matrices import Result, Share

DEATHS = Share("build", "a death", (0, 1))
PUSH = Share("build", "a push", (3,))
TRIED = {
    DEATHS: Result(
        2,
        1,
        0,
        0,
        0,
        ("build: died between a and b: lost a comment",),
        (("-", "ledger.claim", False, False), ("ledger.claim", "ledger.save", True, False)),
    ),
    PUSH: Result(1, 0, 0, 0, 0, ()),
}


def lines(of: str) -> str:
    rows = [{"code": of, "share": one.name, **asdict(result)} for one, result in TRIED.items()]
    return "".join(json.dumps(row) + "\n" for row in rows)


def test_what_was_kept_of_other_code_counts_for_nothing(tmp_path):
    kept = tmp_path / "kept"
    kept.write_text(lines("of yesterday"))

    assert list(_read(kept, code.digest())) == []


def test_what_was_kept_is_told_and_not_played_again(tmp_path):
    kept = tmp_path / "kept"
    kept.write_text(lines(code.digest()))
    said: list[str] = []

    found = everything([DEATHS, PUSH], 1, kept, said.append)

    assert found == list(TRIED.items())
    assert said == ["0 of 2 shares are to be played: 0 cases"]


def test_the_tables_count_and_quote_what_was_not_well():
    found = list(TRIED.items())
    assert [line.split() for line in table.rows(found)][1:] == [
        ["build", "a", "death", "2", "1", "0", "0", "0"],
        ["build:", "died", "between", "a", "and", "b:", "lost", "a", "comment"],
        ["build", "a", "push", "1", "0", "0", "0", "0"],
    ]
    assert [line.split() for line in table.effects(found)][1:3] == [
        ["ledger.claim", "1", "1", "1", "0"],
        ["ledger.save", "1", "0", "1", "0"],
    ]
    assert list(table.effects(found))[-1] == (
        "2 deaths, at 3 different (workflow, effect, before or after): 3 points tried"
    )
    assert table.summary(found) == "3 tried: 1 lost, 0 doubled, 0 unpinned, 0 broken"
