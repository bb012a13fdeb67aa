"""The rules: what may become of the work. Read from the default branch, so a pull request cannot soften its own."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from kfops.command.catalog import DEFAULT_PERMISSIONS
from kfops.config.deployment import Deployment
from kfops.config.fields import Cron, DnsLabel, GateExpression, Identifier, ImageRepository, PythonName
from kfops.config.section import Section
from kfops.config.who import Who, WhoMay


class Evidence(Section):
    """What a run must show."""

    primary: PythonName | None = None
    """The metric by which models are compared first."""
    gates: Annotated[tuple[GateExpression, ...], Field(max_length=20)] = ()
    """Comparisons that must hold before a deployment; `champion` is the same metric of what production serves."""


class Models(Section):
    """Who records models."""

    registered_by: Literal["bot", "pipeline"] = "bot"
    """`bot`: the pipeline hands its model over as an artifact. `pipeline`: its own steps register it."""


class Schedule(Section):
    """What happens without anybody asking."""

    retrain: Cron | None = None
    """When the default branch is built and run again: five fields of cron, in UTC."""


class Permissions(Section):
    """Who may: a role on the repository, or the members of teams."""

    run: WhoMay = Who(DEFAULT_PERMISSIONS["run"])
    """build, run, build_run, cancel, ok-to-test"""
    staging_deploy: WhoMay = Who(DEFAULT_PERMISSIONS["staging_deploy"])
    """staging_deploy"""
    deploy: WhoMay = Who(DEFAULT_PERMISSIONS["deploy"])
    """deploy, and /canary pause, resume, promote, abort"""
    rollback: WhoMay = Who(DEFAULT_PERMISSIONS["rollback"])
    """rollback, lock, unlock; with run: cancel a rollout"""
    force: WhoMay = Who(DEFAULT_PERMISSIONS["force"])
    """/deploy --force, besides `deploy`"""


class RulesHalf(Section):
    model: DnsLabel
    """The model's name: of its experiment, its registered model and its inference service."""
    registry: ImageRepository | None = None
    """Where images are pushed."""
    overridable: Annotated[tuple[Identifier, ...], Field(max_length=100)] = ()
    """Parameters that `--set` may change from a comment."""
    evidence: Evidence = Evidence()
    """What a run must show."""
    models: Models = Models()
    """Who records models."""
    deployment: Deployment = Deployment()
    """How the model is served."""
    schedule: Schedule = Schedule()
    """What happens without anybody asking."""
    permissions: Permissions = Permissions()
    """Who may: a role on the repository, or the members of teams."""
