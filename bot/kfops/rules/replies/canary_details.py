"""Tables and charts of a rollout: what each share showed, the checks before users, the way back, the history."""

from __future__ import annotations

from collections.abc import Iterable

from kfops.domain.canary_facts import ArmCounts, CheckResult, ReplayResult
from kfops.domain.facts import DeployFacts
from kfops.domain.rollout import Evidence, Rollout, Step, Verdict
from kfops.rules.replies.markdown import Section, cell, code_span, duration, mermaid_line, number, table
from kfops.rules.replies.phrases import moment, prose
from kfops.rules.rollout import e_value

_VERDICTS = {
    Verdict.PROMOTE: "🟢 good",
    Verdict.ROLL_BACK: "🔴 roll back",
    Verdict.WAIT: "⏳ open",
    Verdict.ASK: "🟡 ask",
}
_MOST_EVENTS = 200


def counted(rollout: Rollout) -> str:
    if not rollout.steps:
        return ""
    head = ("share", "time", "requests", "errors", "p95", "e-value against", "e-value for", "verdict")
    align = ("left", "right", "right", "right", "right", "right", "right", "left")
    shown = table(head, [_step(one) for one in rollout.steps], align)
    return f"{shown}\n\n<sub>Each pair is candidate / champion. An e-value above 1 speaks for its column; steps multiply.</sub>"


def _step(step: Step) -> tuple[str, ...]:
    share = "100 % (watch)" if step.is_watch else f"{step.share} %"
    took = duration((step.ended - step.began).total_seconds()) if step.ended else "now"
    word = f"{_VERDICTS[step.verdict]} {code_span(step.reason.value)}"
    if step.counts is None:
        return (share, took, "–", "–", "–", "–", "–", word)
    new, old = step.counts.candidate, step.counts.champion
    return (
        share,
        took,
        f"{number(new.requests)} / {number(old.requests)}",
        f"{number(new.errors)} / {number(old.errors)}",
        f"{_ms(new)} / {_ms(old)}",
        number(_against(step.evidence), 3),
        number(_for(step.evidence), 3),
        word,
    )


def _ms(arm: ArmCounts) -> str:
    return "–" if arm.p95_ms is None else f"{number(arm.p95_ms, 3)} ms"


def _against(evidence: Evidence) -> float | None:
    """The strongest sign of harm: one test is enough to take a candidate back."""
    return max(_known(evidence.errors_bad, evidence.slow_bad), default=None)


def _for(evidence: Evidence) -> float | None:
    """The weakest sign of health: all tests must agree to promote."""
    return min(_known(evidence.errors_good, evidence.slow_good), default=None)


def _known(*logs: float | None) -> Iterable[float]:
    return [value for log in logs if (value := e_value(log)) is not None]


def checks(rollout: Rollout) -> str:
    found = []
    if rollout.check is not None:
        found.append(f"- Sample request: {_checked(rollout.check)}")
    golden = rollout.golden
    if golden is not None and golden.rows:
        sign = "❌ worse" if golden.is_worse else "✅"
        beside = f", production {number(golden.champion)}" if golden.champion is not None else ""
        found.append(
            f"- {number(golden.rows)} held-out rows: {sign} {cell(golden.metric or 'score')} "
            f"{number(golden.candidate)}{beside}"
        )
    elif golden is not None:
        found.append(f"- Held-out rows: {prose(golden.message)}")
    if rollout.replay is not None and rollout.replay.pairs:
        found.append(f"- {_replayed(rollout.replay)}")
    return "\n".join(found)


def _checked(check: CheckResult) -> str:
    took = f" in {number(check.latency_ms, 3)} ms" if check.latency_ms is not None else ""
    if check.fault is not None:
        return f"❌ {code_span(check.fault.value)} {prose(check.message)}{took}"
    same = f", {number(check.compared)} answers as in training" if check.compared else ""
    note = f" {prose(check.message)}" if check.message else ""
    return f"✅{took}{same}{note}"


def _replayed(replay: ReplayResult) -> str:
    """How often, by how much, and where the answers differ: effect sizes, no verdict."""
    told = [
        f"{number(replay.pairs)} requests replayed: {number(replay.disagreements)} answers differ",
        f"errors {number(replay.candidate_errors)} / {number(replay.champion_errors)}",
    ]
    if replay.shift is not None:
        told.append(f"mean score {replay.shift:+.3g}")
    if replay.psi is not None:
        told.append(f"PSI {number(replay.psi, 3)}")
    where = [
        f"{code_span(f'{one.column} = {one.value}')} {number(one.disagreements)} of {number(one.rows)}"
        + (f" ({one.shift:+.3g})" if one.shift is not None else "")
        for one in replay.slices
    ]
    return ", ".join(told) + (f". Most in {', '.join(where)}" if where else "")


def chart(rollout: Rollout) -> Section:
    """Error rates of both arms, step by step."""
    seen = [(one, one.counts) for one in rollout.steps if one.counts is not None]
    drawn = mermaid_line(
        "errors in per cent: candidate and champion",
        [
            f"{number} watch" if one.is_watch else f"{number} at {one.share} %"
            for number, (one, _) in enumerate(seen, 1)
        ],
        [_rate(counts.candidate) for _, counts in seen],
        [_rate(counts.champion) for _, counts in seen],
        x_label="step",
        y_label="errors in %",
    )
    return Section(drawn, summary="Error rates by step")


def _rate(arm: ArmCounts) -> float:
    return 100 * arm.errors / arm.requests if arm.requests else 0.0


def timeline(rollout: Rollout) -> Section:
    rows = [
        (moment(one.at), one.phase.value, prose(one.sentence)) for one in rollout.timeline[-_MOST_EVENTS:]
    ]
    body = table(("UTC", "phase", "what happened"), rows) if rows else ""
    return Section(body, summary="History")


def way_back(facts: DeployFacts, rollout: Rollout) -> tuple[str, ...]:
    """The revision restored, and the time from the first bad answer to the last request: the promise to users."""
    back = rollout.rollback
    if back is None:
        return ()
    if rollout.plan.is_first:
        restored = "Nothing served here before; the candidate is gone."
    else:
        restored = (
            f"Restored: version **{cell(facts.champion_version)}** {code_span(facts.champion_digest[:12])} "
            "has all traffic."
            if back.still_at is not None or back.shown_at is not None
            else "The champion's traffic is not confirmed yet."
        )
    if not back.was_exposed:
        return (restored, "No user reached the candidate.")
    if back.last_request_at is None:
        return (restored,)
    since = back.first_bad_at or back.wished_at
    word = "after its first bad answer" if back.first_bad_at else "after the decision"
    took = duration(max(0.0, (back.last_request_at - since).total_seconds()))
    return (
        restored,
        f"The candidate's last request came at {moment(back.last_request_at)} UTC, {took} {word}.",
    )
