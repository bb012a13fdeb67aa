"""Where a model is served and as what, for whoever wishes or looks."""

from __future__ import annotations

from kfops.config.meaning import Rules
from kfops.domain.environment import EnvironmentKey
from kfops.domain.facts import DeployFacts
from kfops.ports.errors import Refused
from kfops.ports.serving import ModelSource
from kfops.workflow.context import Context


def place_of(context: Context, facts: DeployFacts) -> EnvironmentKey:
    """Where this operation goes: the namespace is the one that the rules named when it began."""
    repository = context.operation.subject.repository_id
    return EnvironmentKey(repository, facts.model, facts.environment, facts.namespace)


def place_by_rules(context: Context, rules: Rules, name: str) -> EnvironmentKey:
    repository = context.operation.subject.repository_id
    return EnvironmentKey(repository, rules.model, name, namespace_of(rules, name))


def namespace_of(rules: Rules, name: str) -> str:
    """Empty where the rules name no such environment."""
    environment = rules.environment(name)
    return environment.namespace if environment else ""


def source_of(context: Context, facts: DeployFacts, digest: str, version: str) -> ModelSource | None:
    """What is to be served under this digest; None without one. Refused when the store has lost it."""
    if not digest:
        return None
    directory = context.ports.store.path(digest)
    if directory is None:
        raise Refused(f"the model {digest[:12]} is not in the store any more")
    return ModelSource(directory, digest, version, facts.model, predictor=facts.predictor)
