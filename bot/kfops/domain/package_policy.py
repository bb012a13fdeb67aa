"""What a package may ask of a cluster. A package is foreign data: what is not on a list is refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kfops.domain.package import PackageContent

# Where and how a pod is placed, and nothing that gives it rights, secrets or somebody's volume. Labels and annotations
# (podMetadata) can: of cloud roles, of secrets' injectors, of what network policies choose by.
_HARMLESS = frozenset(
    {
        *(
            "activeDeadlineSeconds",
            "emptyDirMounts",
            "enabledSharedMemory",
            "imagePullPolicy",
            "nodeAffinity",
        ),
        *("nodeSelector", "pipelineTtl", "tolerations", "ttlSecondsAfterFinished"),
    }
)


@dataclass(frozen=True)
class Allowed:
    """The operator's lists. `platform`: settings beyond the harmless ones, by KFP's names (`pvcMount`, `secretAsEnv`, …).
    `secrets`: names of Kubernetes secrets.
    """

    platform: frozenset[str] = frozenset()
    secrets: frozenset[str] = frozenset()


def objections(content: PackageContent, allowed: Allowed) -> tuple[str, ...]:
    """Sentences, one for each thing that is not allowed; empty when all is well."""
    return tuple(_settings(content, allowed))


def _settings(content: PackageContent, allowed: Allowed) -> Iterator[str]:
    for executor, settings in content.platform.items():
        where = "the pipeline" if executor == "*" else f"step {executor.removeprefix('exec-')}"
        for name, value in settings.items():
            if name in {"secretAsEnv", "secretAsVolume", "imagePullSecret"}:
                for secret in _secrets(value):
                    if secret not in allowed.secrets:
                        yield f"{where} wants the secret {secret}, which the operator does not allow"
            elif name not in _HARMLESS and name not in allowed.platform:
                yield f"{where} has the platform setting {name}, which the operator does not allow"


def _secrets(value: Any) -> Iterator[str]:
    for entry in value if isinstance(value, list) else [value]:
        if not isinstance(entry, Mapping):
            yield str(entry)
            continue
        # The name can be a constant in either of two places, or a pipeline's input, which is not known before the run.
        parameter = entry.get("secretNameParameter", {})
        constant = (
            parameter.get("runtimeValue", {}).get("constant") if isinstance(parameter, Mapping) else None
        )
        if any("_" in str(key) for key in (*entry, *(parameter if isinstance(parameter, Mapping) else ()))):
            yield "whose name is spelled in another way than KFP's compiler does"  # as readers of protobuf take it too
        names = {str(name) for name in (entry.get("secretName"), constant) if name}
        yield from names or {"whose name is an input"}
        if parameter and constant is None:
            yield "whose name is an input"
