"""What must hold at every moment of every interleaving: the invariants of the trust rules."""

from __future__ import annotations

from dataclasses import dataclass, field

from kfops.domain.facts import DeployFacts, load
from kfops.domain.operation import ROLLOUTS, Operation, Outcome
from kfops.domain.run import ENDED
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
    _merged: set[str] = field(default_factory=set)  # digests: what is merged stays so
    _open: dict[int, Operation] = field(default_factory=dict)  # as they were seen last
    _taken_back: dict[int, DeployFacts] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for one in self.world.operations():
            self._note(one)

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
        self._all_outside_has_ended()
        twice = [(run.name, run.external_id) for run in world.repository.check_runs.values()]
        if len(set(twice)) != len(twice):
            self._say("a check run was made twice")
        problem = world.ledger.verify(world.repository.id)
        if problem:
            self._say(f"audit: {problem}")

    def _all_outside_has_ended(self) -> None:
        world = self.world
        for run in world.repository.check_runs.values():
            if run.status != "completed":
                self._say(f"the check run {run.name} never completed")
        for made in world.repository.deployments.values():
            if not made.statuses or made.statuses[-1].state not in {"success", "failure", "inactive"}:
                self._say(f"the deployment {made.id} has no final state")
        for name in world.pipelines.runs:
            if world.pipelines.status(name).state not in ENDED:
                self._say(f"the pipeline run {name} goes on")

    def _say(self, sentence: str) -> None:
        self.broken[sentence] = None

    def _only_merged_models_serve(self) -> None:
        """Whoever answers users in production is merged, or is being merged by the operation that holds the lock."""
        served = self.world.serving("production")
        exposed = {served.stable.digest} | ({served.candidate.digest} if served.candidate_weight else set())
        for digest in {str(one) for one in exposed if one is not None} - self._merged:
            if self._is_merged(digest):
                self._merged.add(digest)
            elif not self._is_being_merged(digest):
                self._say(f"production serves {digest[:12]}, which nobody merged or is merging")

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
        self._look_at_operations()
        for number, facts in self._taken_back.items():
            counter = world.serving_engine.standstill(world.place(facts.environment))
            total = getattr(counter, "total", -1)
            if number not in self._rolled_back:
                self._rolled_back[number] = total
                served = world.serving(facts.environment)
                if served.candidate_weight != 0:
                    self._say(f"operation {number} is rolled back at weight {served.candidate_weight}")
            is_newest = number == max(self._rolled_back)
            if is_newest and not world.opened and total != self._rolled_back[number]:
                self._say(f"users reached the candidate of operation {number} after it was rolled back")

    def _look_at_operations(self) -> None:
        """Those that are open, and once more those that were: what has ended does not change."""
        opened = {one.id for one in self.world.opened}
        ended = [self.world.ledger.operation(number) for number in self._open.keys() - opened]
        self._open = {one.id: one for one in self.world.opened}
        for one in (*self.world.opened, *ended):
            if one is not None:
                self._note(one)

    def _note(self, one: Operation) -> None:
        if one.outcome is Outcome.ROLLED_BACK and one.kind in ROLLOUTS:
            self._taken_back[one.id] = load(DeployFacts, one.facts)

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
