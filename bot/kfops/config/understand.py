"""From the file as typed to what is meant by it: the defaults that depend on other keys are filled in here."""

from __future__ import annotations

import re
from types import MappingProxyType

from kfops.command.catalog import DEFAULT_PERMISSIONS
from kfops.config import deployment
from kfops.config.deployment import Required
from kfops.config.meaning import PRODUCTION, STAGING, Environment, Rules, Work
from kfops.config.rules import RulesHalf
from kfops.config.work import WorkHalf

_LONGEST_MODEL = 55  # so that the default namespace MODEL-staging is a DNS label too


def work_meant(typed: WorkHalf) -> Work:
    return Work(typed.pipeline, typed.data, typed.images.build, typed.samples.request)


def rules_meant(typed: RulesHalf) -> Rules:
    return Rules(
        model=typed.model,
        registry=typed.registry,
        overridable=typed.overridable,
        primary=typed.evidence.primary,
        gates=typed.evidence.gates,
        registered_by=typed.models.registered_by,
        predictor=typed.deployment.predictor,
        check=typed.deployment.check,
        canary=typed.deployment.canary,
        environments=_environments(typed.model, typed.deployment.environments),
        retrain=typed.schedule.retrain,
        permissions=MappingProxyType(
            {key: (getattr(typed.permissions, key),) for key in DEFAULT_PERMISSIONS}
        ),
    )


def default_rules(repository_name: str) -> Rules:
    """What holds while the default branch has no kfops.yaml: runs work, nothing is deployed.

    The model is named after the repository, because a pull request must not choose that name for itself (R10).
    """
    name = re.sub(r"[^a-z0-9]+", "-", repository_name.rpartition("/")[2].lower())
    name = name.lstrip("-0123456789")[:_LONGEST_MODEL].strip("-") or "model"
    return Rules(model=name, is_adopted=False, environments=_environments(name, {}))


def _environments(model: str, typed: dict[str, deployment.Environment]) -> tuple[Environment, ...]:
    if not typed:
        typed = {
            STAGING: deployment.Environment(namespace=f"{model}-staging"[-63:].lstrip("-0123456789")),
            PRODUCTION: deployment.Environment(namespace=model),
        }
    has_staging = STAGING in typed
    return tuple(_environment(name, one, has_staging=has_staging) for name, one in typed.items())


def _environment(name: str, typed: deployment.Environment, *, has_staging: bool) -> Environment:
    merge = typed.merge or ("squash" if name == PRODUCTION else "none")
    requires = typed.requires if typed.requires is not None else _requires(name, has_staging=has_staging)
    return Environment(name, typed.namespace, frozenset(requires), None if merge == "none" else merge)


def _requires(name: str, *, has_staging: bool) -> tuple[Required, ...]:
    """Silence is no permission: only staging is open by default."""
    if name == STAGING:
        return ()
    if name == PRODUCTION and has_staging:
        return ("staging", "approval", "checks", "up-to-date")
    return ("approval", "checks", "up-to-date")
