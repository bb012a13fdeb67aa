"""What each of KServe's modes makes of the same look at a cluster."""

from __future__ import annotations

from typing import Any

from kfops.adapters.kserve import arms, cluster, knative, standard
from kfops.adapters.kserve.arms import Names
from kfops.adapters.kserve.cluster import Cluster
from kfops.adapters.kserve.kept import Kept
from kfops.adapters.kserve.knative import KnativeView
from kfops.adapters.kserve.names import Identity
from kfops.adapters.kserve.standard import StandardView
from kfops.adapters.kserve.step import Delete, Step, Target, Wait
from kfops.domain.canary_facts import Readiness
from kfops.domain.environment import EnvironmentKey
from kfops.ports.serving import ABSENT, Arm, Served


def shown(environment: EnvironmentKey, wished: Target, seen: Cluster | None) -> Served:
    if seen is None or seen.view is None:
        url = cluster.in_cluster_url(environment)
        candidate, stable = (
            Arm(Readiness.STARTING) if one else ABSENT for one in (wished.candidate, wished.stable)
        )
        return Served(ABSENT, candidate, 0, url, incoming=stable)
    if isinstance(seen.view, KnativeView):
        return arms.knative(seen.view, wished, seen.url, seen.health)
    return arms.standard(seen.view, wished, seen.url, seen.health)


def next_step(seen: Cluster | None, wished: Kept) -> Step:
    def rendered(identity: Identity) -> dict[str, Any]:
        return wished.predictors[identity]

    if seen is None:
        return knative.next_step(None, wished.target, rendered)
    if "deletionTimestamp" in seen.service["metadata"]:
        return Wait("it is being deleted")
    if isinstance(seen.view, KnativeView):
        return knative.next_step(seen.view, wished.target, rendered)
    if isinstance(seen.view, StandardView):
        return standard.next_step(seen.view, wished.target, rendered)
    if wished.target == Target():
        return Delete()
    return Wait("KServe has not taken it up yet")


def counted(seen: Cluster | None, wished: Kept) -> Names:
    """Under which names the arms are counted and asked."""
    if seen is not None and isinstance(seen.view, KnativeView):
        return arms.knative_names(seen.view, wished.target, wished.newest)
    if seen is not None and isinstance(seen.view, StandardView):
        return arms.standard_names(seen.view, wished.target, wished.newest)
    return Names(newest=wished.newest)


def alone_at(seen: Cluster, key: EnvironmentKey, named: tuple[str, ...]) -> tuple[str, str] | None:
    """The newest of an arm's names that can be asked alone, and where."""
    if isinstance(seen.view, KnativeView):
        tags = seen.view.tags or {}
        return next(((name, tags[name]) for name in reversed(named) if name in tags), None)
    reachable = [name for name in named if seen.health(name).readiness is Readiness.READY]
    return next(((name, f"http://{name}.{key.namespace}.svc.cluster.local") for name in reachable), None)
