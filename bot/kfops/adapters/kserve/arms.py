"""Which arm is which, and how it is: from what the cluster shows and what was wished for. Pure.

The candidate counts as gone only when the machinery of the canary is gone too: a percentage or an entry that is left
behind would be the next candidate's share.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from kfops.adapters.kserve.knative import KnativeView
from kfops.adapters.kserve.names import Identity, predictor_service
from kfops.adapters.kserve.standard import StandardView
from kfops.adapters.kserve.step import Target
from kfops.domain.canary_facts import Readiness
from kfops.ports.serving import ABSENT, Arm, Served

Health = Callable[[str], Arm]
"""How a revision (Knative) or a predictor's Service (Standard) is, by name: readiness, failure, restarts."""

_STARTING = Arm(Readiness.STARTING)


@dataclass(frozen=True)
class Names:
    """Under which names the arms are counted and asked: revisions in Knative mode, Services in Standard mode.

    `newest`: the newest candidate, also when it is gone.
    """

    stable: tuple[str, ...] = ()
    candidate: tuple[str, ...] = ()
    newest: str = ""


def knative_names(view: KnativeView, target: Target, newest: str) -> Names:
    reached = _reached(view, target)
    return Names(
        _revisions(view, reached) if reached else (),
        _revisions(view, target.candidate) if target.candidate else (),
        newest,
    )


def knative(view: KnativeView, target: Target, url: str, health: Health) -> Served:
    wished = target.candidate
    reached = None if view.is_hidden else _reached(view, target)
    candidate = incoming = ABSENT
    if wished is not None:
        candidate = _revision(view, wished, health)
        if candidate.readiness is Readiness.READY and not _is_routed(view, wished):
            candidate = _STARTING  # a revision that has no route yet cannot even be asked alone
    elif view.percent is not None:
        candidate = _STARTING
    if target.stable is not None and reached != target.stable:
        incoming = _revision(view, target.stable, health)
    return Served(
        stable=_revision(view, reached, health) if reached else ABSENT,
        candidate=candidate,
        candidate_weight=0 if view.is_hidden else view.share(wished),
        url=url,
        incoming=incoming,
    )


def standard_names(view: StandardView, target: Target, newest: str) -> Names:
    stable = predictor_service(view.model, view.predictor.get("name"))
    if target.candidate is not None and target.candidate == view.spec:
        return Names((), (stable,), stable)
    candidate = (predictor_service(view.model, view.canary.name),) if view.canary else ()
    return Names((stable,), candidate, newest)


def standard(view: StandardView, target: Target, url: str, health: Health) -> Served:
    own = view.predictor.get("name")
    stable = _predictor(view, own, view.spec, health)
    is_announced = view.is_announced and not view.is_hidden
    serves = view.is_routed(own) or (stable.readiness is Readiness.READY and is_announced)
    canary = view.canary
    beside = _predictor(view, canary.name, canary.identity, health) if canary else _STARTING
    if target.candidate is not None and target.candidate == view.spec:
        # The first one is the InferenceService's own predictor, and nobody stands beside it.
        return Served(ABSENT, stable, view.weight(own), url)
    is_incoming = canary is not None and target.candidate is None and canary.identity == target.stable
    candidate = beside if (canary or target.candidate) and not is_incoming else ABSENT
    if canary is not None and target.candidate is not None and canary.identity != target.candidate:
        candidate = _STARTING
    incoming = ABSENT
    if target.stable is not None and not (serves and view.spec == target.stable):
        incoming = beside if is_incoming else stable if view.spec == target.stable else _STARTING
    return Served(
        stable=stable if serves else ABSENT,
        candidate=candidate,
        candidate_weight=view.weight(canary.name) if canary else 0,
        url=url,
        incoming=incoming,
    )


def _reached(view: KnativeView, target: Target) -> Identity | None:
    """What users reach besides the candidate; the champion that stands by where the candidate has everything."""
    shares = {
        identity: view.share(identity)
        for name in view.shares or {}
        if (identity := view.identity(name)) and identity != target.candidate
    }
    most = max(shares, key=lambda one: shares[one], default=None)
    if most is not None and shares[most] > 0:
        return most
    stands_by = view.share(target.candidate) > 0 and target.stable and _revisions(view, target.stable)
    return target.stable if stands_by else None


def _revisions(view: KnativeView, identity: Identity) -> tuple[str, ...]:
    """Those of this model, oldest first: Knative numbers them."""
    return tuple(sorted(name for name, one in (view.identities or {}).items() if one == identity))


def _is_routed(view: KnativeView, identity: Identity) -> bool:
    return any(name in (view.shares or {}) for name in _revisions(view, identity))


def _revision(view: KnativeView, identity: Identity, health: Health) -> Arm:
    """By the revision of this model that is routed, if any is; else by the newest."""
    known = _revisions(view, identity)
    routed = [name for name in known if name in (view.shares or {})]
    name = (routed or known or ("",))[-1]
    is_reached = (view.shares or {}).get(name, 0) > 0
    return _arm(name, identity, health, is_reached=is_reached) if name else _STARTING


def _predictor(view: StandardView, name: str | None, identity: Identity | None, health: Health) -> Arm:
    return _arm(predictor_service(view.model, name), identity, health, is_reached=view.is_routed(name))


def _arm(name: str, identity: Identity | None, health: Health, *, is_reached: bool) -> Arm:
    """What users reach has been ready, so that it is known what it serves even while it is down."""
    arm = health(name)
    if identity is None or not (is_reached or arm.readiness is Readiness.READY):
        return arm
    return replace(arm, digest=identity.digest, version=identity.version)
