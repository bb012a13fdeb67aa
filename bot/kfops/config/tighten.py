"""The rules under the operator's policy: never looser than either. What cannot be tightened is refused."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from types import MappingProxyType

from kfops.command.identifiers import shown
from kfops.config.deployment import Canary
from kfops.config.meaning import Environment, Rules
from kfops.config.policy import Limits, Policy, grant_of, is_served
from kfops.domain.image_reference import lies_in, repository_of

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


@dataclass(frozen=True)
class PolicyRefusal:
    """`rule` is the policy's key."""

    rule: str
    message: str
    found: str
    expected: str

    def __str__(self) -> str:
        return f"{self.message} (found {self.found}, expected {self.expected}; policy: {self.rule})"


def tighten(rules: Rules, policy: Policy, repository: str) -> Rules | tuple[PolicyRefusal, ...]:
    """What holds for `owner/name`, or why the server does not serve these rules at all."""
    refusals = tuple(_refusals(rules, policy, repository))
    if refusals:
        return refusals
    permissions = {
        key: tuple(dict.fromkeys((*needed, floor))) if (floor := getattr(policy.permissions, key)) else needed
        for key, needed in rules.permissions.items()
    }
    return replace(
        rules,
        permissions=MappingProxyType(permissions),
        environments=tuple(_environment(one, policy) for one in rules.environments),
        canary=_canary(rules.canary, policy.limits),
    )


def _refusals(rules: Rules, policy: Policy, repository: str) -> Iterator[PolicyRefusal]:
    if not is_served(policy, repository):
        yield PolicyRefusal(
            "repositories",
            "this server does not serve the repository",
            shown(repository),
            "a repository it serves",
        )
    grant = grant_of(policy, repository)
    if grant is None:
        return
    if rules.model not in grant.models:
        yield _not_granted(
            "models", "the repository has no right to this model name", rules.model, grant.models
        )
    for environment in rules.environments:
        if environment.name in grant.environments and environment.namespace not in grant.namespaces:
            message = f"the repository has no right to the namespace of {environment.name}"
            yield _not_granted("namespaces", message, environment.namespace, grant.namespaces)
    if rules.registry is not None and not lies_in(rules.registry, grant.image_repositories):
        message = "the repository has no right to this image repository"
        yield _not_granted("image_repositories", message, rules.registry, grant.image_repositories)


def _not_granted(rule: str, message: str, found: str, granted: tuple[str, ...]) -> PolicyRefusal:
    expected = f"one of {', '.join(granted)}" if granted else "none"
    return PolicyRefusal(f"repositories.….{rule}", message, shown(found), expected)


def environment_refusal(policy: Policy, repository: str, environment: str) -> PolicyRefusal | None:
    """Whether the repository may deploy to this environment at all."""
    grant = grant_of(policy, repository)
    if grant is None and policy.repositories is None:
        return None
    if grant is None or environment not in grant.environments:
        granted = grant.environments if grant else ()
        return _not_granted("environments", "the repository may not deploy there", environment, granted)
    return None


def data_refusal(policy: Policy, repository: str, location: str) -> PolicyRefusal | None:
    """Whether a run may read `location`: a path in the repository itself, or below a granted prefix (R10)."""
    grant = grant_of(policy, repository)
    is_address = _SCHEME.match(location) is not None
    parts = location.split("/")
    if ".." in parts or "%" in location or "\\" in location:
        return PolicyRefusal(
            "data_prefixes", "the location leaves its folder", shown(location), "a plain path"
        )
    if not is_address and not location.startswith(("/", "~")):
        return None
    if grant is None and policy.repositories is None and is_address and not location.startswith("file:"):
        return None
    granted = grant.data_prefixes if grant else ()
    if any(location.startswith(prefix) for prefix in granted):
        return None
    return _not_granted("data_prefixes", "the repository has no right to this data", location, granted)


def image_refusal(policy: Policy, repository: str, image: str) -> PolicyRefusal | None:
    """Whether a step may run in `image`: one of a granted repository or below it (R10). Without grants, in any."""
    if policy.repositories is None:
        return None
    grant = grant_of(policy, repository)
    granted = grant.image_repositories if grant else ()
    place = repository_of(image)
    if place is not None and lies_in(place, granted):
        return None
    return _not_granted("image_repositories", "the repository has no right to this image", image, granted)


def _environment(environment: Environment, policy: Policy) -> Environment:
    least = policy.requires.get(environment.name, ())
    return replace(environment, requires=environment.requires | frozenset(least))


def _canary(canary: Canary, limits: Limits) -> Canary:
    """The first step is made small enough by adding one before it, so that the team's own steps stay."""
    steps = canary.steps
    if limits.first_step is not None and steps[0] > limits.first_step:
        steps = (limits.first_step, *steps)
    return canary.model_copy(
        update={
            "steps": steps,
            "hold": max(canary.hold, limits.min_hold or canary.hold),
            "max_error_increase": min(canary.max_error_increase, limits.max_error_increase or 1),
            "max_latency_ratio": min(
                canary.max_latency_ratio, limits.max_latency_ratio or canary.max_latency_ratio
            ),
        }
    )
