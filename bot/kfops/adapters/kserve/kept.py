"""The wish of one environment, kept on the cluster beside what it is about, as a ConfigMap.

It says which arm is which (the InferenceService alone does not), and how an arm was specified when it was first
wished for: whoever comes back is served as before, whatever the rules say by then. The ledger decides; this is only
what the backend was told last.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from kfops.adapters.kserve import names
from kfops.adapters.kserve.names import Identity
from kfops.adapters.kserve.step import Target
from kfops.adapters.kubernetes.client import Kubernetes
from kfops.domain.environment import EnvironmentKey
from kfops.ports.errors import Refused


@dataclass(frozen=True)
class Kept:
    """`predictors` by digest and label; `newest` is the name under which the newest candidate is counted."""

    target: Target = field(default_factory=Target)
    predictors: Mapping[Identity, dict[str, Any]] = field(default_factory=dict)
    newest: str = ""
    version: str = ""  # the ConfigMap's resourceVersion; empty: there is none yet

    def wished(self, target: Target, predictors: Mapping[Identity, dict[str, Any]]) -> Kept:
        """With this wish, and the specifications that it still needs; an arm's first one stays."""
        needed = {identity for identity in (target.stable, target.candidate) if identity}
        known = {**predictors, **self.predictors}
        return replace(self, target=target, predictors={one: known[one] for one in known if one in needed})


def read(kubernetes: Kubernetes, key: EnvironmentKey) -> Kept:
    """Refused when it is another environment's, or nobody knows where this one is."""
    if not key.namespace:
        raise Refused(
            f"the environment {key.name} has no namespace",
            fix=f"name deployment.environments.{key.name}.namespace in kfops.yaml",
        )
    found = kubernetes.get(names.config_maps(key.namespace, _name(key)))
    if found is None:
        return Kept()
    owner = (found["metadata"].get("labels") or {}).get(names.OWNER)
    if owner != key.slug:
        raise Refused(
            f"the ConfigMap {_name(key)} in namespace {key.namespace} belongs to {owner or 'somebody else'}",
            fix="give each repository and environment a namespace or a model name of its own",
        )
    content = json.loads(found.get("data", {}).get("wish") or "{}")
    predictors = {_identity(one["of"]): one["predictor"] for one in content.get("predictors", [])}
    return Kept(
        Target(
            _identity(content.get("stable")), _identity(content.get("candidate")), content.get("weight", 0)
        ),
        {identity: predictor for identity, predictor in predictors.items() if identity},
        content.get("newest", ""),
        found["metadata"]["resourceVersion"],
    )


def write(kubernetes: Kubernetes, key: EnvironmentKey, kept: Kept) -> Kept:
    """As it is kept now. Conflict when somebody else has written it since it was read."""
    data = {"wish": json.dumps(_content(kept), sort_keys=True)}
    if kept.version:
        change = {"metadata": {"resourceVersion": kept.version}, "data": data}
        made = kubernetes.patch(names.config_maps(key.namespace, _name(key)), change)
    else:
        metadata = {"name": _name(key), "labels": {names.OWNER: key.slug}}
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
        made = kubernetes.create(names.config_maps(key.namespace), body)
    return replace(kept, version=made["metadata"]["resourceVersion"])


def _name(key: EnvironmentKey) -> str:
    return f"kfops-{key.model}"


def _content(kept: Kept) -> dict[str, Any]:
    return {
        "stable": _written(kept.target.stable),
        "candidate": _written(kept.target.candidate),
        "weight": kept.target.weight,
        "newest": kept.newest,
        "predictors": [
            {"of": _written(identity), "predictor": predictor}
            for identity, predictor in kept.predictors.items()
        ],
    }


def _written(identity: Identity | None) -> dict[str, str] | None:
    return {"digest": identity.digest, "version": identity.version} if identity else None


def _identity(content: Mapping[str, str] | None) -> Identity | None:
    return Identity(content["digest"], content["version"]) if content else None
