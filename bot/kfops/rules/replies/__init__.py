"""The reply of an operation, as Markdown: a pure function of what is known, so a restart writes the same text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from kfops.domain.facts import AnswerFacts, DeployFacts, RunFacts
from kfops.domain.operation import Outcome
from kfops.domain.record import RunRecord
from kfops.rules.replies import canary, issue, refusal, run
from kfops.rules.replies.markdown import Section, bounded
from kfops.rules.replies.phrases import heading, marker, reason_line, why_ended
from kfops.rules.replies.view import View, masked

__all__ = ["View", "marker", "render", "render_issue"]


def render(view: View) -> str:
    """At most 60,000 characters. The marker comes first, where no cut reaches it."""
    view = masked(view)
    return bounded([Section(marker(view.operation.id)), *_sections(view)])


def render_issue(view: View, model: str, earlier: Sequence[RunRecord]) -> str:
    """The body of the issue about a model's retraining: the reply of the last one, and what came before it."""
    view = masked(view)
    marks = Section(f"{issue.marker(model)}\n{marker(view.operation.id)}")
    parts = [marks, Section(issue.opening(view.operation)), *_sections(view)]
    return bounded([*parts, Section(issue.history(view, earlier))])


def _sections(view: View) -> list[Section]:
    match view.facts:
        case RunFacts() as facts:
            where = facts.model
            found = run.sections(view, facts) if facts.refusal is None else []
        case DeployFacts() as facts:
            where = facts.environment
            is_bare = facts.refusal is None or facts.rollout is not None
            found = canary.sections(view, facts) if is_bare else []
        case AnswerFacts() as facts:
            where = ""
            found = _answer(view, facts) if facts.refusal is None else []
        case _:
            assert_never(view.facts)
    if found or facts.refusal is None:
        return found
    return refusal.sections(view, facts.refusal, where)


def _answer(view: View, facts: AnswerFacts) -> list[Section]:
    if view.is_over and view.operation.outcome is not Outcome.SUCCEEDED and not facts.body:
        state = str(view.operation.outcome)
        return [
            Section(heading(view, state)),
            Section(why_ended(view)),
            Section(reason_line(view)),
            Section("**Next:** `/help` shows what you may do here."),
        ]
    return [Section(heading(view, "answered" if view.is_over else "under way")), Section(facts.body)]
