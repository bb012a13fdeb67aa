"""A model repository on one's own desk: from `kfops.yaml` with its overrides to a run's order."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kfops.cli.exits import Exit, Stop
from kfops.command.identifiers import InvalidValue, identifier, value
from kfops.command.model import Assignments
from kfops.config.keys import is_section
from kfops.config.load import FILENAME, load_tree
from kfops.config.local import overridden
from kfops.config.model import KfopsFile
from kfops.config.overrides import Parameters, parameters
from kfops.domain.package import CompileFailure, Package
from kfops.ports.pipelines import CompileOrder, Pipelines, RunOrder

KEPT = ".kfops"
_LAST = "last-package.json"


@dataclass(frozen=True)
class Job:
    """One repository with its configuration as it will be used. `typed`: the parameters among the `--set`.

    `kubeflow_url`: where it is run; empty: on this machine, unless the settings say otherwise.
    """

    folder: Path
    content: Mapping[str, Any]
    file: KfopsFile
    typed: Assignments
    kubeflow_url: str = ""

    @property
    def kept(self) -> Path:
        return self.folder / KEPT


def assignments(texts: list[str]) -> Assignments:
    """`NAME=VALUE` each."""
    pairs = []
    for text in texts:
        name, equals, said = text.partition("=")
        if not equals:
            raise Stop(Exit.USAGE, f"--set {text}: expected NAME=VALUE, found no '='")
        try:
            pairs.append((identifier("--set", name), value("--set", said)))
        except InvalidValue as wrong:
            raise Stop(Exit.USAGE, str(wrong)) from wrong
    return tuple(pairs)


def read(folder: Path, override: Path | None, texts: list[str], kubeflow_url: str = "") -> Job:
    """Raises ConfigError with everything that is wrong, or Stop."""
    if kubeflow_url and not re.fullmatch(r"https?://[^\s/?#]+(/[^\s?#]*)?", kubeflow_url):
        raise Stop(
            Exit.USAGE,
            f"--kubeflow-url {kubeflow_url}: expected an address such as https://kubeflow.example.com/pipeline",
        )
    pairs = assignments(texts)
    path = folder / FILENAME
    if not path.is_file():
        raise Stop(
            Exit.CONFIGURATION,
            f"{path}: there is no such file. `kfc init DIR` starts a model repository; --repo names another folder.",
        )
    over = None
    if override is not None:
        if not override.is_file():
            raise Stop(Exit.USAGE, f"--config-override {override}: there is no such file")
        over = (override.read_bytes(), str(override))
    tree = overridden(path.read_bytes(), filename=FILENAME, override=over, assignments=pairs)
    typed = tuple(pair for pair in pairs if _is_parameter(pair[0]))
    return Job(folder, tree.value, load_tree(tree), typed, kubeflow_url)


def _is_parameter(name: str) -> bool:
    """The same rule as in `kfops.config.local`: a bare name that is no key of the file is a parameter."""
    return "." not in name and (name not in KfopsFile.model_fields or is_section(KfopsFile, (name,)))


def compile_pipeline(job: Job, pipelines: Pipelines) -> Package:
    order = CompileOrder(
        job.folder, job.file.pipeline.source, job.kept / "packages", job.file.pipeline.function
    )
    return _whole(pipelines.compile(order))


def _whole(made: Package | CompileFailure) -> Package:
    if isinstance(made, Package):
        return made
    place = ":".join(str(part) for part in (made.path, made.line) if part is not None)
    lines = [f"{place}: {made.summary}" if place else made.summary]
    lines += [f"    {made.code.strip()}"] if made.code else []
    lines += [made.hint] if made.hint else []
    lines += [made.log_tail.rstrip()] if made.log_tail.strip() else []
    raise Stop(Exit.NO_PACKAGE, *lines, detail={"path": made.path, "line": made.line})


def keep(job: Job, package: Package) -> None:
    """Remember it for `kfc run`."""
    job.kept.mkdir(exist_ok=True)
    (job.kept / _LAST).write_text(json.dumps({"digest": package.digest}), encoding="utf-8")


def last_package(job: Job, pipelines: Pipelines, chosen: str | None) -> Package | None:
    """The last one built here, or the one whose digest begins with `chosen`; read anew, so it is checked anew."""
    digest = chosen or _last_digest(job)
    if digest is None:
        return None
    found = sorted((job.kept / "packages").glob(f"{digest}*.yaml")) if digest.isalnum() else []
    if len(found) != 1:
        what = "several packages begin" if found else "no package begins"
        raise Stop(Exit.USAGE, f"{what} with {digest} in {job.kept / 'packages'}; `kfc build` makes one")
    return _whole(pipelines.compile(CompileOrder(found[0].parent, found[0].name, job.kept / "packages")))


def _last_digest(job: Job) -> str | None:
    try:
        return str(json.loads((job.kept / _LAST).read_text(encoding="utf-8"))["digest"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def is_older(job: Job, package: Package) -> bool:
    """Was Python of the repository changed after the package was built?"""
    built = package.path.stat().st_mtime
    files = (path for path in job.folder.rglob("*.py") if not {".venv", KEPT} & set(path.parts))
    return any(path.stat().st_mtime > built for path in files)


def run_parameters(job: Job, package: Package) -> Parameters:
    by_set = {name for name, _ in job.typed}
    configured = {name: value for name, value in job.file.pipeline.parameters.items() if name not in by_set}
    found = parameters(package.inputs, configured, job.typed)
    if not isinstance(found, Parameters):
        raise Stop(Exit.CONFIGURATION, *map(str, found))
    return found


def run_order(job: Job, package: Package, values: Mapping[str, Any]) -> RunOrder:
    order = RunOrder(
        name=f"kfc-{uuid.uuid4().hex[:12]}",
        package=package,
        source_dir=job.folder,
        parameters=dict(values),
        timeout_s=job.file.pipeline.timeout.total_seconds(),
        cache=job.file.pipeline.cache,
        labels={"by": "kfc", "model": job.file.model},
    )
    said = values.get(job.file.data.parameter) if job.file.data else None
    if isinstance(said, str) and Path(said).is_absolute():
        if not Path(said).is_file():
            raise Stop(Exit.CONFIGURATION, f"the data set {said}: there is no such file")
        return replace(order, data=(Path(said),))
    return order
