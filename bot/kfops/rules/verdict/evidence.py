"""From counts to e-values, and from e-values to what they allow.

α = 0.05 is the chance, over a whole rollout and all its looks, that a candidate within the bounds is rolled
back. It is split over the three tests that can do it. Promotion needs every test that has data to agree, so
there each keeps the whole α: a candidate that is too bad in one respect must pass that one test wrongly.
"""

from __future__ import annotations

from dataclasses import fields
from math import log
from typing import Any

from kfops.domain.canary_facts import ArmCounts, Counts
from kfops.domain.rollout import Evidence, Reason, RolloutPlan, Step, Verdict
from kfops.rules.verdict.likelihood import Arms, Beliefs
from kfops.rules.verdict.share import log_e_mismatch, log_e_share
from kfops.rules.verdict.two_arms import log_e_above, log_e_values

ALPHA = 0.05
ROLL_BACK_ON_ERRORS = log(1 / 0.02)
ROLL_BACK_ON_SLOW = log(1 / 0.02)
ROLL_BACK_ON_WATCH = log(1 / 0.01)
PROMOTE_AT = log(1 / ALPHA)
STOP_CLIMBING_AT = log(1 / ALPHA)
MISMATCH_AT = log(1 / 0.001)

# What was seen before counts for half, and never for more than this many requests: rates drift.
_TRUST = 0.5
_TRUSTED_REQUESTS = 4000.0
# A champion that nobody called during the steps is taken to fail up to this often.
_UNSEEN_CHAMPION = 0.1
# T is the champion's p95 by construction.
_SLOW_SHARE = 0.05


def judge(step: Step, earlier: tuple[Step, ...], plan: RolloutPlan, before: ArmCounts | None) -> Evidence:
    """The factors of one step. `earlier` are the steps before it, `before` the champion ahead of the rollout."""
    counts = step.counts
    if counts is None:
        return Evidence()
    if step.is_watch:
        return _judge_watch(counts, earlier, plan)
    c, s = counts.candidate, counts.champion
    share = step.share / 100
    seen = [step.counts for step in earlier if step.counts is not None]
    beliefs = error_beliefs(
        sum(c.candidate.errors for c in seen),
        sum(c.candidate.requests for c in seen),
        sum(c.champion.errors for c in seen) + (before.errors if before else 0),
        sum(c.champion.requests for c in seen) + (before.requests if before else 0),
    )
    bad, good = log_e_values(
        Arms(min(c.errors, c.requests), c.requests, min(s.errors, s.requests), s.requests),
        plan.max_error_increase,
        beliefs,
    )
    slow_bad, slow_good = judge_slow(counts, earlier, before)
    return Evidence(
        errors_bad=float(bad),
        errors_good=float(good),
        slow_bad=slow_bad,
        slow_good=slow_good,
        share=float(log_e_share(c.errors, c.errors + s.errors, share)),
        mismatch=float(log_e_mismatch(c.requests, s.requests, share)),
    )


def judge_slow(
    counts: Counts, earlier: tuple[Step, ...], before: ArmCounts | None
) -> tuple[float | None, float | None]:
    """E_bad and E_good on slow answers. The bound holds the allowed ratio already, so δ is 0."""
    c, s = counts.candidate, counts.champion
    if not (c.timed and s.timed):
        return None, None
    seen = [step.counts for step in earlier if step.counts is not None]
    beliefs = slow_beliefs(
        sum(c.candidate.slow for c in seen),
        sum(c.candidate.timed for c in seen),
        sum(c.champion.timed for c in seen) + (before.requests if before else 0),
    )
    bad, good = log_e_values(Arms(min(c.slow, c.timed), c.timed, min(s.slow, s.timed), s.timed), 0.0, beliefs)
    return float(bad), float(good)


def total(steps: tuple[Step, ...]) -> Evidence:
    """All steps together: the product of their factors, which is again an e-value. The watch is judged alone."""
    ladder = [step.evidence for step in steps if not step.is_watch]
    sums = {}
    for field in fields(Evidence):
        known = [value for e in ladder if (value := getattr(e, field.name)) is not None]
        sums[field.name] = sum(known) if known else None
    sums["mismatch"] = ladder[-1].mismatch if ladder else None
    return Evidence(**sums)


def verdict_of(steps: tuple[Step, ...]) -> tuple[Verdict, Reason]:
    """What the evidence says at this look, without regard to time or number of requests."""
    last, whole = steps[-1], total(steps)
    if last.is_watch:
        if reaches(last.evidence.errors_bad, ROLL_BACK_ON_WATCH):
            return Verdict.ROLL_BACK, Reason.ERRORS
        return Verdict.WAIT, Reason.UNDECIDED
    if reaches(whole.mismatch, MISMATCH_AT):
        return Verdict.WAIT, Reason.SAMPLE_RATIO
    if reaches(whole.errors_bad, ROLL_BACK_ON_ERRORS):
        return Verdict.ROLL_BACK, Reason.ERRORS
    if reaches(whole.slow_bad, ROLL_BACK_ON_SLOW):
        return Verdict.ROLL_BACK, Reason.SLOW
    if reaches(whole.errors_good, PROMOTE_AT) and (
        whole.slow_good is None or reaches(whole.slow_good, PROMOTE_AT)
    ):
        return Verdict.PROMOTE, Reason.GOOD
    return Verdict.WAIT, Reason.UNDECIDED


def may_climb(steps: tuple[Step, ...]) -> bool:
    """The share test does not object: it sees small harm, inside the margin, sooner than E_bad."""
    return not reaches(total(steps).share, STOP_CLIMBING_AT)


def reaches(log_e: float | None, level: float) -> bool:
    return log_e is not None and log_e >= level


def error_beliefs(k_c: Any, n_c: Any, k_s: Any, n_s: Any) -> Beliefs:
    """What errors of earlier requests let one expect of either arm's."""
    return Beliefs(*_discounted(k_c, n_c), *_discounted(k_s, n_s))


def slow_beliefs(slow_c: Any, timed_c: Any, timed_s: Any) -> Beliefs:
    """Likewise of slow answers. The champion's share of them is known before any is counted."""
    k_c, n_c = _discounted(slow_c, timed_c)
    k_s, n_s = _discounted(_SLOW_SHARE * timed_s, timed_s)
    return Beliefs(k_c, n_c, k_s, n_s)


def _discounted(k: Any, n: Any) -> tuple[Any, Any]:
    import numpy as np

    factor = np.minimum(_TRUST, _TRUSTED_REQUESTS / np.maximum(n, 1))
    return factor * np.minimum(k, n), factor * n


def _judge_watch(counts: Counts, earlier: tuple[Step, ...], plan: RolloutPlan) -> Evidence:
    """After promotion the champion answers nobody: its last step stands in for it.

    A first deployment has none at all: there the errors themselves must stay within the margin.
    """
    c = counts.candidate
    errors = min(c.errors, c.requests)
    seen = [step.counts.champion for step in earlier if step.counts and step.counts.champion.requests]
    if not seen:
        limit = plan.max_error_increase + (0.0 if plan.is_first else _UNSEEN_CHAMPION)
        return Evidence(errors_bad=float(log_e_above(errors, c.requests, limit)))
    s = seen[-1]
    arms = Arms(errors, c.requests, min(s.errors, s.requests), s.requests)
    return Evidence(errors_bad=float(log_e_values(arms, plan.max_error_increase)[0]))
