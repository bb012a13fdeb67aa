"""An engine for the port `Models` that keeps real state in memory: bytes, versions, aliases, tags."""

from __future__ import annotations

import math
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from threading import RLock
from typing import Any

from kfops.adapters.local.digest import digest_of_directory, digest_of_file, files_of
from kfops.domain.model_version import Alias, Artifact, ModelVersion
from kfops.ports.errors import Refused
from kfops.ports.models import RunRecord

_SUFFIXES = (".csv", ".json", ".jsonl", ".npy", ".parquet", ".txt", ".xlsx")
_IDENTITY = ("digest", "kfops.operation")


@dataclass
class _Kept:
    value: ModelVersion
    artifacts: dict[Artifact, dict[str, bytes]]


class InMemoryModels:
    """`registered` counts versions made: what a test of "nothing twice" looks at."""

    def __init__(self) -> None:
        self._versions: dict[tuple[str, str], _Kept] = {}
        self._aliases: dict[tuple[str, Alias], str] = {}
        self._lock = RLock()

    @property
    def registered(self) -> int:
        return len(self._versions)

    def record(self, run: RunRecord) -> ModelVersion:
        if Artifact.MODEL not in run.artifacts:
            raise Refused("the run has no artifact `model`; expected an MLflow model directory")
        digest = digest_of_directory(run.artifacts[Artifact.MODEL])
        digests = {
            f"digest.{kind}": digest_of_file(path)
            for kind, path in run.artifacts.items()
            if kind is not Artifact.MODEL
        }
        with self._lock:
            found = self._newest_with(run.model, {"kfops.operation": run.operation})
            if found:
                if found.digest != digest:
                    raise Refused(
                        f"operation {run.operation} was recorded with model {found.digest}, not with {digest}"
                    )
                return found
            tags = {**run.tags, **digests, "kfops.operation": run.operation, "digest": digest}
            return self._keep(run, digest, tags)

    def adopt(self, model: str, tags: Mapping[str, str]) -> ModelVersion | None:
        with self._lock:
            return self._newest_with(model, tags)

    def version_of(self, model: str, version: str) -> ModelVersion | None:
        kept = self._versions.get((model, version))
        return kept.value if kept else None

    def by_alias(self, model: str, alias: Alias) -> ModelVersion | None:
        version = self._aliases.get((model, alias))
        return self.version_of(model, version) if version else None

    def set_alias(self, model: str, alias: Alias, version: str | None) -> None:
        with self._lock:
            if version is None:
                self._aliases.pop((model, alias), None)
            else:
                self._required(model, version)
                self._aliases[model, alias] = version

    def tag(self, model: str, version: str, tags: Mapping[str, str]) -> None:
        with self._lock:
            kept = self._required(model, version)
            for key in _IDENTITY:
                if key in tags and tags[key] != kept.value.tags.get(key):
                    raise Refused(
                        f"the tag {key!r} of {model} version {version} is its identity; it cannot be changed"
                    )
            kept.value = replace(kept.value, tags={**kept.value.tags, **tags})

    def fetch(self, model: str, version: str, artifact: Artifact, into: Path) -> Path | None:
        kept = self._required(model, version)
        files = kept.artifacts.get(artifact)
        if files is None:
            return None
        into.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=into, ignore_cleanup_errors=True) as scratch:
            folder = Path(scratch) / "arrived"
            for name, content in files.items():
                place = folder / name
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(content)
            what, expected = folder, kept.value.digest
            if artifact is not Artifact.MODEL:
                what, expected = next(folder.iterdir()), kept.value.tags[f"digest.{artifact}"]
            arrived = digest_of_directory(what) if what.is_dir() else digest_of_file(what)
            if arrived != expected:
                raise Refused(
                    f"{artifact} of {model} version {version} arrived with digest {arrived}; expected {expected}"
                )
            target = into / (artifact.value if what is folder else what.name)
            if target.is_dir():
                shutil.rmtree(target)
            return what.replace(target)

    def versions(self) -> tuple[ModelVersion, ...]:
        """All there are, oldest first."""
        return tuple(kept.value for kept in self._versions.values())

    def held(self) -> Any:
        """All it knows; `restore` takes a copy of it back."""
        return self._versions, self._aliases

    def restore(self, held: Any) -> None:
        self._versions, self._aliases = held

    def corrupt(self, model: str, version: str, artifact: Artifact) -> None:
        """What a disk, or somebody with access to it, could do."""
        files = self._required(model, version).artifacts[artifact]
        name = next(iter(files))
        files[name] += b"!"

    def _keep(self, run: RunRecord, digest: str, tags: dict[str, str]) -> ModelVersion:
        number = str(1 + sum(model == run.model for model, _ in self._versions))
        value = ModelVersion(
            model=run.model,
            version=number,
            digest=digest,
            run_id=f"run-{run.model}-{number}",
            link=f"http://models.example/{run.model}/versions/{number}",
            run_link=f"http://models.example/{run.model}/runs/{number}",
            tags=tags,
            metrics={key: value for key, value in run.metrics.items() if math.isfinite(value)},
            parameters=dict(run.parameters),
        )
        kept = {kind: _contents(kind, path) for kind, path in run.artifacts.items()}
        self._versions[run.model, number] = _Kept(value, kept)
        return value

    def _newest_with(self, model: str, tags: Mapping[str, str]) -> ModelVersion | None:
        fitting = [
            kept.value
            for (name, _), kept in self._versions.items()
            if name == model and tags.items() <= kept.value.tags.items()
        ]
        return max(fitting, key=lambda value: int(value.version), default=None)

    def _required(self, model: str, version: str) -> _Kept:
        if (model, version) not in self._versions:
            raise Refused(f"there is no version {version} of model {model}")
        return self._versions[model, version]


def _contents(kind: Artifact, path: Path) -> dict[str, bytes]:
    if kind is Artifact.MODEL:
        return {name: file.read_bytes() for name, file in files_of(path)}
    return {kind.value + (path.suffix if path.suffix in _SUFFIXES else ""): path.read_bytes()}
