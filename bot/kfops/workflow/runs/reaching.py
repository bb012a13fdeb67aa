"""Whether a run may read the data that its parameters name."""

from __future__ import annotations

from kfops.config.meaning import Work
from kfops.config.overrides import Parameters
from kfops.config.reach import reach_refusal
from kfops.domain.facts import Refusal
from kfops.domain.package import Package
from kfops.rules.reasons import ReasonCode
from kfops.workflow.context import Context
from kfops.workflow.gathering import RulesRead


def refused(
    context: Context, read: RulesRead, work: Work, package: Package, values: Parameters
) -> Refusal | None:
    """R10: data of another team's, whichever parameter it is named by, and where the pipeline itself names it."""
    defaults = {one.name: one.default for one in package.inputs}
    found = reach_refusal(
        context.options.policy,
        read.repository.full_name,
        {**defaults, **values.values},
        work.data.parameter if work.data else None,
    )
    if found is None:
        return None
    name, why = found
    return Refusal(
        ReasonCode.POLICY.value,
        f"The parameter {name} reaches for data that the server's policy does not grant: {why.message}.",
        why.found,
        why.expected,
        "Ask the operator of Kfops, or use data of the repository's own.",
    )
