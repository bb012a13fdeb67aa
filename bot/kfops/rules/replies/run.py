"""The living comment of `/build`, `/run` and `/build_run`."""

from __future__ import annotations

from kfops.domain.facts import RunFacts
from kfops.domain.operation import Kind, Outcome
from kfops.domain.package import CompileFailure
from kfops.domain.run import ENDED, Failure
from kfops.rules.replies import issue
from kfops.rules.replies import run_details as parts
from kfops.rules.replies.markdown import Section, cell, duration, tail
from kfops.rules.replies.phrases import (
    alert,
    bullets,
    heading,
    link,
    place,
    prose,
    reason_line,
    why_ended,
)
from kfops.rules.replies.view import View

_PHASES = {
    "source": "fetching the commit",
    "environment": "preparing its environment",
    "compile": "compiling",
    "install": "installing what the steps want",
    "submit": "queued",
    "follow": "running",
    "canceling": "canceling",
    "record": "recording the model",
    "compare": "comparing with production",
}


def sections(view: View, facts: RunFacts) -> list[Section]:
    found = [Section(heading(view, _state(view, facts), facts.model)), Section(_links(view, facts))]
    found += _news(view, facts)
    found += [
        Section(parts.metrics(view, facts)),
        Section(parts.gates(facts)),
        Section(parts.warnings(facts)),
        parts.drift(facts),
        Section(parts.steps(facts)),
        parts.parameters(facts),
        parts.curve(facts),
        Section(bullets(facts.notes)),
    ]
    if view.operation.outcome not in {None, Outcome.SUCCEEDED}:
        found.append(Section(reason_line(view)))
    return [*found, Section(f"**Next:** {_next(view, facts)}")]


def _state(view: View, facts: RunFacts) -> str:
    match view.operation.outcome:
        case None:
            return _PHASES.get(view.operation.phase, "under way")
        case Outcome.FAILED if facts.status and facts.status.failure and facts.status.failure.step:
            return f"failed in {cell(facts.status.failure.step)}"
        case Outcome.FAILED if facts.compile_failure:
            return "failed: the pipeline does not compile"
        case outcome:
            return outcome.value.replace("_", " ")


def _links(view: View, facts: RunFacts) -> str:
    pages = [one for one in ((facts.status.link if facts.status else "") or "", facts.run_link or "") if one]
    # The engine's own page first, where it has one; on one machine only the tracking server has pages.
    found = [link(name, page) for name, page in zip(("pipeline run", "tracked run"), pages, strict=False)]
    if facts.model_version:
        shown = f"model version {cell(facts.model_version)}"
        found.append(link(shown, facts.model_link) or shown)
    if facts.began_at:
        until = facts.ended_at or view.now
        word = "took" if view.is_over else "under way for"
        found.append(f"{word} {duration((until - facts.began_at).total_seconds())}")
    return " · ".join(one for one in found if one)


def _news(view: View, facts: RunFacts) -> list[Section]:
    """What a reader wants first: how far it is, or why it ended."""
    failure = facts.status.failure if facts.status else None
    match view.operation.outcome:
        case None:
            return [Section(parts.progress(facts)) if facts.status else Section("")]
        case Outcome.SUCCEEDED:
            return [Section(parts.summary(view, facts))]
        case Outcome.FAILED if facts.compile_failure:
            return _uncompiled(view, facts.compile_failure)
        case Outcome.FAILED if failure:
            return _failed(view, failure)
        case Outcome.FAILED if facts.scoring_failure:
            scoring = facts.scoring_failure
            return [
                Section(alert("CAUTION", f"The model could not be scored: {prose(scoring.summary)}")),
                Section(
                    tail(scoring.log_tail), summary="What the scoring wrote", language="text", is_open=True
                ),
            ]
        case Outcome.FAILED:
            return [Section(alert("CAUTION", why_ended(view)))]
        case _:
            return [Section(alert("NOTE", why_ended(view)))]


def _uncompiled(view: View, failure: CompileFailure) -> list[Section]:
    where = f"At {place(view, failure.path, failure.line)}" if failure.path else ""
    return [
        Section(alert("CAUTION", prose(failure.summary), where)),
        Section(failure.code, summary="The line", language="python", is_open=True),
        Section(tail(failure.log_tail), summary="What the pipeline file wrote", language="text"),
    ]


def _failed(view: View, failure: Failure) -> list[Section]:
    step = f"Step **{cell(failure.step)}** failed: " if failure.step else ""
    where = f"At {place(view, failure.path, failure.line)}" if failure.path else ""
    named = f"Last lines of {failure.step}" if failure.step else "Last lines"
    return [
        Section(alert("CAUTION", f"{step}{prose(failure.summary)}", where)),
        Section(tail(failure.log_tail), summary=named, language="text", is_open=True),
    ]


def _next(view: View, facts: RunFacts) -> str:
    if view.operation.kind is Kind.RETRAIN:
        return issue.next_line(view, facts)
    again = f"`/{view.operation.kind.value}`"
    match view.operation.outcome:
        case None:
            is_ending = view.operation.phase == "canceling" or (facts.status and facts.status.state in ENDED)
            return "nothing; this comment changes when it has ended." if is_ending else "`/cancel` stops it."
        case Outcome.SUCCEEDED:
            return _after_success(view, facts)
        case Outcome.FAILED:
            failure = facts.compile_failure or (facts.status.failure if facts.status else None)
            hint = f"{prose(failure.hint)} " if failure and failure.hint.strip() else ""
            return f"{hint}Push a commit that mends it, then {again}."
        case _:
            return f"{again} starts anew."


def _after_success(view: View, facts: RunFacts) -> str:
    if view.operation.kind is Kind.BUILD:
        return "`/run` runs this package."
    if not facts.is_adopted:
        return "merge `kfops.yaml` into the default branch; deploying waits for it."
    if any(gate.holds is False for gate in facts.gates):
        return "improve the model and `/build_run` again; `/deploy` is refused while a gate does not hold."
    return "`/deploy` canaries this model into production and merges · `/staging_deploy` tries it in staging."
