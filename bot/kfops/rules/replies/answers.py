"""Bodies of the answers that are given at once: what was so at that moment, as Markdown. First lines come later."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from kfops.domain.canary_facts import SignalKind
from kfops.domain.facts import Refusal
from kfops.domain.record import Lock
from kfops.domain.rollout import Rollout
from kfops.rules.replies.canary_details import counted
from kfops.rules.replies.markdown import Section, bounded, cell, code_span, duration, table
from kfops.rules.replies.phrases import link, prose
from kfops.rules.replies.refusal import body as refusal_body
from kfops.rules.rollout import evidence_sentence

_STEERED = {
    SignalKind.PAUSE: "It pauses at its next look: the share stays, nothing is decided.",
    SignalKind.RESUME: "It goes on at its next look.",
    SignalKind.PROMOTE: "It promotes at its next look, once the gates are read again.",
    SignalKind.ABORT: "It goes back at its next look: all traffic to the champion.",
}


@dataclass(frozen=True)
class HelpLine:
    """One command of the catalogue. `why_not` is a sentence for the one who asked; empty where they may."""

    usage: str
    summary: str
    why_not: str = ""
    who: str = ""


@dataclass(frozen=True)
class OperationLine:
    id: int
    command: str
    pull_request: int
    phase: str
    by: str
    since: datetime


@dataclass(frozen=True)
class ServedLine:
    environment: str
    version: str
    digest: str
    url: str = ""
    since: datetime | None = None


@dataclass(frozen=True)
class RetrainingLine:
    """`issue` 0: none was made yet."""

    schedule: str
    next: datetime | None
    issue: int = 0


@dataclass(frozen=True)
class StatusView:
    """`queued` wait for another operation or for a free place."""

    now: datetime
    operations: tuple[OperationLine, ...] = ()
    served: tuple[ServedLine, ...] = ()
    locks: tuple[Lock, ...] = ()
    queued: tuple[OperationLine, ...] = ()
    retraining: RetrainingLine | None = None


@dataclass(frozen=True)
class PlanView:
    """`decision` goes on after a comma ("it would go ahead."). `refusal` None: it would, in `steps`."""

    command: str
    decision: str
    steps: tuple[str, ...] = ()
    refusal: Refusal | None = None


def help_body(lines: Sequence[HelpLine]) -> str:
    """One command stands on each line, at its beginning."""
    may = [(code_span(one.usage), prose(one.summary), cell(one.who)) for one in lines if not one.why_not]
    barred = [(code_span(one.usage), prose(one.why_not), cell(one.who)) for one in lines if one.why_not]
    parts = [table(("command", "what it does", "who"), may)] if may else []
    if barred:
        parts.append(f"#### Not for you here\n\n{table(('command', 'why not', 'who'), barred)}")
    return _with_next(parts, "`/plan COMMAND` says what a command would do · `/status` shows what runs.")


def status_body(view: StatusView) -> str:
    def age(since: datetime | None) -> str:
        return duration(max(0.0, (view.now - since).total_seconds())) if since else "–"

    def moving(lines: Sequence[OperationLine]) -> str:
        rows = [
            (
                str(one.id),
                code_span(one.command),
                f"#{one.pull_request}" if one.pull_request else "–",
                cell(one.phase),
                cell(one.by),
                age(one.since),
            )
            for one in lines
        ]
        return table(("operation", "command", "pull request", "phase", "by", "for"), rows)

    served = [
        (
            cell(one.environment),
            cell(one.version),
            code_span(one.digest[:12]),
            link("endpoint", one.url),
            age(one.since),
        )
        for one in view.served
    ]
    locks = [
        (cell(one.key), cell(one.holder), prose(one.reason), age(one.since), _until(one.until))
        for one in view.locks
    ]
    parts = [
        "#### Serving\n\n"
        + (
            table(("environment", "version", "model", "", "for"), served) if served else "Nothing serves yet."
        ),
        "#### Under way\n\n" + (moving(view.operations) if view.operations else "Nothing."),
    ]
    if view.queued:
        parts.append(f"#### Queued\n\n{moving(view.queued)}")
    if view.locks:
        parts.append(f"#### Locks\n\n{table(('environment', 'held by', 'reason', 'for', 'until'), locks)}")
    if view.retraining:
        parts.append(f"#### Retraining\n\n{_retraining(view.retraining)}")
    first = view.operations[0].id if view.operations else None
    return _with_next(
        parts,
        f"`/cancel {first}` stops operation {first}." if first else "`/help` shows what you may do here.",
    )


def _retraining(one: RetrainingLine) -> str:
    moment = f"{one.next:%Y-%m-%d %H:%M} UTC" if one.next else "never"
    told = f"told in #{one.issue}" if one.issue else "told in an issue then"
    return f"By the schedule {code_span(one.schedule)}; next: {moment}; {told}."


def _until(until: datetime | None) -> str:
    return f"{until:%Y-%m-%d %H:%M} UTC" if until else "unlocked"


def plan_body(view: PlanView) -> str:
    """Nothing was done; the gates are asked again when the command comes."""
    parts = [f"If {code_span(view.command)} came now, {prose(view.decision)}"]
    if view.refusal is not None:
        parts.append(bounded(refusal_body(view.refusal), 20_000))
        return _with_next(
            parts, prose(view.refusal.fix) if view.refusal.fix else "`/help` shows what you may do here."
        )
    parts += ["\n".join(f"{number}. {prose(step)}" for number, step in enumerate(view.steps, 1))]
    return _with_next(parts, f"{code_span(view.command)} does it; the gates are asked again then.")


def cancel_body(operations: Sequence[OperationLine], too_late: Sequence[str] = ()) -> str:
    """`too_late`: sentences about what cannot be stopped any more."""
    lines = [f"- operation {one.id} {code_span(one.command)}, {cell(one.phase)}" for one in operations]
    late = [f"- not stopped: {prose(one)}" for one in too_late]
    return _with_next(
        ["Asked to stop, cleanly:\n\n" + "\n".join([*lines, *late])],
        "each tells its end in its own comment · `/status` shows what is left.",
    )


def canary_body(signal: SignalKind, operation_id: int, environment: str) -> str:
    told = f"Passed on to operation {operation_id}, {cell(environment)}. {_STEERED[signal]}"
    return _with_next([told], "`/canary status` shows where it stands.")


def canary_status_body(operation_id: int, environment: str, rollout: Rollout) -> str:
    told = f"Operation {operation_id}, {cell(environment)}: {rollout.phase.value}, {rollout.weight} % on the candidate."
    evidence = prose(evidence_sentence(rollout)) if rollout.steps else ""
    parts = [told, f"Now: {prose(rollout.sentence)}" if rollout.sentence else "", counted(rollout), evidence]
    return _with_next(parts, "`/canary pause`, `resume`, `promote` or `abort` steers it.")


def lock_body(environment: str, reason: str, until: datetime | None) -> str:
    end = f"until {_until(until)}" if until else "until it is unlocked"
    return _with_next(
        [f"**{cell(environment)} is held** {end}: {prose(reason)}"],
        f"{code_span(f'/unlock {environment}')} lets it go.",
    )


def unlock_body(environment: str, was: Lock | None = None) -> str:
    whose = f" It was held by {cell(was.holder)}: {prose(was.reason)}" if was else ""
    return _with_next([f"**{cell(environment)} is free.**{whose}"], "`/status` shows what serves where.")


def ok_to_test_body(sha: str) -> str:
    return _with_next(
        [f"Commit {code_span(sha)} of this fork may run in the sandbox. It is never deployed."],
        "`/build_run` runs it.",
    )


def _with_next(parts: Sequence[str], text: str) -> str:
    return bounded([*(Section(part) for part in parts), Section(f"**Next:** {text}")])
