"""The rows that a run held out, brought back for a rollout: the golden set and the replay ask both arms with them."""

from __future__ import annotations

from kfops.domain.evidence import ScoringFailure
from kfops.domain.facts import DeployFacts, Refusal
from kfops.domain.golden import Questions
from kfops.domain.model_version import Artifact, ModelVersion
from kfops.ports.scoring import Heldout
from kfops.workflow.context import Context
from kfops.workflow.runs import commit

MOST = 50_000  # as many as the run's own comparison takes


def heldout(context: Context, facts: DeployFacts, champion: ModelVersion | None = None) -> Heldout | str:
    """The table, and what is predicted; or why there is none. Raises what the registry raises."""
    meant = commit.work(context)
    if isinstance(meant, Refusal) or meant.data is None:
        return "kfops.yaml does not say what is predicted"
    models = context.ports.models
    scratch = context.options.data_dir / "scratch" / str(context.operation.id)
    scratch.mkdir(parents=True, exist_ok=True)
    found = models.fetch(facts.model, facts.model_version, Artifact.HELDOUT, scratch / "candidate")
    if found is None:
        return "the run kept no held-out rows"
    seen = (
        models.fetch(champion.model, champion.version, Artifact.TRAINING_ROWS, scratch / "champion")
        if champion
        else None
    )
    return Heldout(found, meant.data.task, meant.data.target, seen)


def questions(context: Context, held: Heldout, most: int = MOST) -> Questions | str:
    """The rows as callers send them; or why they cannot be read."""
    found = context.ports.scoring.questions(held.path, target=held.target, most=most)
    if isinstance(found, ScoringFailure):
        return f"the held-out rows cannot be read: {found.summary}"
    return found if found.rows else "the run held out no row"
