"""What a workflow has in its hands during one step, and what it hands back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from kfops.config.policy import OPEN_POLICY, Policy
from kfops.domain.facts import AnswerFacts, DeployFacts, RunFacts
from kfops.domain.operation import EffectState, Operation, Outcome
from kfops.ports.clock import Clock
from kfops.ports.data import DataFiles
from kfops.ports.environments import Environments
from kfops.ports.forge import Forge
from kfops.ports.images import Images
from kfops.ports.ledger import Ledger
from kfops.ports.models import Models
from kfops.ports.pipelines import Pipelines
from kfops.ports.scoring import Scoring
from kfops.ports.serving import Serving
from kfops.ports.storage import ModelStore
from kfops.ports.traffic import Traffic
from kfops.rules.reasons import ReasonCode

Facts = RunFacts | DeployFacts | AnswerFacts


@dataclass(frozen=True)
class Ports:
    """Everything outside, joined to adapters in `kfops.bootstrap` and nowhere else."""

    forge: Forge
    ledger: Ledger
    environments: Environments
    pipelines: Pipelines
    models: Models
    scoring: Scoring
    serving: Serving
    traffic: Traffic
    store: ModelStore
    clock: Clock
    images: Images | None = None  # none are built here
    data_files: DataFiles | None = None  # none are fetched here


@dataclass(frozen=True)
class Options:
    """The operator's settings, as far as workflows care."""

    data_dir: Path
    policy: Policy = OPEN_POLICY
    max_runs: int = 2
    lease: timedelta = timedelta(seconds=30)  # a call to the outside takes less than what is left of it (R14)
    secrets: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class Next:
    """Go on: in this phase, with these facts, to be looked at again after `wait`."""

    phase: str
    facts: Facts
    wait: timedelta = timedelta(0)


@dataclass(frozen=True)
class End:
    outcome: Outcome
    reason: ReasonCode
    facts: Facts


Step = Next | End


@dataclass(frozen=True)
class Context:
    operation: Operation
    ports: Ports
    options: Options
    now: datetime

    def effect(self, name: str, do: Callable[[], str], find: Callable[[], str | None] | None = None) -> str:
        """Do something outside once, and return the identity it got there.

        "About to" is written first. When an earlier attempt wrote it and did not come to "done", the outside is
        asked with `find`; without `find`, `do` itself must be idempotent.
        """
        record = self.operation.effects.get(name)
        if record and record.state is EffectState.DONE:
            return record.identity
        was_begun = self.ports.ledger.effect_about(self.operation, name, self.now)
        identity = find() if was_begun and find else None
        if identity is None:
            identity = do()
        self.ports.ledger.effect_done(self.operation, name, identity, self.now)
        return identity

    def hold(self) -> None:
        """Right before a call outside that must not come late: raises `Fenced` when another worker took over (R14)."""
        self.ports.ledger.renew(self.operation, self.ports.clock.now(), self.options.lease)

    @property
    def source_dir(self) -> Path:
        """Where the pinned commit is checked out."""
        subject = self.operation.subject
        return self.options.data_dir / "sources" / str(subject.repository_id) / str(subject.head_sha)
