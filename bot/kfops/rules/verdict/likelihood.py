"""Binomial likelihoods of two arms, in logarithms. Every function takes numbers or arrays of equal shape.

k errors of n requests in each arm; c is the candidate, s the champion (the stable arm).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

# Halvings of the interval in which the restricted maximum is sought: beyond what a double resolves.
_HALVINGS = 60


@dataclass(frozen=True)
class Arms:
    """k events of n requests in either arm; numbers, or arrays of one shape."""

    k_c: Any
    n_c: Any
    k_s: Any
    n_s: Any


@dataclass(frozen=True)
class Beliefs:
    """What was known of both arms before these requests: events and requests, already discounted.

    Any belief is valid as long as it was held before the data came; a wrong one only costs power.
    """

    k_c: Any = 0.0
    n_c: Any = 0.0
    k_s: Any = 0.0
    n_s: Any = 0.0


def log_mixture(k: Any, n: Any, seen_k: Any = 0.0, seen_n: Any = 0.0) -> Any:
    """The likelihood averaged over p ~ Beta(½ + seen_k, ½ + seen_n − seen_k).

    With nothing seen before this is B(k+½, n−k+½)/B(½, ½), the estimator of Krichevsky and Trofimov (1981),
    whose regret against the best p is ½ ln n + O(1).
    """
    from scipy.special import betaln

    a, b = 0.5 + seen_k, 0.5 + seen_n - seen_k
    return betaln(k + a, n - k + b) - betaln(a, b)


def log_binomial(k: Any, n: Any, p: Any) -> Any:
    from scipy.special import xlog1py, xlogy

    return xlogy(k, p) + xlog1py(n - k, -p)


def log_sup(arms: Arms, delta: float) -> tuple[Any, Any]:
    """The largest likelihood where p_c ≤ p_s + δ, and where p_c ≥ p_s + δ.

    The likelihood is concave in (p_c, p_s), so the maximum is either the free one, k/n in each arm, or lies
    on the line p_c = p_s + δ. There the slope falls monotonically, and its zero is found by halving.
    """
    import numpy as np

    k_c, n_c, k_s, n_s = _counts(arms)
    p_c, p_s, free = _free_maximum(k_c, n_c, k_s, n_s)
    low, high = np.zeros_like(free), np.full_like(free, 1.0 - delta)
    for _ in range(_HALVINGS):
        p = (low + high) / 2
        q = p + delta
        rises = _slope(k_s, n_s, p) + _slope(k_c, n_c, q) > 0
        low, high = np.where(rises, p, low), np.where(rises, high, p)
    p = (low + high) / 2
    line = log_binomial(k_s, n_s, p) + log_binomial(k_c, n_c, p + delta)
    # An arm without requests fits every p, so it never keeps the free maximum out of either side.
    below = (p_c <= p_s + delta) | (n_c == 0) | (n_s == 0)
    above = (p_c >= p_s + delta) | (n_c == 0) | (n_s == 0)
    return np.where(below, free, np.minimum(line, free)), np.where(above, free, np.minimum(line, free))


def log_sup_above_both(arms: Arms, least: float) -> Any:
    """The largest likelihood where p_c ≥ p_s and p_c ≥ `least`.

    Outside of that the maximum lies on one of its edges: p_c = p_s from `least` on, or p_c = `least` above p_s.
    """
    import numpy as np

    k_c, n_c, k_s, n_s = _counts(arms)
    p_c, p_s, free = _free_maximum(k_c, n_c, k_s, n_s)
    pooled = np.maximum((k_c + k_s) / np.maximum(n_c + n_s, 1), least)
    diagonal = log_binomial(k_c, n_c, pooled) + log_binomial(k_s, n_s, pooled)
    edge = log_binomial(k_c, n_c, least) + log_binomial(k_s, n_s, np.minimum(p_s, least))
    inside = ((p_c >= p_s) | (n_s == 0)) & (p_c >= least) | (n_c == 0)
    return np.where(inside, free, np.minimum(np.maximum(diagonal, edge), free))


def _counts(arms: Arms) -> tuple[Any, Any, Any, Any]:
    import numpy as np

    k_c, n_c, k_s, n_s = (np.asarray(v, dtype=float) for v in (arms.k_c, arms.n_c, arms.k_s, arms.n_s))
    return k_c, n_c, k_s, n_s


def _free_maximum(k_c: Any, n_c: Any, k_s: Any, n_s: Any) -> tuple[Any, Any, Any]:
    """Where it is, p_c and p_s, and how large."""
    import numpy as np

    p_c, p_s = k_c / np.maximum(n_c, 1), k_s / np.maximum(n_s, 1)
    return p_c, p_s, log_binomial(k_c, n_c, p_c) + log_binomial(k_s, n_s, p_s)


def _slope(k: Any, n: Any, p: Any) -> Any:
    """The derivative of the log-likelihood of one arm by p."""
    import numpy as np

    tiny = 1e-300
    return k / np.maximum(p, tiny) - (n - k) / np.maximum(1.0 - p, tiny)
