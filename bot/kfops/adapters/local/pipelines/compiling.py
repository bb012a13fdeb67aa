"""From a pipeline file to a checked package. Foreign code runs in the sandbox; what comes out is foreign data."""

from __future__ import annotations

import hashlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeGuard

from kfops.adapters.local.confined import Ended
from kfops.adapters.local.confinement import Limits
from kfops.adapters.local.environments.inside_path import bound, imported
from kfops.adapters.local.outputs import exists, read_output
from kfops.adapters.local.pipelines.suitable import unsuitable
from kfops.adapters.local.short_work import ShortWork, Workroom
from kfops.domain.package import CompileFailure, Package
from kfops.domain.package_ir import LARGEST_BYTES, NotAPackage, read_package
from kfops.domain.package_policy import Allowed, objections
from kfops.ports.errors import Refused
from kfops.ports.pipelines import CompileOrder

_INSIDE = Path(__file__).parent / "inside"
_REPOSITORY = Path("/repo")
_TOOLS = Path("/kfops")
# JSON may write a character as six.
_LARGEST_ANSWER = 6 * LARGEST_BYTES + (1 << 16)
_LIMITS = Limits(
    memory_bytes=4 << 30, processes=64, file_bytes=_LARGEST_ANSWER, open_files=256, scratch_bytes=256 << 20
)
_SUFFIXES = {".py", ".yaml", ".yml"}


@dataclass(frozen=True)
class Compiler:
    """`allowed`: what packages may ask for. No folder is writable inside; the package comes through a pipe.

    `runs_here`: what comes out shall run on this machine, which cannot do all that a cluster can.
    """

    sandbox: Workroom
    allowed: Allowed
    runs_here: bool = True

    def compile(self, order: CompileOrder) -> Package | CompileFailure:
        path = PurePosixPath(order.pipeline)
        if path.is_absolute() or ".." in path.parts or path.suffix not in _SUFFIXES:
            return CompileFailure(
                f"pipeline.source is {order.pipeline!r}; expected a path in the repository that ends in .py or .yaml"
            )
        if not (order.source_dir / path).is_file():
            return CompileFailure(
                f"there is no file {order.pipeline} in the repository (pipeline.source in kfops.yaml)"
            )
        is_python = path.suffix == ".py"
        text = self._compiled(order) if is_python else _read(order.source_dir, order.pipeline)
        return text if isinstance(text, CompileFailure) else self._checked(text, order)

    def _checked(self, text: str, order: CompileOrder) -> Package | CompileFailure:
        try:
            content = read_package(text)
        except NotAPackage as error:
            return CompileFailure(str(error), path=order.pipeline)
        for sentence in (
            *objections(content, self.allowed),
            *(unsuitable(content, installs=order.installs_later) if self.runs_here else ()),
        ):
            return CompileFailure(sentence, path=order.pipeline)
        digest = hashlib.sha256(text.encode()).hexdigest()
        return Package(_kept(order.out_dir, digest, text), digest, content)

    def _compiled(self, order: CompileOrder) -> str | CompileFailure:
        tool = str(_TOOLS / "compile_pipeline.py")
        work = ShortWork(
            "compile",
            (sys.executable, "-s", tool, order.pipeline, order.function or ""),
            read_only={order.source_dir: _REPOSITORY, _INSIDE: _TOOLS, **bound(order.packages)},
            chdir=_REPOSITORY,
            limits=_LIMITS,
            timeout_s=order.timeout_s,
            largest_answer=_LARGEST_ANSWER,
            variables=imported(order.packages) | _images(order),
        )
        with self.sandbox.start(work) as running:
            ended = running.finish()
        if ended.stopped:
            return CompileFailure(
                f"{order.pipeline}: {ended.stopped}", path=order.pipeline, log_tail=ended.log_tail
            )
        if ended.code is None:
            summary = f"{order.pipeline} did not compile within {order.timeout_s:g} s"
            hint = "importing the file must not do the work"
            return CompileFailure(summary, path=order.pipeline, log_tail=ended.log_tail, hint=hint)
        return _understood(ended, order)


def _images(order: CompileOrder) -> dict[str, str]:
    return {
        f"KFOPS_IMAGE_{name.upper().replace('-', '_')}": reference for name, reference in order.images.items()
    }


def _understood(ended: Ended, order: CompileOrder) -> str | CompileFailure:
    content = ended.answer
    if content is None:
        why = f": {ended.last_line}" if ended.last_line else ""
        return CompileFailure(
            f"{order.pipeline} ended the process before it was compiled (exit code {ended.code}){why}"[:500],
            path=order.pipeline,
            log_tail=ended.log_tail,
        )
    package = content.get("package")
    if isinstance(package, str):
        return package
    line, path = content.get("line"), content.get("file")
    return CompileFailure(
        summary=str(content.get("error", "the pipeline does not compile"))[:2000],
        path=path if _is_of_the_repository(path, order) else order.pipeline,
        line=line if isinstance(line, int) and line > 0 else None,
        code=str(content.get("code") or "")[:500],
        log_tail=ended.log_tail,
    )


def _is_of_the_repository(path: object, order: CompileOrder) -> TypeGuard[str]:
    """What the pipeline's process calls a place: no other file is looked for, so that none is told by its being there."""
    return isinstance(path, str) and path.isprintable() and exists(order.source_dir, path)


def _read(source_dir: Path, path: str) -> str | CompileFailure:
    try:
        return read_output(source_dir, path, LARGEST_BYTES).decode()
    except Refused as error:
        return CompileFailure(str(error), path=path)
    except UnicodeDecodeError as error:
        return CompileFailure(f"byte {error.start} of {path} is not UTF-8", path=path)


def _kept(folder: Path, digest: str, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / f"{digest}.yaml"
    fresh = folder / f".{digest}.{os.getpid()}.new"
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(place)
    return place
