"""The port `Models` on an MLflow tracking server."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx

from kfops.adapters.local.digest import digest_of_directory, digest_of_file
from kfops.adapters.mlflow import artifacts, registry, tracking
from kfops.adapters.mlflow.registry import Registered
from kfops.adapters.mlflow.rest import Rest
from kfops.adapters.mlflow.tracking import DIGEST, OPERATION
from kfops.domain.model_version import Alias, Artifact, ModelVersion
from kfops.ports.errors import Refused
from kfops.ports.models import RunRecord

# Suffixes that tell a reader what a file is; any other is left off, because a step chose it.
_SUFFIXES = (".csv", ".json", ".jsonl", ".npy", ".parquet", ".txt", ".xlsx")


class MlflowModels:
    """`url` is where the bot reaches the server; `public_url`, where people do (the links)."""

    def __init__(
        self, url: str, *, public_url: str = "", auth: httpx.Auth | tuple[str, str] | None = None
    ) -> None:
        self._rest = Rest(url, auth=auth)
        self._pages = (public_url or url).rstrip("/")

    def close(self) -> None:
        self._rest.close()

    def record(self, run: RunRecord) -> ModelVersion:
        model = run.artifacts.get(Artifact.MODEL)
        if model is None:
            raise Refused("the run has no artifact `model`; expected an MLflow model directory")
        digests = {
            _digest_tag(kind): digest_of_file(path)
            for kind, path in run.artifacts.items()
            if kind != Artifact.MODEL
        }
        digest = digest_of_directory(model)
        found = registry.newest_with(self._rest, run.model, {OPERATION: run.operation})
        if found is None:
            found = self._register(run, digest, digests)
        elif found.tags.get(DIGEST) != digest:
            raise tracking.recorded_otherwise(run.operation, found.tags, digest)
        return self._whole(found)

    def _register(self, run: RunRecord, digest: str, digests: Mapping[str, str]) -> Registered:
        """Registering comes last and all at once: a version that can be found is whole, anything less is done again."""
        tracked = tracking.opened(self._rest, run, digest)
        tracking.log(self._rest, tracked, run)
        self._upload(tracked.artifacts, run.artifacts)
        tracking.finish(self._rest, tracked, run)
        return registry.register(
            self._rest,
            run.model,
            source=f"{tracked.artifacts}/{Artifact.MODEL}",
            run_id=tracked.id,
            tags={**run.tags, **digests, OPERATION: run.operation, DIGEST: digest},
            description=run.description,
        )

    def adopt(self, model: str, tags: Mapping[str, str]) -> ModelVersion | None:
        found = registry.newest_with(self._rest, model, tags)
        if found is None:
            return None
        if DIGEST not in found.tags:
            registry.set_tags(self._rest, model, found.version, self._measured(found))
        return self.version_of(model, found.version)

    def _measured(self, found: Registered) -> dict[str, str]:
        """Digest tags for a version that others registered, the model's last: it says that all are there."""
        digests = {}
        for artifact in (*(kind for kind in Artifact if kind is not Artifact.MODEL), Artifact.MODEL):
            uri = self._uri(found, artifact)
            if uri is None:
                continue
            with tempfile.TemporaryDirectory(prefix="kfops-adopt-") as folder:
                copy = Path(folder)
                artifacts.download(self._rest, uri, copy)
                files = list(copy.iterdir())
                if artifact is Artifact.MODEL:
                    digests[DIGEST] = digest_of_directory(copy)
                elif len(files) == 1 and files[0].is_file():
                    digests[_digest_tag(artifact)] = digest_of_file(files[0])
        return digests

    def version_of(self, model: str, version: str) -> ModelVersion | None:
        found = registry.version(self._rest, model, version)
        return self._whole(found) if found else None

    def by_alias(self, model: str, alias: Alias) -> ModelVersion | None:
        found = registry.by_alias(self._rest, model, alias.value)
        return self._whole(found) if found else None

    def set_alias(self, model: str, alias: Alias, version: str | None) -> None:
        if version is not None:
            self._required(model, version)
        registry.point(self._rest, model, alias.value, version)

    def tag(self, model: str, version: str, tags: Mapping[str, str]) -> None:
        current = self._required(model, version).tags
        for key in (DIGEST, OPERATION):
            if key in tags and tags[key] != current.get(key):
                raise Refused(
                    f"the tag {key!r} of {model} version {version} is its identity; it cannot be changed"
                )
        registry.set_tags(self._rest, model, version, tags)

    def fetch(self, model: str, version: str, artifact: Artifact, into: Path) -> Path | None:
        found = self._required(model, version)
        uri = self._uri(found, artifact)
        if uri is None:
            return None
        into.mkdir(parents=True, exist_ok=True)
        with _scratch(into) as scratch:
            artifacts.download(self._rest, uri, scratch)
            names = sorted(path.name for path in scratch.iterdir())
            if not names:
                return None
            if artifact is Artifact.MODEL:
                _verify(f"{model} version {version}", digest_of_directory(scratch), found.tags.get(DIGEST))
                return _placed(scratch, into / artifact.value)
            if len(names) > 1:
                raise Refused(
                    f"{model} version {version} has {len(names)} files as {artifact.value}; expected one"
                )
            file = scratch / names[0]
            what = f"{artifact.value} of {model} version {version}"
            _verify(what, digest_of_file(file), found.tags.get(_digest_tag(artifact)))
            return _placed(file, into / _file_name(artifact, file))

    def _upload(self, uri: str, files: Mapping[Artifact, Path]) -> None:
        for kind, path in files.items():
            if kind is Artifact.MODEL:
                artifacts.upload_directory(self._rest, f"{uri}/{kind}", path)
            else:
                artifacts.upload_file(self._rest, f"{uri}/{kind}/{_file_name(kind, path)}", path)

    def _uri(self, found: Registered, artifact: Artifact) -> str | None:
        if artifact is Artifact.MODEL:
            return registry.source_of(self._rest, found.model, found.version)
        run = tracking.run_of(self._rest, found.run_id) if found.run_id else None
        return f"{run.artifacts}/{artifact}" if run else None

    def _required(self, model: str, version: str) -> Registered:
        found = registry.version(self._rest, model, version)
        if found is None:
            raise Refused(
                f"there is no version {version} of model {model}", fix="see the model's page for its versions"
            )
        return found

    def _whole(self, found: Registered) -> ModelVersion:
        run = tracking.run_of(self._rest, found.run_id) if found.run_id else None
        return ModelVersion(
            model=found.model,
            version=found.version,
            digest=found.tags.get(DIGEST, ""),
            run_id=found.run_id,
            link=f"{self._pages}/#/models/{found.model}/versions/{found.version}",
            run_link=f"{self._pages}/#/experiments/{run.experiment}/runs/{run.id}" if run else "",
            tags=found.tags,
            metrics=run.metrics if run else {},
            parameters=run.parameters if run else {},
        )


def _digest_tag(artifact: Artifact) -> str:
    return f"{DIGEST}.{artifact.value}"


def _file_name(artifact: Artifact, path: Path) -> str:
    return artifact.value + (path.suffix if path.suffix in _SUFFIXES else "")


def _verify(what: str, arrived: str, expected: str | None) -> None:
    if expected is None:
        raise Refused(f"{what} carries no digest; expected one that was taken when it was registered")
    if arrived != expected:
        raise Refused(
            f"{what} arrived with digest {arrived}; {expected} was registered: the artifact store's content was changed",
            fix="run /build_run again, or restore the artifact store",
        )


@contextmanager
def _scratch(into: Path) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix=".fetch-", dir=into))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _placed(what: Path, place: Path) -> Path:
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)
    return what.replace(place)
