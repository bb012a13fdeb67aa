"""Which KServe this is: what it can do decides what may be asked of it. Nothing is guessed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import yaml

from kfops.adapters.kserve import names
from kfops.adapters.kserve.documents import Mode, mode_of
from kfops.adapters.kubernetes.client import Kubernetes
from kfops.ports.errors import Refused

_CONFIG = "inferenceservice-config"
_CONTROLLER = "kserve-controller-manager"
_WITH_WEIGHTS = (0, 21)  # earlier ones take `spec.canary` and share no traffic
_RELEASE = re.compile(r"v?(\d+)\.(\d+)")


@dataclass(frozen=True)
class Told:
    """What the operator says of KServe where it cannot be read; empty: read it."""

    mode: str = ""
    version: str = ""
    namespace: str = "kserve"


def mode_of_new_services(kubernetes: Kubernetes, told: Told) -> Mode:
    """What an InferenceService without a mode of its own would get. Refused when it is not to be known."""
    word = told.mode
    if not word:
        config = kubernetes.get(names.config_maps(told.namespace, _CONFIG)) or {}
        deploy = yaml.safe_load(config.get("data", {}).get("deploy", "") or "{}")
        word = deploy.get("defaultDeploymentMode", "") if isinstance(deploy, Mapping) else ""
    mode = mode_of(word)
    if mode is None:
        raise Refused(
            f"KServe's deployment mode is {word or 'not to be found'}; expected Knative or Standard",
            fix="set KFOPS_KSERVE_MODE to the mode that this cluster uses",
        )
    return mode


def check_shares_traffic(kubernetes: Kubernetes, told: Told) -> None:
    """Whether Standard mode can share traffic here. Refused when it cannot, or when that is not to be known."""
    word = told.version or _version_of_controller(kubernetes, told.namespace)
    found = _RELEASE.match(word)
    if found is None:
        raise Refused(
            f"KServe's version is {word or 'not to be found'}; in Standard mode it decides whether traffic can be shared",
            fix="set KFOPS_KSERVE_VERSION, such as 0.21",
        )
    if (int(found[1]), int(found[2])) < _WITH_WEIGHTS:
        raise Refused(
            f"KServe {word} shares no traffic in Standard mode: a canary would get none of it",
            fix="upgrade KServe to 0.21 or later, or use its Knative mode",
        )
    if kubernetes.get("/apis/gateway.networking.k8s.io/v1") is None:
        raise Refused(
            "this cluster has no Gateway API, without which KServe shares no traffic in Standard mode",
            fix="install the Gateway API and set `enableGatewayApi` in KServe's configuration",
        )


def _version_of_controller(kubernetes: Kubernetes, namespace: str) -> str:
    found = kubernetes.get(names.deployments(namespace, _CONTROLLER)) or {}
    containers = found.get("spec", {}).get("template", {}).get("spec", {}).get("containers") or []
    image = next((one.get("image", "") for one in containers if one.get("name") == "manager"), "")
    _, _, tag = image.partition("@")[0].rpartition("/")[2].partition(":")
    return str(tag)
