"""Standard mode: the candidate is an entry of `spec.canary` with a Deployment of its own, weighted by an HTTPRoute.
Pure: from what the cluster shows to the next step.

The weight moves first and a Deployment goes only when the route shows that nobody is led to it: KServe deletes
Deployments before it writes routes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from kfops.adapters.kserve import documents, names
from kfops.adapters.kserve.names import Identity, identity_of, predictor_service
from kfops.adapters.kserve.step import Create, Delete, Done, Patch, Refuse, Rendered, Step, Target, Wait
from kfops.adapters.kubernetes.client import condition

_ALL = 100
_SHOWN = Patch({"metadata": {"labels": {names.STANDARD_VISIBILITY: None}}})
NO_ROUTE = Refuse(
    "KServe keeps no HTTPRoute for this InferenceService: in Standard mode traffic can only be shared through the Gateway API",
    "set `enableGatewayApi` in KServe's configuration (the ConfigMap inferenceservice-config)",
)


@dataclass(frozen=True)
class Canary:
    """`available`: copies that run and are ready."""

    name: str
    identity: Identity | None
    percent: int
    replicas: int
    predictor: Mapping[str, Any]
    is_ready: bool = False
    available: int = 0


@dataclass(frozen=True)
class StandardView:
    """`routed`: weights in force by Service, as every route agrees on them; None where there is no route.
    `is_announced`: KServe says that the whole can be reached. `is_hidden`: KServe keeps no route to it.
    """

    model: str
    spec: Identity | None
    predictor: Mapping[str, Any]
    canary: Canary | None = None
    is_ready: bool = False
    is_announced: bool = False
    routed: Mapping[str, int] | None = None
    is_hidden: bool = False

    def is_routed(self, name: str | None) -> bool:
        """KServe leads no route to a predictor that was never ready."""
        return predictor_service(self.model, name) in (self.routed or {})

    def weight(self, name: str | None) -> int:
        """The share that the routes give to a predictor, in per cent."""
        routed = self.routed or {}
        whole = sum(routed.values())
        return round(_ALL * routed.get(predictor_service(self.model, name), 0) / whole) if whole else 0


def look(
    service: Mapping[str, Any], deployments: Mapping[str, Mapping[str, Any]], routes: list[dict[str, Any]]
) -> StandardView:
    """`deployments` by name. A route that its gateway has not taken over yet is in nobody's force."""
    model, spec, status = service["metadata"]["name"], service["spec"], service.get("status", {})
    predictor = spec["predictor"]
    stable = deployments.get(predictor_service(model, predictor.get("name")), {})
    entries = spec.get("canary") or []
    ready = {one["name"] for one in status.get("canaryStatuses") or [] if one.get("ready")}
    canary = None
    if entries:
        theirs, name = entries[0]["predictor"], entries[0]["predictor"]["name"]
        available = deployments.get(predictor_service(model, name), {}).get("status", {})
        canary = Canary(
            name,
            documents.identity(theirs),
            entries[0]["trafficPercent"],
            theirs.get("minReplicas", 0),
            theirs,
            is_ready=name in ready,
            available=available.get("availableReplicas", 0),
        )
    is_current = identity_of(_pod_annotations(stable)) == documents.identity(predictor)
    return StandardView(
        model,
        documents.identity(predictor),
        predictor,
        canary,
        is_ready=is_current and stable.get("status", {}).get("availableReplicas", 0) > 0,
        is_announced=condition(status.get("conditions"), "Ready").get("status") == "True",
        routed=_routed(routes, None if canary is None else predictor_service(model, canary.name)),
        is_hidden=names.labels_of(service).get(names.STANDARD_VISIBILITY) == names.CLUSTER_LOCAL,
    )


def next_step(view: StandardView | None, target: Target, rendered: Rendered) -> Step:
    """`view` None: there is no InferenceService."""
    first = target.stable or target.candidate
    if view is None:
        return Create(rendered(first), target.is_unseen) if first else Done()
    if first is None:
        return Delete()
    if view.is_hidden and view.spec == first and not target.is_unseen:
        return _SHOWN if view.is_ready else Wait("it is not ready yet, and not shown to anybody")
    if (target.stable is None or view.is_hidden) and view.spec != first and view.canary is None:
        # The first one that was tried never served anybody.
        return Patch({"spec": {"predictor": documents.replace_predictor(view.predictor, rendered(first))}})
    if target.candidate is None or target.stable is None or view.spec != target.stable:
        return _alone(view, first, rendered)
    return _share(view, target, target.candidate, rendered)


def _alone(view: StandardView, wanted: Identity, rendered: Rendered) -> Step:
    """One model: where it is not the stable one yet it comes as a canary, gets the traffic, then the name."""
    canary = view.canary
    if view.spec == wanted:
        return Done() if canary is None else _remove(view, canary)
    if canary is not None and canary.identity != wanted:
        return _remove(view, canary)
    if canary is None:
        return _add(view, rendered(wanted), wanted.short)
    moved = _weigh(view, canary, _ALL)
    if not isinstance(moved, Done):
        return moved
    if view.weight(canary.name) != _ALL:
        return Wait("the route does not give it all traffic yet")
    change = documents.replace_predictor(view.predictor, rendered(wanted))
    return Patch({"spec": {"predictor": {**change, "name": canary.name}, "canary": []}})


def _share(view: StandardView, target: Target, wanted: Identity, rendered: Rendered) -> Step:
    canary = view.canary
    if canary is None:
        return _add(view, rendered(wanted), wanted.short)
    if canary.identity != wanted:
        return _remove(view, canary)
    return _weigh(view, canary, target.weight)


def _add(view: StandardView, predictor: Mapping[str, Any], name: str) -> Step:
    if not view.is_ready:
        return Wait("the champion is not ready yet")
    if view.routed is None:
        return NO_ROUTE
    # Without a replica of its own a canary at 0 % has no pod at all.
    return Patch({"spec": {"canary": [documents.canary(predictor, name, 0, 1)]}})


def _remove(view: StandardView, canary: Canary) -> Step:
    if canary.percent != 0:
        return _entry(replace(canary, percent=0))
    if view.weight(canary.name) != 0:
        return Wait("the route still leads to the candidate")
    return Patch({"spec": {"canary": []}})


def _weigh(view: StandardView, canary: Canary, percent: int) -> Step:
    """Down at once; up when it is ready, and has the copies for it."""
    if canary.percent == percent:
        return Done()
    if percent < canary.percent:
        return _entry(replace(canary, percent=percent))
    if not canary.is_ready:
        return Wait("the candidate is not ready yet")
    copies = max(1, math.ceil(view.predictor.get("minReplicas", 1) * percent / _ALL))
    if canary.replicas < copies:
        return _entry(replace(canary, replicas=copies))
    if canary.available < copies:
        return Wait(f"{canary.available} of {copies} copies of the candidate are available")
    return _entry(replace(canary, percent=percent))


def _entry(canary: Canary) -> Patch:
    """The list is replaced as a whole, whatever changes in it."""
    return Patch(
        {
            "spec": {
                "canary": [documents.canary(canary.predictor, canary.name, canary.percent, canary.replicas)]
            }
        }
    )


def _routed(routes: list[dict[str, Any]], canary: str | None) -> dict[str, int] | None:
    """Where several routes lead to the model, the one that gives the canary most: 0 is only 0 when all say so."""
    found = [_backends(route) for route in routes]
    return max(found, key=lambda one: one.get(canary or "", 0), default=None)


def _backends(route: Mapping[str, Any]) -> dict[str, int]:
    weights: dict[str, int] = {}
    for rule in route.get("spec", {}).get("rules") or []:
        for backend in rule.get("backendRefs") or []:
            weights[backend["name"]] = backend.get("weight", 1)
    return weights


def is_taken_over(route: Mapping[str, Any]) -> bool:
    """A gateway reports on the route, and all that do have accepted it as it is written now."""
    generation = route.get("metadata", {}).get("generation")
    parents = route.get("status", {}).get("parents") or []
    told = [
        condition
        for parent in parents
        for condition in parent.get("conditions") or []
        if condition.get("type") in {"Accepted", "ResolvedRefs"}
    ]
    return bool(told) and all(
        one.get("status") == "True" and one.get("observedGeneration", generation) == generation
        for one in told
    )


def _pod_annotations(deployment: Mapping[str, Any]) -> Mapping[str, str]:
    template: Mapping[str, Any] = deployment.get("spec", {}).get("template", {})
    return dict(template.get("metadata", {}).get("annotations") or {})
