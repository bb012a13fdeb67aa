"""How a story ended, in everything that anybody could see of it; and what two endings have lost or doubled."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from kfops.domain.model_version import Alias
from kfops.domain.operation import ROLLOUTS, Kind
from kfops.rules.replies import marker
from tests.support.model_repository import ENVIRONMENTS
from tests.support.world import World

_UNTOLD = {Kind.HELP, Kind.STATUS, Kind.PLAN}  # the audit trail holds what was done, not what was asked


@dataclass(frozen=True)
class Ending:
    """`counts` are of things that must be there just so often; `facts` must be just so."""

    counts: dict[str, int]
    facts: dict[str, Any]


@dataclass(frozen=True)
class Difference:
    lost: tuple[str, ...] = ()
    doubled: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.lost or self.doubled or self.wrong)


def ending(world: World) -> Ending:
    operations = world.operations()
    repository = world.repository
    trail = world.ledger.trail(repository.id)
    counts: Counter[str] = Counter()
    facts: dict[str, Any] = {}
    for one in operations:
        name = f"operation {one.id} /{one.kind}"
        facts[f"end of {name}"] = (one.phase, one.outcome, one.reason_code)
        said = [body for body in world.replies(one.subject.pull_request) if marker(one.id) in body]
        counts[f"comment of {name}"] = len(said)
        if one.kind not in _UNTOLD:
            counts[f"audit of {name}"] = sum(entry.detail.get("operation") == one.id for entry in trail)
        if one.kind in ROLLOUTS:
            counts[f"deployment of {name}"] = sum(
                isinstance(made.payload, dict) and made.payload.get("external_id") == f"kfops-{one.id}"
                for made in repository.deployments.values()
            )
    for number, pull in repository.pulls.items():
        facts[f"labels of #{number}"] = tuple(sorted(pull.labels))
        counts[f"merges of #{number}"] = sum(line.kind == "merged" for line in pull.timeline)
    main = world.playground.bare(repository).text("rev-list", "--count", repository.default_branch)
    counts["commits on the default branch"] = int(main)
    counts["pipeline runs"] = len(world.pipelines.runs)
    counts["registered versions"] = world.models.registered
    for environment in ENVIRONMENTS:
        served = world.serving(environment)
        facts[f"{environment} serves"] = (served.stable.version, served.candidate, served.candidate_weight)
        revisions = world.ledger.revisions(repository.id, environment)
        counts[f"revisions in {environment}"] = len(revisions)
        facts[f"active in {environment}"] = tuple(one.version for one in revisions if one.is_active)
        states = [one.statuses[-1].state if one.statuses else "" for one in world.deployments(environment)]
        facts[f"deployments' states in {environment}"] = tuple(states)
    for alias in Alias:
        holder = world.models.by_alias("churn", alias)
        facts[f"alias {alias}"] = holder.version if holder else None
    said = [one for one in repository.comments.values() if one.app_id is None]
    for nth, comment in enumerate(said, 1):
        facts[f"reactions to comment {nth}, {comment.body!r}"] = tuple(world.reactions(comment.id))
    return Ending(dict(counts), facts)


def difference(found: Ending, expected: Ending) -> Difference:
    """What `found` has too little, too often, or otherwise than `expected`."""
    names = {**expected.counts, **found.counts}
    pairs = [(name, found.counts.get(name, 0), expected.counts.get(name, 0)) for name in names]
    wrong = [
        f"{name}: {found.facts.get(name)!r} instead of {expected.facts.get(name)!r}"
        for name in {**expected.facts, **found.facts}
        if found.facts.get(name) != expected.facts.get(name)
    ]
    return Difference(
        tuple(f"{name}: {have} of {want}" for name, have, want in pairs if have < want),
        tuple(f"{name}: {have} of {want}" for name, have, want in pairs if have > want),
        tuple(wrong),
    )
