"""Whether a cluster can serve as Kfops needs it: for `kfops doctor`."""

from __future__ import annotations

from collections.abc import Iterator

from kfops.adapters.kserve import installation
from kfops.adapters.kserve.documents import Mode
from kfops.adapters.kserve.installation import Told
from kfops.adapters.kubernetes.client import Kubernetes

_API = "/apis/serving.kserve.io/v1beta1"


def examine(kubernetes: Kubernetes, told: Told) -> Iterator[tuple[str, str, bool]]:
    """Problem, fix, and whether it is grave. Refused where mode or version are not to be known, or share no traffic."""
    if kubernetes.get(_API) is None:
        yield "this cluster knows no InferenceServices", "install KServe, or mend KFOPS_KUBECONFIG", True
        return
    if installation.mode_of_new_services(kubernetes, told) is Mode.STANDARD:
        installation.check_shares_traffic(kubernetes, told)
