"""Two tests on counts alone, against the known share of traffic. Both valid at every look."""

from __future__ import annotations

from typing import Any


def log_e_share(k: Any, n: Any, share: Any) -> Any:
    """Ln e against "the candidate is no worse at all": n error events of either arm, k of them the candidate's.

    If so, each event falls on the candidate with a probability of at most ρ, its share of traffic. Against that
    stands a uniform mixture over (ρ, 1); for p ≤ ρ the likelihood ratio p^k (1−p)^(n−k) / ρ^k (1−ρ)^(n−k) is a
    supermartingale, so Ville's inequality holds (the mixture method: Robbins 1970, Annals of Mathematical
    Statistics 41; for canaries: Lindon, Sanden, Shirikian 2022, arXiv 2205.14762):

        ln(1 − I_ρ(k+1, n−k+1)) + ln B(k+1, n−k+1) − ln(1−ρ) − k ln ρ − (n−k) ln(1−ρ)

    A change of the share starts a new factor. 0 < `share` < 1.
    """
    import numpy as np
    from scipy.special import betaincc, betaln

    tail = np.log(np.maximum(betaincc(k + 1, n - k + 1, share), 1e-300))
    constant = np.log1p(-share)
    return tail + betaln(k + 1, n - k + 1) - constant - k * np.log(share) - (n - k) * constant


def log_e_mismatch(n_c: Any, n_s: Any, share: Any, tolerance: float = 0.1) -> Any:
    """Ln e against "the candidate gets its share", within `tolerance` of the share (0.1: a tenth of it).

    The likelihood of n_c of n requests averaged over all shares, over the best one in the tolerated band
    (sample-ratio mismatch; universal inference as in `two_arms`). A band, because routers round and keep
    connections: with a million requests even an honest splitter differs from its nominal share.
    """
    import numpy as np

    from kfops.rules.verdict.likelihood import log_binomial, log_mixture

    n = n_c + n_s
    best = np.clip(n_c / np.maximum(n, 1), share * (1 - tolerance), np.minimum(share * (1 + tolerance), 1.0))
    return log_mixture(n_c, n) - log_binomial(n_c, n, best)
