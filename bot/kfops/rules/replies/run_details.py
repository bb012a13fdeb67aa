"""Tables and charts of a run: evidence beside production, parameters, steps, the learning curve."""

from __future__ import annotations

from kfops.domain.evidence import MetricRow, Word
from kfops.domain.facts import ParameterFact, RunFacts
from kfops.domain.operation import Kind
from kfops.domain.run import RunState
from kfops.rules.replies.markdown import (
    Section,
    bar,
    cell,
    code_span,
    duration,
    mermaid_line,
    number,
    table,
)
from kfops.rules.replies.phrases import alert, prose
from kfops.rules.replies.view import View

_STATES = {
    RunState.PENDING: "⏳",
    RunState.RUNNING: "🔄",
    RunState.SUCCEEDED: "✅",
    RunState.SKIPPED: "⏭️",
    RunState.FAILED: "❌",
    RunState.CANCELING: "🚫",
    RunState.CANCELED: "🚫",
    RunState.PAUSED: "⏸️",
}
_WORDS = {
    Word.BETTER: "🟢 better",
    Word.WORSE: "🔴 worse",
    Word.WITHIN_NOISE: "⚪ within noise",
    Word.NOT_COMPARABLE: "not comparable",
}


def summary(view: View, facts: RunFacts) -> str:
    if view.operation.kind is Kind.BUILD:
        steps = f"{len(facts.steps)} {'step' if len(facts.steps) == 1 else 'steps'}"
        return alert("TIP", f"Package {code_span(facts.package_digest[:12])} with {steps} is recorded.")
    broken = sum(gate.holds is False for gate in facts.gates)
    rows = facts.comparison.rows if facts.comparison else ()
    words = [
        f"{count} {shown}"
        for word, shown in (
            (Word.BETTER, "better"),
            (Word.WITHIN_NOISE, "within noise"),
            (Word.WORSE, "worse"),
        )
        if (count := sum(row.word is word for row in rows))
    ]
    beside = (
        f"Metrics beside production: {', '.join(words)}."
        if words
        else "Nothing in production to compare with."
    )
    if facts.comparison and facts.comparison.reason:
        beside = f"Not compared with production: {prose(facts.comparison.reason)}"
    held = "Every gate holds." if facts.gates and not broken else ""
    return alert(
        "WARNING" if broken else "TIP",
        beside,
        f"{broken} of {len(facts.gates)} gates do not hold." if broken else held,
    )


def progress(facts: RunFacts) -> str:
    now = facts.status.progress if facts.status else None
    if now is None:
        return ""
    found = [f"**{cell(now.step)}**"]
    share = _share(now.elapsed_s, now.budget_s) or _share(now.trials, now.max_trials)
    if share is not None:
        found.append(f"{bar(share)} {min(1.0, share):.0%}")
    if now.budget_s and now.elapsed_s is not None:
        found.append(f"{duration(max(0.0, now.budget_s - now.elapsed_s))} of {duration(now.budget_s)} left")
    if now.trials is not None:
        of = f" of {number(now.max_trials)}" if now.max_trials else ""
        found.append(f"trial {number(now.trials)}{of}")
    if now.learner:
        found.append(f"best learner {code_span(now.learner)}")
    if now.best is not None:
        found.append(f"best {cell(now.metric or 'score')} **{number(now.best)}**")
    if now.stage:
        found.append(cell(now.stage))
    return " · ".join(found)


def _share(part: float | None, whole: float | None) -> float | None:
    return part / whole if part is not None and whole else None


def metrics(view: View, facts: RunFacts) -> str:
    comparison = facts.comparison
    if comparison is None:
        rows = [(code_span(name), f"**{number(value)}**") for name, value in (facts.reported or {}).items()]
        told = table(("metric", "reported by the pipeline"), rows, ("left", "right"))
        return f"#### Metrics\n\n{told}" if rows else ""
    label = f"production {cell(facts.champion_version)}" if facts.champion_version else "production"
    mine = "retrained" if view.operation.kind is Kind.RETRAIN else "this PR"
    head = ("metric", mine, label, f"Δ [{100 * comparison.level:.4g} % interval]", "")
    shown = table(
        head, [_metric(row) for row in comparison.rows], ("left", "right", "right", "right", "left")
    )
    data = f", data {code_span(facts.data_digest[:12])}" if facts.data_digest else ""
    tried = (
        f" Run {facts.commit_attempts} of this commit: the interval allows for it."
        if facts.commit_attempts > 1
        else ""
    )
    whom = "Both models were" if comparison.champion else "The model was"
    return (
        f"#### Metrics\n\n{shown}\n\n"
        f"<sub>{whom} scored on the same {number(comparison.heldout_rows)} held-out rows{data}.{tried}</sub>"
    )


def _metric(row: MetricRow) -> tuple[str, ...]:
    delta = _signed(row.delta)
    if row.low is not None and row.high is not None:
        delta = f"{delta} [{_signed(row.low)}, {_signed(row.high)}]"
    word = _WORDS[row.word] if row.word else "new"
    said = f"{word}: {prose(row.reason)}" if row.reason else word
    return (code_span(row.name), f"**{number(row.challenger)}**", number(row.champion), delta, said)


def _signed(value: float | None) -> str:
    return f"{'+' if value is not None and value > 0 else ''}{number(value)}"


def gates(facts: RunFacts) -> str:
    """Each gate's own text says whether it holds, with its numbers."""
    marks = {True: "✅", False: "❌", None: "–"}
    rows = [(marks[gate.holds], code_span(gate.text)) for gate in facts.gates]
    return f"#### Gates\n\n{table(('', 'gate'), rows)}" if rows else ""


def warnings(facts: RunFacts) -> str:
    found = [prose(one) for one in (facts.comparison.warnings if facts.comparison else ())]
    if facts.comparison and facts.comparison.overlap:
        found.append(
            f"{number(facts.comparison.overlap)} held-out rows were among the champion's training rows."
        )
    if facts.rules_edited:
        names = ", ".join(code_span(name) for name in facts.rules_edited)
        found.append(
            f"This pull request edits rules of `kfops.yaml` ({names}); they count once it is merged."
        )
    if not facts.is_adopted and facts.model:
        found.append(
            "There is no `kfops.yaml` on the default branch yet: the defaults hold, deploying waits for the merge."
        )
    return alert("WARNING", *(f"- {one}" for one in found)) if found else ""


def drift(facts: RunFacts) -> Section:
    """Where this run's data are unlike those of production's model; nothing when they are alike."""
    found = facts.drift
    if found is None or not found.columns:
        return Section("")
    rows = [
        (
            code_span(one.name),
            cell(one.what),
            code_span(one.then),
            code_span(one.now),
            number(one.effect, 2) if one.effect is not None else "",
        )
        for one in found.columns
    ]
    head = ("column", "", "production's data", "this run's", "effect")
    body = table(head, rows, ("left", "left", "right", "right", "right"))
    told = f"{number(found.rows)} rows, production's model had {number(found.champion_rows)}"
    return Section(body, summary=f"Data drift: {told}", is_open=True)


def steps(facts: RunFacts) -> str:
    seen = facts.status.steps if facts.status else ()
    rows = [
        (
            _STATES[one.state],
            cell(one.name),
            duration(one.seconds) if one.seconds is not None else "",
            prose(one.note),
        )
        for one in seen
    ] or [(_STATES[RunState.PENDING], cell(name), "", "") for name in facts.steps]
    return (
        f"#### Steps\n\n{table(('', 'step', 'time', 'note'), rows, ('left', 'left', 'right', 'left'))}"
        if rows
        else ""
    )


def is_changed(one: ParameterFact) -> bool:
    return one.is_overridden or one.value != one.default or one.champion not in {None, one.value}


def parameters(facts: RunFacts) -> Section:
    """The changed ones first: against the default, or against what production was trained with."""
    changed = sum(map(is_changed, facts.parameters))
    rows = [
        (
            code_span(one.name),
            f"**{code_span(one.value)}**" if is_changed(one) else code_span(one.value),
            code_span(one.default),
            code_span(one.champion or ""),
        )
        for one in sorted(facts.parameters, key=lambda one: not is_changed(one))
    ]
    body = table(("parameter", "value", "default", "production"), rows) if rows else ""
    return Section(body, summary=f"Parameters ({len(rows)}, {changed} changed)", is_open=changed > 0)


def curve(facts: RunFacts) -> Section:
    status = facts.status
    points = status.curve if status else ()
    metric = (status.progress.metric if status and status.progress else None) or "score"
    chart = mermaid_line(
        f"best {metric} while training",
        [point.elapsed_s for point in points],
        [point.best for point in points],
        x_label="seconds",
        y_label=metric,
    )
    return Section(chart, summary="Learning curve")
