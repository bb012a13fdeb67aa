"""Where a rollback goes (R20)."""

from __future__ import annotations

import pytest
from tests.support.gates import revision

from kfops.rules import revisions

ONE, TWO, THREE = revision("1", "1" * 64), revision("2", "2" * 64), revision("3", "3" * 64)


@pytest.mark.parametrize(
    ("newest_first", "version"),
    [
        ([], None),
        ([ONE], None),
        ([TWO, ONE], "1"),
        ([THREE, TWO, ONE], "2"),
        ([TWO, THREE, TWO, ONE], "1"),  # 3 was taken back: the way on is not to 3
        ([ONE, TWO, THREE, TWO, ONE], None),
        ([THREE, TWO, THREE, TWO, ONE], "2"),  # 3 was mended and deployed again
    ],
)
def test_r20_the_last_good_revision_is_none_that_was_taken_back(newest_first, version):
    found = revisions.last_good(newest_first)

    assert (found.version if found else None) == version


def test_r20_a_revision_is_named_by_its_version_or_by_enough_of_its_digest():
    known = [THREE, TWO, ONE]

    assert revisions.target(known, "2") is TWO
    assert revisions.target(known, "1111111") is ONE
    assert revisions.target(known, None) is TWO


@pytest.mark.parametrize("to", ["4", "222", "9999999"])
def test_r20_a_revision_that_is_not_recorded_is_no_target(to):
    assert revisions.target([THREE, TWO, ONE], to) is None


def test_r20_a_digest_that_fits_two_is_none():
    other = revision("4", "1" * 63 + "2")

    assert revisions.target([other, TWO, ONE], "1" * 12) is None
    assert revisions.target([other, TWO, ONE], "1" * 63 + "2") is other


def test_what_may_be_named_leaves_out_what_serves():
    active = revision("2", "2" * 64, is_active=True)

    assert revisions.named([active, THREE, TWO, ONE]) == ("3", "1")
