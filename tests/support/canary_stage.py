"""Canaries on the real serving stack: Envoy, model servers in the sandbox, real time; forge and pipelines in memory.

Runs are made before, with the clock in hand; then it is let go, and workers carry out `/deploy` as they do in the bot.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.support import canary_models
from tests.support.in_memory.pipelines import InMemoryPipelines, source
from tests.support.in_memory.scoring import InMemoryScoring
from tests.support.world import Hand, World, world

from kfops.adapters.local.sandbox import Confinement
from kfops.adapters.local.scoring.adapter import LocalScoring
from kfops.adapters.local.serving.adapter import LocalServing
from kfops.demo.traffic import Load, LoadReport
from kfops.domain.canary_facts import Standstill
from kfops.domain.environment import EnvironmentKey
from kfops.domain.facts import DeployFacts, load
from kfops.domain.operation import Operation
from kfops.domain.rollout import Rollout
from kfops.domain.run import RunOutputs
from kfops.workflow.workers import Workers

RATE_PER_S = 40.0
AGO = timedelta(hours=2)  # when the runs were made
READY_WITHIN_S = 10.0
CONFIG = """\
version: 1
pipeline: {source: pipeline.py, timeout: 1h}
data: {parameter: data, task: classification, target: churn}
samples: {request: samples/request.json}
model: churn
evidence: {primary: roc_auc, gates: ["roc_auc >= 0.70", "roc_auc >= champion - 0.02"]}
deployment:
  check: {timeout: 1s}
  canary: CANARY
  environments:
    staging: {namespace: churn-staging}
    production: {namespace: churn, requires: REQUIRES, merge: none}
"""
CANARY = (
    "{steps: [25], hold: 1s, min_requests: 30, max_error_increase: 0.01, max_latency_ratio: 2, patience: 30s,"
    " ask_timeout: 1s, watch: 1s, without_traffic: WITHOUT}"
)


def canary(without_traffic: str) -> str:
    return CANARY.replace("WITHOUT", without_traffic)


@dataclass
class Released(Hand):
    """In the test's hand until it is let go; from then on the wall's."""

    is_free: bool = False

    def now(self) -> datetime:
        return wall() if self.is_free else self.at


def wall() -> datetime:
    return datetime.fromtimestamp(time.time(), UTC)


class Shelf(InMemoryPipelines):
    """Runs that hand over the scripted model that their source names, with held-out rows and their own answers."""

    def outputs(self, run_id: str) -> RunOutputs:
        found, told = super().outputs(run_id), self.runs[run_id].model
        place = self._root / f"{run_id}-kept"
        if not place.exists():
            canary_models.make(place, told["kind"])
        kept = self._root / f"{run_id}.golden.json"
        return replace(
            found,
            model=place,
            heldout=canary_models.heldout(self._root / f"{run_id}.parquet"),
            golden=canary_models.golden(kept, told["trained"]) if told["trained"] else None,
        )


class Rows(LocalScoring):
    """Runs are believed what they say of themselves, which takes no time; rows and answers are judged in the sandbox."""

    compare = InMemoryScoring.compare  # type: ignore[assignment]


@dataclass(frozen=True)
class Played:
    """One `/deploy` that has ended, and what its users saw meanwhile."""

    operation: Operation
    facts: DeployFacts
    reply: str
    load: LoadReport | None

    @property
    def rollout(self) -> Rollout:
        assert self.facts.rollout is not None
        return self.facts.rollout

    @property
    def answered_by_candidate(self) -> int:
        assert self.load is not None
        return self.load.by_version[self.facts.model_version]

    @property
    def candidate_errors(self) -> int:
        return sum(step.counts.candidate.errors for step in self.rollout.steps if step.counts)

    @property
    def champion_errors(self) -> int:
        return sum(step.counts.champion.errors for step in self.rollout.steps if step.counts)


@dataclass
class Stage:
    world: World
    serving: LocalServing
    pulls: dict[str, int] = field(default_factory=dict)

    def place(self, environment: str = "production") -> EnvironmentKey:
        return EnvironmentKey(self.world.repository.id, "churn", environment)

    def predict(self, environment: str = "production") -> str:
        return f"{self.serving.url(self.place(environment))}/predict"

    def load(self, bodies: Sequence[bytes]) -> Load:
        return Load(self.predict(), bodies, RATE_PER_S)

    def say(self, name: str, command: str) -> int:
        return self.world.comment(self.pulls[name], command)

    def ended(self, comment: int, within_s: float = 90.0) -> Operation:
        return self.until(lambda found: found.ended_at is not None, comment, within_s)

    def until(self, is_so: Any, comment: int, within_s: float = 90.0) -> Operation:
        deadline = time.monotonic() + within_s
        while not is_so(found := self.world.operation(comment)):
            assert time.monotonic() < deadline, f"{self.world.describe()}\n{found.facts}"
            time.sleep(0.02)
        return found

    def rollout(self, comment: int) -> Rollout | None:
        facts = self.world.operation(comment).facts
        return load(DeployFacts, facts).rollout if facts else None

    def played(self, name: str, comment: int, users: Load | None = None) -> Played:
        found = self.ended(comment)
        seen = users.report() if users else None
        return Played(found, load(DeployFacts, found.facts), self.world.reply(self.pulls[name]), seen)

    def deploy(self, name: str, bodies: Sequence[bytes], command: str = "/deploy") -> Played:
        """With users calling production before, meanwhile and a moment after."""
        with self.load(bodies) as users:
            self._sent(users, 10)
            played = self.played(name, self.say(name, command))
            self._sent(users, users.report().sent + 20)
            return replace(played, load=users.stop())

    def standstill(self, environment: str = "production") -> Standstill:
        found = self.serving.standstill(self.place(environment))
        assert isinstance(found, Standstill), found
        return found

    def _sent(self, users: Load, count: int) -> None:
        deadline = time.monotonic() + 20
        while users.report().sent < count:
            assert time.monotonic() < deadline, "users do not call"
            time.sleep(0.02)


@contextmanager
def stage(folder: Path, sandbox: Confinement, models: dict[str, dict[str, Any]]) -> Iterator[Stage]:
    """`models`: by pull request: `kind`, `trained` (the answer it gave in training), `sample` (contracts in the
    sample request). All have been run; nothing is deployed.
    """
    clock = Released(wall() - AGO)
    with world(folder, config=CONFIG, canary=canary("replay"), clock=clock) as here:
        here.rps = 0
        here.pipelines = Shelf(folder / "runs", clock)
        here.restart()
        made = Stage(here, LocalServing(folder / "stack", sandbox, clock, ready_within_s=READY_WITHIN_S))
        for name, told in models.items():
            made.pulls[name] = here.pull_request("ana", change(**told))
            here.comment(made.pulls[name], "/build_run")
        here.settle()
        clock.is_free = True
        scoring = Rows(sandbox)
        here.ports = replace(here.ports, serving=made.serving, traffic=made.serving, scoring=scoring)
        workers = Workers(here.ports, here.options, "live", 2)
        workers.start()
        try:
            yield made
        finally:
            workers.stop()
            made.serving.shutdown()


def change(kind: str, trained: str = "yes", sample: Sequence[str] = ("month", "year")) -> dict[str, str]:
    steps = {"train": 0.0}
    return {
        "pipeline.py": source(steps=steps, kind=kind, trained=trained, roc_auc=0.9),
        "samples/request.json": canary_models.request(*sample).decode(),
    }
