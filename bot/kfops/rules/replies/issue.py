"""The repository's issue about its retraining: what stands around the evidence of the last one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from kfops.config.cron import following
from kfops.domain.facts import RunFacts, load
from kfops.domain.operation import Operation, Outcome
from kfops.domain.record import RunRecord
from kfops.rules.replies.markdown import cell, code_span, number, table
from kfops.rules.replies.phrases import commit
from kfops.rules.replies.view import View, without_secrets

LABEL = "Kfops-retraining"
SHOWN = 12
_STATES = {"SUCCEEDED": "✅", "FAILED": "❌"}


def title(model: str) -> str:
    return f"Kfops: retraining of {model}"


def marker(model: str) -> str:
    """The hidden line by which the bot finds its own issue again."""
    return f"<!-- kfops retraining={model} -->"


def opening(operation: Operation) -> str:
    schedule, branch = (str(operation.subject.command[name]) for name in ("schedule", "branch"))
    return (
        f"`schedule.retrain: {schedule}` in `kfops.yaml` has {code_span(branch)} built and run again. "
        "The last time is told here, beside what serves in production; nothing is deployed."
    )


def next_line(view: View, facts: RunFacts) -> str:
    """How the retrained model comes into production, in the only way there is; or what to mend."""
    operation = view.operation
    model, branch = str(operation.subject.command["model"]), str(operation.subject.command["branch"])
    match operation.outcome:
        case None:
            return f"`/cancel {operation.id}` in a pull request stops it."
        case Outcome.SUCCEEDED if any(gate.holds is False for gate in facts.gates):
            said = "a gate does not hold, so this model could not be deployed. Look at the data, or mend it in a pull request."
        case Outcome.SUCCEEDED:
            said = (
                f"to have it in production, open a pull request into {code_span(branch)}; without a change it takes "
                f'`git commit --allow-empty -m "Retrain {model}"`. There, `/build_run` trains and `/deploy` '
                "canaries and merges."
            )
        case _:
            said = "mend it in a pull request, where `/build_run` shows whether it helps."
    return f"{said}{_when(view)}"


def _when(view: View) -> str:
    moment = following(str(view.operation.subject.command["schedule"]), view.now)
    return f" The next retraining is due on {day(moment)}." if moment else ""


def day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def history(view: View, earlier: Sequence[RunRecord]) -> str:
    """Those before the present one, newest first."""
    rows = [_row(view, one) for one in earlier if one.operation_id != view.operation.id][:SHOWN]
    head = ("", "ended", "commit", "model version", "primary metric")
    return f"#### Earlier\n\n{table(head, rows, ('left', 'left', 'left', 'right', 'right'))}" if rows else ""


def _row(view: View, one: RunRecord) -> tuple[str, ...]:
    facts = without_secrets(load(RunFacts, one.evidence), view.secrets)
    metrics = dict(facts.comparison.challenger if facts.comparison else facts.reported or {})
    first = next(iter(metrics), None)
    return (
        _STATES.get(one.state, ""),
        day(one.created_at),
        commit(view, one.commit_sha),
        cell(facts.model_version),
        f"{code_span(first)} {number(metrics[first])}" if first else "",
    )
