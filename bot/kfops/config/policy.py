"""The operator's server policy: what each repository may reach, and bounds that no `kfops.yaml` can loosen.

A YAML file on the server. Without one, any repository that the server serves may do what its own rules say.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from kfops.config.deployment import Required
from kfops.config.errors import ConfigError, ConfigProblem, dotted
from kfops.config.fields import (
    AppLogin,
    DnsLabel,
    Duration,
    Identifier,
    ImageRepository,
    Percent,
    PositiveDuration,
    RepositoryPattern,
    StoragePrefix,
)
from kfops.config.load import typed
from kfops.config.section import Section
from kfops.config.tree import read_tree
from kfops.config.who import WhoMay

_LARGEST = 1 << 20  # bytes: thousands of repositories


class Grant(Section):
    """What one repository may use. An empty list grants nothing of its kind."""

    models: tuple[DnsLabel, ...]
    """Names that its model may have."""
    namespaces: tuple[DnsLabel, ...] = ()
    """Namespaces that its environments may have."""
    data_prefixes: tuple[StoragePrefix, ...] = ()
    """Where its data may lie, besides the repository itself: `s3://ml/churn/`."""
    image_repositories: tuple[ImageRepository, ...] = ()
    """Where its images may be pushed to, and pulled from by its steps where those run in images (Kubeflow)."""
    environments: tuple[Identifier, ...] = ("staging", "production")
    """Environments that it may deploy to."""
    build_images: bool = False
    """Whether its Dockerfiles are built: a Dockerfile's commands have little between them and the machine."""
    install: bool = False
    """Whether Python environments are made from its requirements."""
    retrain: bool = True
    """Whether its schedule is kept: `schedule.retrain`."""
    rules_branch: Annotated[str, Field(min_length=1, max_length=255)] | None = None
    """The branch that its rules are read from, where that is not the default branch."""


class Freeze(Section):
    """A time in which nothing is deployed, and no rollout under way goes on; rolling back stays possible."""

    since: AwareDatetime
    until: AwareDatetime
    reason: Annotated[str, Field(min_length=1, max_length=200)]
    environments: tuple[Identifier, ...] = ("production",)
    repositories: tuple[RepositoryPattern, ...] = ("*/*",)


class Limits(Section):
    """Bounds that hold whatever kfops.yaml says."""

    run_timeout: PositiveDuration | None = None
    """The longest that a run may take."""
    runs: Annotated[int, Field(ge=1)] | None = None
    """The most trainings that may be under way at once, of all repositories together; KFOPS_MAX_RUNS bounds each."""
    open_operations: Annotated[int, Field(ge=1)] | None = None
    """The most operations that one repository may have under way."""
    first_step: Percent | None = None
    """The largest share of traffic that a canary may begin with."""
    retrain_every: PositiveDuration | None = None
    """The shortest time between two retrainings that a schedule asks for."""
    min_hold: Duration | None = None
    """The shortest that a step of a canary may last."""
    max_error_increase: Annotated[float, Field(gt=0, lt=1)] | None = None
    """The largest that a canary may allow."""
    max_latency_ratio: Annotated[float, Field(gt=1)] | None = None
    """The largest that a canary may allow."""


class Permissions(Section):
    """Who may at least be needed; added to what kfops.yaml asks for."""

    run: WhoMay | None = None
    staging_deploy: WhoMay | None = None
    deploy: WhoMay | None = None
    rollback: WhoMay | None = None
    force: WhoMay | None = None


class Policy(Section):
    """The operator's policy."""

    version: Literal[1]
    repositories: dict[RepositoryPattern, Grant] | None = None
    """Repositories that are served, by full name or `owner/*`, the exact name first. Left out: all, unbounded."""
    sandbox: Literal["required", "none"] = "required"
    """`none`: pull-request code may run without a sandbox. For machines that hold nothing else."""
    requires: dict[Identifier, tuple[Required, ...]] = Field(default_factory=dict)
    """What an environment requires at least."""
    permissions: Permissions = Permissions()
    limits: Limits = Limits()
    freezes: tuple[Freeze, ...] = ()
    apps: tuple[AppLogin, ...] = ()
    """Apps that may give commands, by login: `renovate[bot]`. All others are refused; the role is needed all the same."""


OPEN_POLICY = Policy(version=1)
"""What holds where the operator gave no policy."""


def load_policy(content: bytes | str | None, *, filename: str) -> Policy:
    """Raises ConfigError with everything that is wrong; a missing file is an error too."""
    tree = read_tree(content, filename, _LARGEST)
    policy = typed(tree, Policy)
    problems = tuple(
        ConfigProblem(
            tree.place(("freezes", index)),
            dotted(("freezes", index)),
            "until is not after since",
            freeze.until.isoformat(),
            f"a time after {freeze.since.isoformat()}",
        )
        for index, freeze in enumerate(policy.freezes)
        if freeze.until <= freeze.since
    )
    if problems:
        raise ConfigError(problems)
    return policy


def grant_of(policy: Policy, repository: str) -> Grant | None:
    """What the policy grants to `owner/name`; None: the repository is not served, or grants are not in use."""
    grants = {name.lower(): grant for name, grant in (policy.repositories or {}).items()}
    owner, _, name = repository.lower().partition("/")
    return next((grants[key] for key in (f"{owner}/{name}", f"{owner}/*", "*/*") if key in grants), None)


def is_served(policy: Policy, repository: str) -> bool:
    return policy.repositories is None or grant_of(policy, repository) is not None


def freeze_at(policy: Policy, repository: str, environment: str, now: datetime) -> Freeze | None:
    """The freeze that holds now, the one that ends last."""
    holding = [
        freeze
        for freeze in policy.freezes
        if freeze.since <= now < freeze.until
        and environment in freeze.environments
        and any(_matches(pattern, repository) for pattern in freeze.repositories)
    ]
    return max(holding, key=lambda freeze: freeze.until, default=None)


def _matches(pattern: str, repository: str) -> bool:
    owner, _, name = pattern.lower().partition("/")
    theirs, _, called = repository.lower().partition("/")
    return owner in {"*", theirs} and name in {"*", called}


def run_timeout(policy: Policy, asked: timedelta) -> timedelta:
    """The shorter of what kfops.yaml asks for and what the policy allows."""
    return min(asked, policy.limits.run_timeout or asked)
