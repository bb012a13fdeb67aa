"""What must hold at every moment of every interleaving: the invariants of the trust rules."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from kfops.domain.facts import DeployFacts, load
from kfops.domain.operation import ROLLOUTS, Operation, Outcome
from kfops.rules.replies import marker
from kfops.workflow.holding import key_of
from tests.support.model_repository import ENVIRONMENTS
from tests.support.world import World


@dataclass
class Invariants:
    """`look` before and after each step; `end` when all is over. What is broken is in `broken`, each sentence once."""

    world: World
    broken: dict[str, None] = field(default_factory=dict)
    _rolled_back: dict[int, int] = field(default_factory=dict)  # operation → the candidate's counter then
    _known: dict[int, Operation] = field(default_factory=dict)  # those that have ended

    def look(self) -> None:
        self._only_merged_models_serve()
        self._rolled_back_means_it()

    def end(self) -> None:
        self.look()
        world = self.world
        for one in world.operations():
            if one.ended_at is None:
                self._say(f"operation {one.id} never ended")
            names = [body for body in world.replies(one.subject.pull_request) if marker(one.id) in body]
            if len(names) != 1:
                self._say(f"operation {one.id} has {len(names)} comments")
        for environment in ENVIRONMENTS:
            lock = world.ledger.held(key_of(world.repository.id, environment), world.clock.now())
            if lock is not None and lock.operation_id is not None:
                self._say(f"{lock.holder} still holds {environment}")
            self._ledger_agrees(environment)
        for run in world.repository.check_runs.values():
            if run.status != "completed":
                self._say(f"the check run {run.name} never completed")
        for made in world.repository.deployments.values():
            if not made.statuses or made.statuses[-1].state not in {"success", "failure", "inactive"}:
                self._say(f"the deployment {made.id} has no final state")
        twice = [(run.name, run.external_id) for run in world.repository.check_runs.values()]
        if len(set(twice)) != len(twice):
            self._say("a check run was made twice")
        problem = world.ledger.verify(world.repository.id)
        if problem:
            self._say(f"audit: {problem}")

    def _say(self, sentence: str) -> None:
        self.broken[sentence] = None

    def _only_merged_models_serve(self) -> None:
        """Whoever answers users in production is merged, or is being merged by the operation that holds the lock."""
        world = self.world
        served = world.serving("production")
        exposed = {served.stable.digest} | ({served.candidate.digest} if served.candidate_weight else set())
        for digest in exposed - {None}:
            if not self._is_merged(str(digest)) and not self._is_being_merged(str(digest)):
                self._say(f"production serves {str(digest)[:12]}, which nobody merged or is merging")

    def _is_merged(self, digest: str) -> bool:
        world = self.world
        commits = {
            run.commit_sha: run.pull_request
            for run in world.ledger.runs(world.repository.id)
            if run.model_digest == digest
        }
        pulls = world.repository.pulls
        return any(
            pulls[number].is_merged and pulls[number].head_sha == sha for sha, number in commits.items()
        )

    def _is_being_merged(self, digest: str) -> bool:
        lock = self.world.ledger.held(key_of(self.world.repository.id, "production"), self.world.clock.now())
        holder = self.world.ledger.operation(lock.operation_id) if lock and lock.operation_id else None
        return holder is not None and holder.ended_at is None and _digest(holder) == digest

    def _rolled_back_means_it(self) -> None:
        """Written only when the backend shows weight 0 and the arm's counter stands still: it never moves again."""
        world = self.world
        for one in self._operations():
            if one.outcome is not Outcome.ROLLED_BACK or one.kind not in ROLLOUTS:
                continue
            facts = load(DeployFacts, one.facts)
            counter = world.serving_engine.standstill(world.place(facts.environment))
            total = getattr(counter, "total", -1)
            if one.id not in self._rolled_back:
                self._rolled_back[one.id] = total
                served = world.serving(facts.environment)
                if served.candidate_weight != 0:
                    self._say(f"operation {one.id} is rolled back at weight {served.candidate_weight}")
            is_newest = one.id == max(self._rolled_back)
            if is_newest and not world.open_operations() and total != self._rolled_back[one.id]:
                self._say(f"users reached the candidate of operation {one.id} after it was rolled back")

    def _operations(self) -> Iterator[Operation]:
        """All, oldest first; what has ended is read once."""
        number = 1
        while (one := self._known.get(number) or self.world.ledger.operation(number)) is not None:
            if one.ended_at is not None:
                self._known[number] = one
            yield one
            number += 1

    def _ledger_agrees(self, environment: str) -> None:
        world = self.world
        active = [one for one in world.ledger.revisions(world.repository.id, environment) if one.is_active]
        served = world.serving(environment)
        if [one.digest for one in active] != [digest for digest in (served.stable.digest,) if digest]:
            self._say(f"the ledger and {environment} do not agree on what serves")
        if served.candidate_weight or served.candidate.digest:
            self._say(f"a candidate is left in {environment}")


def _digest(operation: Operation) -> str:
    return str(operation.facts.get("model_digest", ""))
