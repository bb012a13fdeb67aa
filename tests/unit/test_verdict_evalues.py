"""The e-values against their definitions, and against what they promise."""

from __future__ import annotations

from math import exp, log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import betaln

from kfops.rules.verdict import (
    log_e_above,
    log_e_candidate_wrong,
    log_e_mismatch,
    log_e_share,
    log_e_slow_values,
    log_e_values,
    population_stability,
)
from kfops.rules.verdict.likelihood import (
    Arms,
    Beliefs,
    log_binomial,
    log_mixture,
    log_sup,
    log_sup_above_both,
)


def arm() -> st.SearchStrategy[tuple[int, int]]:
    return st.integers(0, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


def test_mixture_is_the_one_of_krichevsky_and_trofimov() -> None:
    assert log_mixture(3, 10) == pytest.approx(betaln(3.5, 7.5) - betaln(0.5, 0.5))


@pytest.mark.parametrize(("k_c", "n_c", "k_s", "n_s", "delta"), [
    (0, 50, 0, 150, 0.01), (15, 50, 0, 150, 0.01), (3, 100, 2, 300, 0.05), (50, 50, 0, 10, 0.0), (1, 7, 5, 9, 0.3),
])  # fmt: skip
def test_restricted_maximum_is_the_largest_on_a_grid(
    k_c: int, n_c: int, k_s: int, n_s: int, delta: float
) -> None:
    grid = np.linspace(0, 1, 1201)
    p_c, p_s = np.meshgrid(grid, grid, indexing="ij")
    surface = log_binomial(k_c, n_c, p_c) + log_binomial(k_s, n_s, p_s)
    at_most, at_least = log_sup(Arms(k_c, n_c, k_s, n_s), delta)
    tolerance = 1e-12
    for found, allowed in (
        (at_most, p_c <= p_s + delta + tolerance),
        (at_least, p_c >= p_s + delta - tolerance),
    ):
        best = surface[allowed].max()
        assert best <= found + 1e-9
        assert found == pytest.approx(best, abs=0.2)


@pytest.mark.parametrize(("k_c", "n_c", "k_s", "n_s"), [
    (0, 50, 0, 150), (15, 50, 0, 150), (1, 100, 9, 300), (5, 100, 9, 100), (0, 0, 3, 10), (1, 90, 0, 0),
])  # fmt: skip
def test_restricted_maximum_of_slow_answers_is_the_largest_on_a_grid(
    k_c: int, n_c: int, k_s: int, n_s: int
) -> None:
    grid = np.linspace(0, 1, 1201)
    p_c, p_s = np.meshgrid(grid, grid, indexing="ij")
    surface = log_binomial(k_c, n_c, p_c) + log_binomial(k_s, n_s, p_s)
    found = log_sup_above_both(Arms(k_c, n_c, k_s, n_s), 0.025)
    best = surface[(p_c >= p_s) & (p_c >= 0.025)].max()
    assert best <= found + 1e-9
    assert found == pytest.approx(best, abs=0.2)


def test_a_candidate_is_not_slow_though_the_champion_has_become_faster_than_its_old_p95() -> None:
    """No answer of either is slow any more: there is nothing left that the two could differ in."""
    rare = Arms(0, 400, 0, 400)
    assert log_e_values(rare, 0.0)[1] < 0
    assert log_e_slow_values(rare, 0.025)[1] > log(20)
    often = Arms(20, 400, 20, 400)
    assert log_e_slow_values(often, 0.025)[1] < 0
    assert log_e_slow_values(often, 0.025)[0] == log_e_values(often, 0.0)[0]


@given(candidate=arm(), champion=arm(), delta=st.sampled_from([0.0, 0.01, 0.05, 0.3]))
@settings(deadline=None)
def test_one_of_the_two_nulls_always_holds_the_free_maximum(
    candidate: tuple[int, int], champion: tuple[int, int], delta: float
) -> None:
    (k_c, n_c), (k_s, n_s) = candidate, champion
    free = log_binomial(k_c, n_c, k_c / max(n_c, 1)) + log_binomial(k_s, n_s, k_s / max(n_s, 1))
    at_most, at_least = log_sup(Arms(k_c, n_c, k_s, n_s), delta)
    assert max(at_most, at_least) == pytest.approx(free, abs=1e-6)
    assert min(at_most, at_least) <= free + 1e-9
    bad, good = log_e_values(Arms(k_c, n_c, k_s, n_s), delta)
    assert np.isfinite(bad)
    assert np.isfinite(good)
    # A mixture is never above the best p, so evidence for both at once cannot be.
    assert min(bad, good) <= 1e-6


def test_nothing_counted_is_no_evidence() -> None:
    assert [float(e) for e in log_e_values(Arms(0, 0, 0, 0), 0.01)] == pytest.approx([0, 0], abs=1e-9)
    assert log_e_share(0, 0, 0.25) == pytest.approx(0, abs=1e-9)
    assert log_e_mismatch(0, 0, 0.25) == pytest.approx(0, abs=1e-9)
    assert log_e_above(0, 0, 0.01) == pytest.approx(0, abs=1e-9)


def test_only_one_arm_counted_decides_nothing() -> None:
    for arms in (Arms(40, 40, 0, 0), Arms(0, 0, 0, 500)):
        bad, good = log_e_values(arms, 0.01)
        assert bad <= 0
        assert good <= 0


@pytest.mark.parametrize(("k", "n", "share"), [(0, 5, 0.1), (4, 10, 0.25), (9, 10, 0.5), (1, 40, 0.05)])
def test_share_test_is_its_integral(k: int, n: int, share: float) -> None:
    def ratio(p: float) -> float:
        return exp(k * log(p / share) + (n - k) * log((1 - p) / (1 - share))) / (1 - share)

    integral, _ = quad(ratio, share, 1)
    assert float(log_e_share(k, n, share)) == pytest.approx(log(integral), abs=1e-6)


@given(champion=arm(), candidate=arm(), known=arm())
@settings(deadline=None, max_examples=40)
def test_wrong_beliefs_cost_no_more_than_their_weight(
    champion: tuple[int, int], candidate: tuple[int, int], known: tuple[int, int]
) -> None:
    arms = Arms(*candidate, *champion)
    plain = log_mixture(*candidate) + log_mixture(*champion)
    at_most, at_least = log_sup(arms, 0.01)
    bad, good = log_e_values(arms, 0.01, Beliefs(0.5, 20, *known))
    assert bad >= plain - at_most - log(3) - 1e-6
    assert good >= plain - at_least - log(4) - 1e-6


def expectation(p_c: float, p_s: float, known: Beliefs, which: int, n_c: int = 12, n_s: int = 25) -> float:
    """E[e] over all outcomes of two small arms, exactly."""
    k_c, k_s = np.meshgrid(np.arange(n_c + 1), np.arange(n_s + 1), indexing="ij")
    arms = Arms(k_c, np.full_like(k_c, n_c), k_s, np.full_like(k_s, n_s))
    log_e = log_e_values(arms, 0.05, known)[which]
    paths = (
        -betaln(k_c + 1, n_c - k_c + 1) - np.log(n_c + 1) - betaln(k_s + 1, n_s - k_s + 1) - np.log(n_s + 1)
    )
    return float(np.exp(log_e + paths + log_binomial(k_c, n_c, p_c) + log_binomial(k_s, n_s, p_s)).sum())


@pytest.mark.parametrize("p_s", [0.0, 0.02, 0.3, 0.9])
@pytest.mark.parametrize("known", [Beliefs(), Beliefs(1, 50, 9, 300)])
def test_expectation_under_the_null_is_at_most_one(p_s: float, known: Beliefs) -> None:
    for above in (-0.02, 0.0, 0.05):
        if p_s + above >= 0:
            assert expectation(p_s + above, p_s, known, which=0) <= 1 + 1e-9
    for above in (0.05, 0.1):
        assert expectation(min(p_s + above, 1), p_s, known, which=1) <= 1 + 1e-9


def test_numbers_and_arrays_agree() -> None:
    one = log_e_values(Arms(3, 40, 2, 120), 0.01, Beliefs(1, 10, 2, 500))
    many = log_e_values(Arms(*(np.array([v, v]) for v in (3, 40, 2, 120))), 0.01, Beliefs(1, 10, 2, 500))
    assert [float(e) for e in one] == pytest.approx([float(e[0]) for e in many])


def test_a_share_that_does_not_fit_is_seen_and_a_rounded_one_is_not() -> None:
    assert log_e_mismatch(500, 500, 0.25) > log(1000)
    assert log_e_mismatch(0, 100, 0.25) > log(1000)
    assert log_e_mismatch(254_000, 746_000, 0.25) < 0


def test_labelled_pairs() -> None:
    assert log_e_candidate_wrong(30, 8) > log(20)
    assert log_e_candidate_wrong(19, 19) < 0
    assert log_e_candidate_wrong(8, 30) < 0


def test_psi_is_an_effect_size_from_500_predictions_on() -> None:
    assert population_stability([200, 200], [100, 100]) is None
    assert population_stability([300, 300], [250, 250]) == pytest.approx(0, abs=1e-6)
    shifted = population_stability([500, 500], [800, 200])
    assert shifted is not None
    assert shifted > 0.25
    with pytest.raises(ValueError, match="same bins"):
        population_stability([500], [250, 250])


def test_a_candidate_failing_thirty_per_cent_is_clear_within_fifteen_errors() -> None:
    bad, _ = log_e_values(Arms(15, 50, 0, 150), 0.01)
    early, _ = log_e_values(Arms(6, 20, 0, 60), 0.01)
    assert bad > log(1 / 0.02)
    assert early > log(1 / 0.02)
