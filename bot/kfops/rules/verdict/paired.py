"""Both arms answered the same requests: what their answers say of each other."""

from __future__ import annotations

from collections.abc import Sequence
from math import log

from kfops.rules.verdict.share import log_e_share

# Below this many predictions a PSI is mostly noise: its expectation for equal distributions is about
# (bins − 1)·(1/n + 1/m), which reaches 0.1 at some two hundred rows and ten bins.
PSI_NEEDS = 500


def log_e_candidate_wrong(candidate_wrong: int, champion_wrong: int) -> float:
    """Ln e against "the candidate is wrong no more often than the champion", from labelled pairs.

    McNemar (1947) looks only at discordant pairs: if both models are equally good, each is the candidate's
    mistake with probability at most ½. With a mixture in place of the fixed-sample test it is valid at every look.
    """
    return float(log_e_share(candidate_wrong, candidate_wrong + champion_wrong, 0.5))


def population_stability(expected: Sequence[int], actual: Sequence[int]) -> float | None:
    """PSI of two histograms over the same bins, Σ (a−e)·ln(a/e); None below 500 predictions in either.

    An effect size, not a test: it is shown and decides nothing. Half a count is added to each bin, so an empty
    one does not make it infinite. Raises ValueError where the bins differ in number.
    """
    if len(expected) != len(actual):
        raise ValueError(f"two histograms of {len(expected)} and {len(actual)} bins: expected the same bins")
    if min(sum(expected), sum(actual)) < PSI_NEEDS:
        return None
    e_total, a_total = sum(expected) + len(expected) / 2, sum(actual) + len(actual) / 2
    shares = [((e + 0.5) / e_total, (a + 0.5) / a_total) for e, a in zip(expected, actual, strict=True)]
    return sum((a - e) * log(a / e) for e, a in shares)
