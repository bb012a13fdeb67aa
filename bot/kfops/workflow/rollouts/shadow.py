"""Shadow by replay: held-out rows, or the sample request where there are none, to both arms, without users."""

from __future__ import annotations

import json
from collections.abc import Sequence

from kfops.domain.canary_facts import ReplayResult, Unknown
from kfops.domain.environment import EnvironmentKey
from kfops.domain.facts import DeployFacts
from kfops.domain.golden import Answers, Questions, Row
from kfops.domain.rollout import Rollout
from kfops.ports.errors import Unavailable
from kfops.ports.serving import ArmName
from kfops.rules.pairs import Pair, compared
from kfops.workflow.context import Context
from kfops.workflow.rollouts.asking import Fault, each
from kfops.workflow.rollouts.checking import sample
from kfops.workflow.rollouts.heldout import heldout, questions

MOST = 1000
CLASSES = "classification"  # only here is an answer right or wrong


def replayed(
    context: Context, place: EnvironmentKey, facts: DeployFacts, rollout: Rollout
) -> ReplayResult | Unknown:
    limit = rollout.plan.check_timeout.total_seconds()
    try:
        asked = _questions(context, facts)
        if isinstance(asked, Unknown):
            return asked
        candidate, champion = (
            each(context, place, arm, asked.rows, limit) for arm in (ArmName.CANDIDATE, ArmName.STABLE)
        )
    except Unavailable as error:
        return Unknown(str(error))
    labels = asked.labels or (None,) * len(asked.rows)
    return compared(
        [
            Pair(row, _usable(new), _usable(old), label)
            for row, new, old, label in zip(asked.rows, candidate, champion, labels, strict=True)
        ]
    )


def _questions(context: Context, facts: DeployFacts) -> Questions | Unknown:
    held = heldout(context, facts)
    found = held if isinstance(held, str) else questions(context, held, MOST)
    if isinstance(found, Questions) and not isinstance(held, str):
        return found if held.task == CLASSES else Questions(found.rows, ())
    try:
        rows: Sequence[Row] = json.loads(sample(context) or b"")["instances"]
    except (ValueError, KeyError, TypeError):
        return Unknown(f"nothing to replay: {found}, and the sample request has no `instances`")
    return Questions(tuple(rows), ())


def _usable(answer: Answers | Fault) -> Answers | None:
    return None if isinstance(answer, Fault) else answer
