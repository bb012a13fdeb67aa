"""Knative mode: two revisions share the traffic. Pure: from what the cluster shows to the next step.

`canaryTrafficPercent` is the share of the *latest ready* revision, whichever that is. So a candidate always begins at
0, and a share is only raised when the latest ready revision is that candidate: else the one before it would get it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kfops.adapters.kserve import documents, names
from kfops.adapters.kserve.names import Identity, annotations_of, identity_of
from kfops.adapters.kserve.step import Create, Delete, Done, Patch, Rendered, Step, Target, Wait

_ALL = 100
_SHOWN = Patch({"metadata": {"labels": {names.KNATIVE_VISIBILITY: None}}})


@dataclass(frozen=True)
class KnativeView:
    """`percent` is what was asked for (None: everything to the latest ready revision), `shares` what is routed, by
    revision. `rolled_out` and `before` are the revisions that last had all traffic. `is_hidden`: no gateway leads here.
    """

    spec: Identity | None
    percent: int | None
    predictor: Mapping[str, Any]
    created: str = ""
    ready: str = ""
    rolled_out: str = ""
    before: str = ""
    shares: Mapping[str, int] | None = None
    tags: Mapping[str, str] | None = None
    identities: Mapping[str, Identity] | None = None
    is_hidden: bool = False

    def identity(self, revision: str) -> Identity | None:
        return (self.identities or {}).get(revision)

    def share(self, identity: Identity | None) -> int:
        """What all revisions of this model get together, in per cent."""
        shares = (self.shares or {}).items()
        return sum(share for revision, share in shares if identity and self.identity(revision) == identity)

    @property
    def is_live(self) -> bool:
        """The newest revision is of what is specified, is ready, and is routed. `observedGeneration` would not do: it is
        another object's.
        """
        return (
            self.created != ""
            and self.created == self.ready
            and self.identity(self.created) == self.spec
            and self.created in (self.shares or {})
        )


def look(service: Mapping[str, Any], revisions: list[dict[str, Any]]) -> KnativeView:
    predictor = service["spec"]["predictor"]
    status = service.get("status", {}).get("components", {}).get("predictor", {})
    known = {one["metadata"]["name"]: identity_of(annotations_of(one)) for one in revisions}
    shares: dict[str, int] = {}
    tags: dict[str, str] = {}
    for entry in status.get("traffic") or []:
        name = entry.get("revisionName", "")
        shares[name] = shares.get(name, 0) + (entry.get("percent") or 0)
        if entry.get("tag") and entry.get("url"):
            tags[name] = entry["url"]
    return KnativeView(
        spec=documents.identity(predictor),
        percent=predictor.get("canaryTrafficPercent"),
        predictor=predictor,
        created=status.get("latestCreatedRevision", ""),
        ready=status.get("latestReadyRevision", ""),
        rolled_out=status.get("latestRolledoutRevision", ""),
        before=status.get("previousRolledoutRevision", ""),
        shares=shares,
        tags=tags,
        identities={name: identity for name, identity in known.items() if identity},
        is_hidden=names.labels_of(service).get(names.KNATIVE_VISIBILITY) == names.CLUSTER_LOCAL,
    )


def next_step(view: KnativeView | None, target: Target, rendered: Rendered) -> Step:
    """`view` None: there is no InferenceService."""
    first = target.stable or target.candidate
    if view is None:
        return Create(rendered(first), target.is_unseen) if first else Done()
    if first is None:
        return Delete()
    if view.is_hidden and view.spec == first and not target.is_unseen:
        # The label is no part of a revision: showing it starts nothing anew.
        return _SHOWN if view.is_live else Wait("it is not ready yet, and not shown to anybody")
    if target.candidate is None or target.stable is None:
        # A first deployment is alone: nothing shares with it.
        return _alone(view, first, rendered)
    if view.spec == target.candidate:
        return _share(view, target, rendered)
    if view.spec != target.stable or view.percent is not None:
        return _alone(view, target.stable, rendered)
    if view.is_live and view.share(target.stable) == _ALL and view.rolled_out:
        # Without a rolled-out revision KServe would ignore the 0 and give the candidate everything.
        return _specify(view, rendered(target.candidate), 0)
    return Wait("the champion does not have all traffic yet")


def _alone(view: KnativeView, wanted: Identity, rendered: Rendered) -> Step:
    """All traffic to one model, by way of 0 where another one had a share: dropping the percentage first would give
    everything to the bad revision, which stays the latest ready one until the new one is ready.
    """
    if view.spec == wanted:
        if view.percent is None:
            return Done()
        return _percent(None) if view.is_live else Wait("its revision is not ready and routed yet")
    if view.percent is None:
        return _specify(view, rendered(wanted), None)
    if view.percent != 0:
        return _percent(0)
    if view.share(view.spec):
        return Wait("the candidate still has traffic")
    return _specify(view, rendered(wanted), 0)


def _share(view: KnativeView, target: Target, rendered: Rendered) -> Step:
    if view.percent is None:
        # It was promoted. Only a revision that is still known as rolled out can be given traffic back at once.
        if target.stable in {view.identity(view.rolled_out), view.identity(view.before)}:
            return _percent(target.weight)
        return _specify(view, rendered(target.stable or target.candidate or Identity("", "")), None)
    if view.percent == target.weight:
        return Done()
    if target.weight < view.percent or view.is_live:
        return _percent(target.weight)
    return Wait("the candidate is not ready and routed yet")


def _percent(value: int | None) -> Patch:
    return Patch({"spec": {"predictor": {"canaryTrafficPercent": value}}})


def _specify(view: KnativeView, predictor: Mapping[str, Any], percent: int | None) -> Patch:
    """Model and percentage in one patch: one new revision, never a moment in which it has another share."""
    change = documents.replace_predictor(view.predictor, predictor)
    return Patch({"spec": {"predictor": {**change, "canaryTrafficPercent": percent}}})
