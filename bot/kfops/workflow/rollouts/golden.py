"""The golden set: held-out rows through the candidate as it serves, beside the champion, held against the gates."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from kfops.config.gate_result import evaluate
from kfops.config.meaning import Rules
from kfops.domain.canary_facts import GoldenResult, Unknown
from kfops.domain.environment import EnvironmentKey
from kfops.domain.evidence import Comparison, ScoringFailure
from kfops.domain.facts import DeployFacts, Refusal, RunFacts, load
from kfops.domain.golden import Answers, Questions
from kfops.domain.model_version import Alias, ModelVersion
from kfops.domain.rollout import Rollout
from kfops.ports.errors import Unavailable
from kfops.ports.scoring import Heldout
from kfops.ports.serving import ArmName
from kfops.workflow.context import Context
from kfops.workflow.gathering import rules_when_asked
from kfops.workflow.rollouts.asking import Fault, until_fault
from kfops.workflow.rollouts.heldout import heldout, questions
from kfops.workflow.runs.evidence import model_of

_SAME = 1e-6  # of a metric that was computed twice from the same answers


def golden(
    context: Context, place: EnvironmentKey, facts: DeployFacts, rollout: Rollout
) -> GoldenResult | Unknown:
    records = context.ports.ledger.runs(context.operation.subject.repository_id)
    record = next((one for one in records if one.operation_id == facts.run_operation_id), None)
    if record is None:
        return Unknown("the run's evidence is not in the ledger")
    evidence = load(RunFacts, record.evidence)
    try:
        champion = context.ports.models.by_alias(facts.model, Alias.CHAMPION)
        held = heldout(context, facts, champion)
        asked = held if isinstance(held, str) else questions(context, held)
        if isinstance(held, str) or isinstance(asked, str):
            return as_in_the_run(evidence, facts, str(asked))
        limit = rollout.plan.check_timeout.total_seconds()
        return _served(_Rung(context, place, facts, evidence, held, asked, limit), champion)
    except Unavailable as error:
        return Unknown(str(error))


def as_in_the_run(evidence: RunFacts, facts: DeployFacts, why: str) -> GoldenResult:
    """Where the rows cannot be had again, the run's own comparison has to do."""
    broken = [one.text for one in evidence.gates if one.holds is False and "gates" not in facts.forced]
    row = evidence.comparison.rows[0] if evidence.comparison and evidence.comparison.rows else None
    said = "; ".join(broken) or (f"As the run scored it: {why}" if row else why)
    return GoldenResult(
        is_worse=bool(broken),
        rows=evidence.comparison.heldout_rows if evidence.comparison else 0,
        metric=row.name if row else "",
        candidate=row.challenger if row else None,
        champion=row.champion if row else None,
        message=said,
    )


@dataclass(frozen=True)
class _Rung:
    """Everything that one look at the golden set has in hand."""

    context: Context
    place: EnvironmentKey
    facts: DeployFacts
    evidence: RunFacts
    held: Heldout
    asked: Questions
    limit_s: float

    def answers(self, arm: ArmName) -> Answers | Fault:
        return until_fault(self.context, self.place, arm, self.asked.rows, self.limit_s)

    def judge(self, candidate: Answers, champion: Answers | None) -> Comparison | ScoringFailure:
        return self.context.ports.scoring.judge(candidate, champion, self.held)


def _served(rung: _Rung, champion: ModelVersion | None) -> GoldenResult | Unknown:
    count = len(rung.asked.rows)
    candidate = rung.answers(ArmName.CANDIDATE)
    if isinstance(candidate, Fault):
        told = f"The candidate cannot answer the held-out rows, {candidate.message}"
        return GoldenResult(is_worse=True, rows=count, message=told)
    beside = rung.answers(ArmName.STABLE) if _is_served(rung.facts, champion) else None
    compared = rung.judge(candidate, beside if isinstance(beside, Answers) else None)
    if isinstance(compared, ScoringFailure):
        told = f"What the candidate answers to the held-out rows cannot be scored: {compared.summary}"
        return GoldenResult(is_worse=True, rows=count, message=told)
    metrics = compared.champion if isinstance(beside, Answers) else _elsewhere(rung, champion)
    read = rules_when_asked(rung.context)
    if isinstance(read, Refusal):
        return Unknown(read.sentence)
    return _held_against(rung, read.rules, compared, metrics)


def _is_served(facts: DeployFacts, champion: ModelVersion | None) -> bool:
    """Production's model serves here too. (Staging may serve anything: it gates nobody.)"""
    return champion is not None and champion.digest == facts.champion_digest


def _elsewhere(rung: _Rung, champion: ModelVersion | None) -> Mapping[str, float] | None:
    """Production's metrics where its model does not serve here: the run's, or, where production's model is another
    one since, scored again in the sandbox. None: there is no champion.
    """
    if champion is None:
        return None
    evidence, ports = rung.evidence, rung.context.ports
    if evidence.comparison and evidence.champion_version == champion.version:
        return evidence.comparison.champion or None
    challenger, directory = ports.store.path(rung.facts.model_digest), model_of(rung.context, champion)
    if challenger is None or directory is None:
        return None
    held = rung.held
    found = ports.scoring.compare(
        challenger,
        directory,
        held.path,
        task=held.task,
        target=held.target,
        champion_training_rows=held.champion_training_rows,
    )
    return found.champion if isinstance(found, Comparison) else None


def _held_against(
    rung: _Rung, rules: Rules, compared: Comparison, champion: Mapping[str, float] | None
) -> GoldenResult:
    metrics = dict(compared.challenger)
    gates = [evaluate(gate, metrics, champion or None) for gate in rules.gates]
    broken = [one.text for one in gates if one.passed is False and "gates" not in rung.facts.forced]
    name = rules.primary if rules.primary in metrics else next(iter(metrics))
    return GoldenResult(
        is_worse=bool(broken),
        rows=compared.heldout_rows,
        metric=name,
        candidate=metrics[name],
        champion=(champion or {}).get(name),
        message="; ".join([*broken, *_drift(rung.evidence, compared)]),
    )


def _drift(evidence: RunFacts, served: Comparison) -> list[str]:
    """Where the same rows give another score than in the run, serving does something else than scoring did."""
    scored = evidence.comparison
    if scored is None or scored.heldout_rows != served.heldout_rows:
        return []
    return [
        f"in the run {name} was {scored.challenger[name]:.6g}, as served it is {value:.6g}"
        for name, value in served.challenger.items()
        if name in scored.challenger and not math.isclose(value, scored.challenger[name], rel_tol=_SAME)
    ]
