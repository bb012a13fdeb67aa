"""Facts that this release cannot read: a newer one may have written them, or a defect.

After a while without a release that can, the operation goes on with those that can be read: a run is stopped, a rollout
takes its way back. Where the rollout itself cannot be read, the champion is wished for once.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

import structlog

from kfops.domain.facts import DeployFacts, load
from kfops.domain.operation import ROLLOUTS
from kfops.ports.errors import Unavailable
from kfops.ports.ledger import Fenced, Saved
from kfops.ports.serving import Wish
from kfops.workflow import failing
from kfops.workflow.context import Context, Facts, Step
from kfops.workflow.rollouts.placing import place_of, source_of

PATIENCE = timedelta(minutes=5)  # while releases change, another replica may be able to read them
LOOK = "Look with `/status` at what serves; `/rollback` takes back what must not."
T = TypeVar("T")
log = structlog.get_logger("kfops.unreadable")


def is_waited_for(context: Context) -> bool:
    return failing.lasted(context) <= PATIENCE


def readable(kind: type[T], plain: Mapping[str, Any], needed: Mapping[str, Any]) -> T:
    """Those that can be read, each by itself."""
    kept = dict(needed)
    for name, value in plain.items():
        with suppress(ValueError):
            load(kind, {**needed, name: value})
            kept[name] = value
    return load(kind, kept)


def ended(context: Context, facts: Facts) -> Step | Saved:
    """`facts`: those that can be read."""
    operation, why = context.operation, failing.of_a_defect(context)
    log.error("unreadable", operation=operation.id, phase=operation.phase)
    match facts:
        case DeployFacts(rollout=None) if operation.kind in ROLLOUTS and operation.facts.get("rollout"):
            why = replace(why, found=_restored(context, facts), fix=LOOK)
        case _:
            pass
    return failing.given_up(context, facts, why)


def _restored(context: Context, facts: DeployFacts) -> str:
    """What was done for users. Once it is merged, the candidate is what belongs there."""
    place = place_of(context, facts)
    if "merge" in context.operation.effects or not facts.champion_digest:
        return "how far the rollout came cannot be read; what serves was left as it is"
    try:
        wish = Wish(stable=source_of(context, facts, facts.champion_digest, facts.champion_version))
        context.hold()
        context.ports.serving.apply(place, wish)
    except (Fenced, Unavailable):
        raise
    except Exception:
        log.exception("champion not restored", operation=context.operation.id)
        return "the champion could not be restored, and users may be on the candidate"
    return "how far the rollout came cannot be read; the champion was given all traffic"
