"""From counts to e-values, and from e-values to what they allow.

α = 0.05 is the chance, over a whole rollout and all its looks, that a candidate within the bounds is rolled
back. It is split over the tests that can do it: errors, slow answers, and errors since the last watch. Promotion needs every test that has data to agree, so
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
from kfops.rules.verdict.two_arms import log_e_above, log_e_slow_values, log_e_values

ALPHA = 0.05
ROLL_BACK_ON_ERRORS = log(1 / 0.02)
ROLL_BACK_ON_SLOW = log(1 / 0.02)
ROLL_BACK_AFTER_WATCH = log(1 / 0.01)
DOUBT_IN_WATCH = log(1 / ALPHA)
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
# A candidate with a smaller share than this is not slow, whatever the champion has become since T was fixed.
RARELY_SLOW = _SLOW_SHARE / 2


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
    """E_bad and E_good on slow answers."""
    c, s = counts.candidate, counts.champion
    if not (c.timed and s.timed):
        return None, None
    seen = [step.counts for step in earlier if step.counts is not None]
    beliefs = slow_beliefs(
        sum(c.candidate.slow for c in seen),
        sum(c.candidate.timed for c in seen),
        sum(c.champion.timed for c in seen) + (before.requests if before else 0),
    )
    arms = Arms(min(c.slow, c.timed), c.timed, min(s.slow, s.timed), s.timed)
    bad, good = log_e_slow_values(arms, RARELY_SLOW, beliefs)
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


def verdict_of(steps: tuple[Step, ...], *, is_first: bool = False) -> tuple[Verdict, Reason]:
    """What the evidence says at this look, without regard to time or number of requests.

    In a watch ASK means doubt: the champion it is held against answered earlier, perhaps in better times, so a bad
    watch is only a reason to split the traffic again and compare at the same time. Unless there is no champion.
    """
    last, whole = steps[-1], total(steps)
    if last.is_watch:
        if not reaches(last.evidence.errors_bad, DOUBT_IN_WATCH):
            return Verdict.WAIT, Reason.UNDECIDED
        return (Verdict.ROLL_BACK if is_first else Verdict.ASK), Reason.ERRORS
    if reaches(whole.mismatch, MISMATCH_AT):
        return Verdict.WAIT, Reason.SAMPLE_RATIO
    if reaches(whole.errors_bad, ROLL_BACK_ON_ERRORS) or _is_bad_since_watch(steps):
        return Verdict.ROLL_BACK, Reason.ERRORS
    if reaches(whole.slow_bad, ROLL_BACK_ON_SLOW):
        return Verdict.ROLL_BACK, Reason.SLOW
    if reaches(whole.errors_good, PROMOTE_AT) and (
        whole.slow_good is None or reaches(whole.slow_good, PROMOTE_AT)
    ):
        return Verdict.PROMOTE, Reason.GOOD
    return Verdict.WAIT, Reason.UNDECIDED


def watches(steps: tuple[Step, ...]) -> int:
    return sum(step.is_watch for step in steps)


def after_watch_level(number: int) -> float:
    """The level of the test that starts anew after the `number`th watch: 0.01 in all, halved each time."""
    return ROLL_BACK_AFTER_WATCH + number * log(2)


def _is_bad_since_watch(steps: tuple[Step, ...]) -> bool:
    """A candidate that turned bad after good steps need not first use up what these said for it."""
    number = watches(steps)
    if number == 0:
        return False
    since = max(i for i, step in enumerate(steps) if step.is_watch)
    return reaches(total(steps[since:]).errors_bad, after_watch_level(number))


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
