"""Is the candidate worse than the champion by more than δ, or by less? Valid at every look.

Universal inference (Wasserman, Ramdas, Balakrishnan 2020, "Universal inference", PNAS 117): a mixture of the
likelihood over any prior fixed beforehand, divided by the largest likelihood under the null hypothesis, has
expectation ≤ 1 under that hypothesis and is bounded by a martingale that starts at 1. So by Ville's
inequality the chance that it *ever* reaches 1/α is at most α, however often one looks:

    E_bad  = mixture / sup{ L(p_c, p_s) : p_c ≤ p_s + δ }      large: worse than allowed
    E_good = mixture / sup{ L(p_c, p_s) : p_c ≥ p_s + δ }      large: within what is allowed

The plain mixture is B(k+½, n−k+½)/B(½, ½) in each arm. It pays ½ ln n for each arm's unknown rate, though the
champion's rate is well known. So the mixture here has more parts, each a guess that was made before the data:
the champion's rate is what it was before (the earlier steps, and the time before the canary); the candidate's
too; and, for E_good, both rates are one and the same, which is what an ordinary new model looks like. A part
that guesses wrong costs its weight (ln of the number of parts) and nothing else.
"""

from __future__ import annotations

from typing import Any

from kfops.rules.verdict.likelihood import Arms, Beliefs, log_mixture, log_sup, log_sup_above_both

NOTHING_KNOWN = Beliefs()


def log_e_values(arms: Arms, delta: float, beliefs: Beliefs = NOTHING_KNOWN) -> tuple[Any, Any]:
    """Ln E_bad and ln E_good of one stretch of constant weight. δ is in absolute points, 0 ≤ δ < 1."""
    at_most, at_least = log_sup(arms, delta)
    return _numerator_bad(arms, beliefs) - at_most, _numerator_good(arms, beliefs) - at_least


def log_e_slow_values(arms: Arms, rare: float, beliefs: Beliefs = NOTHING_KNOWN) -> tuple[Any, Any]:
    """Ln E_bad and ln E_good of slow answers, whose bounds hold the allowed ratio already, so that δ is 0:

        E_good = mixture / sup{ L(p_c, p_s) : p_c ≥ p_s and p_c ≥ rare }

    A candidate whose share of them is below `rare` is good whatever the champion's is: the bounds were fixed before
    the step, and where everything has become faster since, no champion's answer exceeds them that it could be
    held against.
    """
    at_most, _ = log_sup(arms, 0.0)
    return (
        _numerator_bad(arms, beliefs) - at_most,
        _numerator_good(arms, beliefs) - log_sup_above_both(arms, rare),
    )


def log_e_above(k: Any, n: Any, limit: float) -> Any:
    """Ln E against p ≤ `limit`, for one arm alone: a first deployment has no champion to compare with."""
    import numpy as np

    from kfops.rules.verdict.likelihood import log_binomial

    best = np.minimum(np.asarray(k, dtype=float) / np.maximum(n, 1), limit)
    return log_mixture(k, n) - log_binomial(k, n, best)


def _numerator_bad(arms: Arms, known: Beliefs) -> Any:
    fresh_c = log_mixture(arms.k_c, arms.n_c)
    known_c = log_mixture(arms.k_c, arms.n_c, known.k_c, known.n_c)
    fresh_s = log_mixture(arms.k_s, arms.n_s)
    known_s = log_mixture(arms.k_s, arms.n_s, known.k_s, known.n_s)
    return _log_mean(fresh_c + fresh_s, fresh_c + known_s, known_c + known_s)


def _numerator_good(arms: Arms, known: Beliefs) -> Any:
    k, n = arms.k_c + arms.k_s, arms.n_c + arms.n_s
    same_fresh = log_mixture(k, n)
    same_known = log_mixture(k, n, known.k_s, known.n_s)
    known_s = log_mixture(arms.k_s, arms.n_s, known.k_s, known.n_s)
    known_c = log_mixture(arms.k_c, arms.n_c, known.k_c, known.n_c)
    fresh = log_mixture(arms.k_c, arms.n_c) + log_mixture(arms.k_s, arms.n_s)
    return _log_mean(fresh, same_fresh, same_known, known_c + known_s)


def _log_mean(*terms: Any) -> Any:
    import numpy as np

    return np.logaddexp.reduce(np.stack(np.broadcast_arrays(*terms)), axis=0) - np.log(len(terms))
