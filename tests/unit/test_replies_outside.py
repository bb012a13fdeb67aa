"""R15: what is told where no Markdown is read has its secrets masked, and one line of what the forge takes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kfops.rules.replies.outside import LIMIT, description

SECRET = "hunter2-is-no-password"


@given(before=st.text(max_size=200), after=st.text(max_size=200), place=st.integers(0, 160))
def test_r15_a_status_is_one_line_that_fits_and_keeps_no_part_of_a_secret(before, after, place):
    said = description(f"{before}{'.' * place} {SECRET} {after}", [SECRET])

    assert len(said) <= LIMIT
    assert said == " ".join(said.split())
    assert SECRET[:7] not in said
    assert all(said[at + 1 : at + 2] in {"\u200b", "…"} for at, one in enumerate(said) if one == "@")


def test_a_short_sentence_stays_as_it_is():
    assert description("`churn` 4 has all traffic.", [SECRET]) == "`churn` 4 has all traffic."
