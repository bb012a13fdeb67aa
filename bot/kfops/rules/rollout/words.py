"""The evidence in one sentence with its numbers."""

from __future__ import annotations

from math import exp

from kfops.domain.canary_facts import ArmCounts, Failure, FailureKind, ReplayResult
from kfops.domain.rollout import Reason, Rollout
from kfops.rules.verdict import add, total

Numbers = tuple[tuple[str, float], ...]


def evidence_sentence(rollout: Rollout) -> str:
    """What was counted over all steps (in a watch: since all traffic is on the candidate), and what it says."""
    if not rollout.steps or rollout.steps[-1].counts is None:
        return "Nothing could be counted."
    candidate, champion = _arms(rollout)
    reason = rollout.steps[-1].reason
    errors = f"{candidate.errors} of {candidate.requests} answers of the candidate were errors"
    against = f", {champion.errors} of {champion.requests} of the champion's"
    allowed = f"allowed: +{100 * rollout.plan.max_error_increase:.3g} percentage points"
    numbers = dict(evidence_numbers(rollout))
    if reason is Reason.SLOW:
        bound = rollout.steps[-1].slow_after_ms or 0.0
        return (
            f"{candidate.slow} of {candidate.timed} answers of the candidate were slower than "
            f"{rollout.plan.max_latency_ratio:.3g} times the champion's p95 ({bound:.4g} ms), {champion.slow} of "
            f"{champion.timed} of the champion's slower than that p95 (e-value {numbers['e_slow_bad']:.3g})."
        )
    if reason is Reason.SAMPLE_RATIO:
        n = candidate.requests + champion.requests
        return f"The candidate got {candidate.requests} of {n} requests, which does not fit its share of {rollout.weight} %."
    which = "e_errors_good" if reason is Reason.GOOD else "e_errors_bad"
    slow = ""
    if candidate.timed and champion.timed:
        slow = f" {candidate.slow} of {candidate.timed} were slow, {champion.slow} of {champion.timed} of the champion's."
    return f"{errors}{against} ({allowed}; e-value {numbers.get(which, 1.0):.3g}).{slow}"


def evidence_numbers(rollout: Rollout) -> Numbers:
    """The numbers behind the sentence, by name: counts of both arms, p95 in ms, and e-values."""
    if not rollout.steps or rollout.steps[-1].counts is None:
        return ()
    candidate, champion = _arms(rollout)
    whole = rollout.steps[-1].evidence if rollout.steps[-1].is_watch else total(rollout.steps)
    found: dict[str, float | None] = {
        "candidate_requests": candidate.requests,
        "candidate_errors": candidate.errors,
        "candidate_p95_ms": candidate.p95_ms,
        "champion_requests": champion.requests,
        "champion_errors": champion.errors,
        "champion_p95_ms": champion.p95_ms,
        "e_errors_bad": e_value(whole.errors_bad),
        "e_errors_good": e_value(whole.errors_good),
        "e_slow_bad": e_value(whole.slow_bad),
        "e_slow_good": e_value(whole.slow_good),
        "e_share": e_value(whole.share),
    }
    return tuple((name, float(value)) for name, value in found.items() if value is not None)


def e_value(log_e: float | None) -> float | None:
    """E itself, no larger than what still prints and stores as a number."""
    return None if log_e is None else exp(min(log_e, 690.0))


def replay_sentence(replay: ReplayResult) -> str:
    if replay.pairs == 0:
        return "Nothing was there to replay."
    share = 100 * replay.disagreements / replay.pairs
    told = f"Replayed {replay.pairs} requests to both: {share:.3g} % of the answers differ"
    failed = (
        f", {replay.candidate_errors} of the candidate's failed, {replay.champion_errors} of the champion's"
    )
    labels = ""
    if replay.labelled:
        labels = (
            f"; of {replay.labelled} with labels only the candidate was wrong in {replay.candidate_wrong}, "
            f"only the champion in {replay.champion_wrong}"
        )
    return f"{told}{failed}{labels}."


def failure_sentence(failure: Failure) -> str:
    """What became of a candidate that does not serve, and its last words."""
    return f"{_FAILED[failure.kind]}. {failure.message}".strip()


_FAILED = {
    FailureKind.DOES_NOT_START: "The candidate does not start",
    FailureKind.DIED: "The candidate started, served and then died",
    FailureKind.OUT_OF_MEMORY: "The candidate ran out of memory",
    FailureKind.NEVER_READY: "The candidate started and never got ready",
    FailureKind.IMAGE_PULL: "The candidate's image cannot be pulled",
    FailureKind.QUOTA: "The candidate does not fit into the quota",
}


def _arms(rollout: Rollout) -> tuple[ArmCounts, ArmCounts]:
    candidate, champion = ArmCounts(), ArmCounts()
    in_watch = rollout.steps[-1].is_watch
    for step in rollout.steps:
        if step.counts is None:
            continue
        champion = add(champion, step.counts.champion)
        if step.is_watch or not in_watch:
            candidate = add(candidate, step.counts.candidate)
    return candidate, champion
