"""One layout for every refusal: the rule, what was found, what was expected, and a line that mends it."""

from __future__ import annotations

from kfops.domain.facts import Refusal
from kfops.domain.operation import Outcome
from kfops.rules.replies.markdown import Section, code_span
from kfops.rules.replies.phrases import alert, heading, prose, reason_line
from kfops.rules.replies.view import View

_STATES = {
    Outcome.REFUSED: "refused",
    Outcome.FAILED: "failed",
    Outcome.SUPERSEDED: "stopped: a push came in between",
    Outcome.CANCELED: "canceled",
    Outcome.SKIPPED: "skipped",
    Outcome.ROLLED_BACK: "rolled back",
}


def sections(view: View, refusal: Refusal, place: str = "") -> list[Section]:
    outcome = view.operation.outcome
    state = _STATES.get(outcome, "refused") if outcome else "refused"
    return [
        Section(heading(view, state, place)),
        *body(refusal),
        Section(reason_line(view)),
        Section(_next(refusal)),
    ]


def body(refusal: Refusal) -> list[Section]:
    """Without first and last line: `/plan` shows it too."""
    lines = [
        f"**{name}:** {prose(text)}"
        for name, text in (("Found", refusal.found), ("Expected", refusal.expected))
        if text.strip()
    ]
    found = [Section(alert("CAUTION", prose(refusal.sentence), f"Rule: {code_span(refusal.code)}"))]
    if lines:
        found.append(Section("  \n".join(lines)))
    if refusal.detail.strip():
        found.append(Section(refusal.detail, summary="Details", language="text", is_open=True))
    return found


def _next(refusal: Refusal) -> str:
    return (
        f"**Next:** {prose(refusal.fix)}"
        if refusal.fix.strip()
        else "**Next:** `/help` shows what you may do here."
    )
