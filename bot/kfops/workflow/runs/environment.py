"""The Python environment of a run: from the commit's requirements, and from what its steps install."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from kfops.config.meaning import Work
from kfops.config.policy import grant_of
from kfops.domain.facts import Refusal, RunFacts
from kfops.domain.operation import Outcome
from kfops.domain.requirements import LARGEST_BYTES
from kfops.ports.environments import EnvironmentOrder, Making, NotMade
from kfops.rules.reasons import ReasonCode
from kfops.workflow.context import Context, End, Next, Step
from kfops.workflow.runs.commit import file_of

TICK = timedelta(seconds=1)


def prepared(context: Context, facts: RunFacts, work: Work, then: str) -> Step:
    """On to `then` once the environment is there; looked at again in this phase while it is being made."""
    order = _order(context, facts, work)
    if isinstance(order, NotMade):
        return _refused(facts, order)
    made = context.ports.environments.make(order)
    match made:
        case Making():
            return Next(context.operation.phase, facts, TICK)
        case NotMade():
            return _refused(replace(facts, ended_at=context.now), made)
        case ready:
            return Next(then, replace(facts, environment=ready.key, environment_digest=ready.digest))


def packages(context: Context, facts: RunFacts) -> Path | None:
    """The folder for whatever runs this commit's code."""
    return context.ports.environments.packages(facts.environment)


def remember(context: Context, facts: RunFacts) -> None:
    """The model is scored and served in what it was trained in."""
    if facts.model_digest:
        context.ports.environments.bind(facts.model_digest, facts.environment)


def _order(context: Context, facts: RunFacts, work: Work) -> EnvironmentOrder | NotMade:
    file = work.pipeline.requirements
    if file is None and not facts.packages:
        return EnvironmentOrder()
    text = None
    if file is not None:
        path = file_of(context.source_dir, file)
        if path is None or path.stat().st_size > LARGEST_BYTES:
            return NotMade(
                f"{file} is no file of at most {LARGEST_BYTES} bytes at this commit (pipeline.requirements)"
            )
        text = path.read_text(encoding="utf-8", errors="replace")
    return EnvironmentOrder(text, file or "", facts.packages, is_granted=_is_granted(context))


def _is_granted(context: Context) -> bool:
    """Where the policy has grants, one must say so; where it has none, the server's setting decides alone."""
    policy = context.options.policy
    if policy.repositories is None:
        return True
    name = context.ports.forge.repository(context.operation.subject.repository_id).full_name
    grant = grant_of(policy, name)
    return grant is not None and grant.install


def _refused(facts: RunFacts, why: NotMade) -> End:
    code = ReasonCode.ENVIRONMENT_FAILED if why.is_allowed else ReasonCode.POLICY
    outcome = Outcome.FAILED if why.log_tail else Outcome.REFUSED
    refusal = Refusal(
        code.value,
        f"No Python environment could be made: {why.summary}.",
        fix=f"{why.fix}." if why.fix else "",
        detail="\n".join(why.problems) or why.log_tail,
    )
    return End(outcome, code, replace(facts, refusal=refusal))
