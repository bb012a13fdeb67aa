"""The living comment of a rollout, and of `/rollback`."""

from __future__ import annotations

from kfops.domain.facts import DeployFacts
from kfops.domain.operation import Kind, Outcome
from kfops.domain.rollout import Phase, Rollout
from kfops.rules.replies import canary_details as parts
from kfops.rules.replies.markdown import Section, cell, code_span, duration
from kfops.rules.replies.phrases import (
    alert,
    bullets,
    commit,
    heading,
    link,
    moment,
    prose,
    reason_line,
    why_ended,
)
from kfops.rules.replies.refusal import body as refusal_body
from kfops.rules.replies.view import View
from kfops.rules.rollout import evidence_sentence

_PHASES = {
    Phase.PREPARE: "starting the candidate",
    Phase.CHECK: "checking the candidate",
    Phase.GOLDEN: "scoring held-out rows",
    Phase.SHADOW: "replaying recorded requests",
    Phase.ASK: "waiting for a person",
    Phase.PROMOTE: "promoting",
    Phase.WATCH: "watching at 100 %",
    Phase.MERGE: "merging",
    Phase.FINISH: "putting the old revision away",
    Phase.DONE: "promoted",
    Phase.ABORT: "rolling back",
    Phase.RESTORE: "rolling back",
    Phase.ROLLED_BACK: "rolled back",
}


def sections(view: View, facts: DeployFacts) -> list[Section]:
    rollout = facts.rollout
    found = [Section(heading(view, _state(view, rollout), facts.environment)), Section(_about(view, facts))]
    found += [Section(_news(view, facts))]
    if facts.refusal is not None:
        found += refusal_body(facts.refusal)
    if rollout is not None:
        found += [
            Section(parts.counted(rollout)),
            Section(parts.checks(rollout)),
            parts.chart(rollout),
            parts.timeline(rollout),
        ]
    found.append(Section(_kept(facts, is_deployed=view.operation.outcome is Outcome.SUCCEEDED)))
    if view.operation.outcome not in {None, Outcome.SUCCEEDED}:
        found.append(Section(reason_line(view)))
    return [*found, Section(f"**Next:** {_next(view, facts)}")]


def _state(view: View, rollout: Rollout | None) -> str:
    if view.operation.outcome is Outcome.SUCCEEDED:
        return "restored" if view.operation.kind is Kind.ROLLBACK else "deployed"
    if view.operation.outcome is not None:
        return view.operation.outcome.value.replace("_", " ")
    if rollout is None:
        return "switching back" if view.operation.kind is Kind.ROLLBACK else "getting ready"
    if rollout.paused_at is not None:
        return f"paused at {rollout.weight} %"
    return _PHASES.get(rollout.phase, f"canary at {rollout.weight} %")


def _about(view: View, facts: DeployFacts) -> str:
    found = []
    if facts.model_version:
        found.append(
            f"{cell(facts.model)} version **{cell(facts.model_version)}** {code_span(facts.model_digest[:12])}"
        )
    if facts.champion_version:
        found.append(f"before: version {cell(facts.champion_version)}")
    if facts.run_operation_id:
        found.append(f"run {facts.run_operation_id}")
    found.append(link("endpoint", facts.url))
    if facts.began_at:
        took = ((facts.ended_at or view.now) - facts.began_at).total_seconds()
        found.append(f"{'took' if view.is_over else 'under way for'} {duration(took)}")
    return " · ".join(one for one in found if one)


def _news(view: View, facts: DeployFacts) -> str:
    rollout = facts.rollout
    match view.operation.outcome:
        case Outcome.SUCCEEDED:
            return alert("TIP", _deployed(view, facts), prose(rollout.verdict_sentence) if rollout else "")
        case Outcome.ROLLED_BACK:
            why = prose(rollout.verdict_sentence or rollout.sentence) if rollout else why_ended(view)
            return alert("CAUTION", why, *(parts.way_back(facts, rollout) if rollout else ()))
        case None if rollout is None:
            return f"Reason: {prose(facts.reason)}" if facts.reason else ""
        case None:
            return _moving(rollout)
        case _ if facts.refusal is not None:
            return ""
        case _:
            return alert("WARNING", why_ended(view), *(parts.way_back(facts, rollout) if rollout else ()))


def _deployed(view: View, facts: DeployFacts) -> str:
    if view.operation.kind is Kind.ROLLBACK:
        why = f" Reason: {prose(facts.reason)}" if facts.reason else ""
        return f"**{cell(facts.environment)} serves version {cell(facts.model_version)} again.**{why}"
    sha = facts.merge_sha or (facts.rollout.merge_sha if facts.rollout else None) or ""
    merged = f", merged as {commit(view, sha)}" if sha else ""
    return f"**Deployed to {cell(facts.environment)}{merged}.**"


def _moving(rollout: Rollout | None) -> str:
    if rollout is None:
        return ""
    lines = [
        f"**{_PHASES.get(rollout.phase, f'Canary at {rollout.weight} %').capitalize()}.** {prose(rollout.sentence)}"
    ]
    if rollout.paused_at is not None:
        by = f" by {cell(rollout.paused_by)}" if rollout.paused_by else ""
        lines.append(f"⏸️ Paused{by} at {moment(rollout.paused_at)} UTC.")
    if rollout.phase is Phase.ASK:
        patience = duration(rollout.plan.ask_timeout.total_seconds())
        lines.append(f"Without an answer within {patience} the champion keeps all traffic.")
    if rollout.steps and rollout.steps[-1].counts is not None:
        lines.append(prose(evidence_sentence(rollout)))
    return "\n\n".join(lines)


def _kept(facts: DeployFacts, *, is_deployed: bool) -> str:
    found = list(facts.notes)
    if facts.forced:
        found.append(
            f"Forced past: {', '.join(f'`{gate}`' for gate in facts.forced)}. Reason: {facts.reason}"
        )
    text = bullets(tuple(found))
    if not (facts.label and is_deployed):
        return text
    taken = ", ".join(f"#{number}" for number in facts.label_taken_from)
    label = f"- Label {code_span(facts.label)}" + (f", taken from {taken}" if taken else "")
    return f"{text}\n{label}".strip()


def _next(view: View, facts: DeployFacts) -> str:
    rollout, name = facts.rollout, code_span(f'/rollback {facts.environment} --reason "…"')
    match view.operation.outcome:
        case Outcome.SUCCEEDED:
            where = " on an open pull request" if facts.merge_sha else ""
            return f"{name}{where} takes it back · `/status` shows what serves where."
        case Outcome.ROLLED_BACK:
            return "push a commit that mends it, then `/build_run` and deploy again."
        case None if rollout is None:
            return "`/cancel` stops it."
        case None if rollout is not None and rollout.phase in {Phase.ABORT, Phase.RESTORE, Phase.FINISH}:
            return "nothing; this comment changes when it has ended."
        case None if rollout is not None and rollout.phase is Phase.ASK:
            return "`/canary promote` puts the candidate into service · `/canary abort` takes it away."
        case None if rollout is not None and rollout.paused_at is not None:
            return "`/canary resume` goes on · `/canary abort` takes the candidate away."
        case None:
            return "`/canary pause` holds the share · `/canary promote` decides now · `/canary abort` takes it back."
        case _ if facts.refusal is not None and facts.refusal.fix.strip():
            return prose(facts.refusal.fix)
        case _:
            return f"{code_span(f'/{view.operation.kind.value}')} starts anew · `/status` shows what serves where."
