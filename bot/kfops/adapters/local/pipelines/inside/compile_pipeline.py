"""`python compile_pipeline.py PIPELINE FUNCTION`: compile a pipeline file. Runs in the sandbox, in the repository.

Importing the file runs its author's code, so nothing here can be believed by whoever reads the answer: one line of
JSON on standard output, {"package": text} or {"error": sentence, "file", "line", "code"}. What the pipeline prints goes
to standard error. Stands alone: it imports nothing of Kfops.
"""

from __future__ import annotations

import gzip
import importlib.util
import json
import os
import sys
import tarfile
import tempfile
import traceback
import warnings
from pathlib import Path
from typing import Any


class Mistake(Exception):  # noqa: N818
    """Of the pipeline's author, in a sentence."""


def main(source: str, function: str) -> None:
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    warnings.simplefilter("ignore")
    repository = Path.cwd()
    try:
        content: dict[str, Any] = {"package": compiled(repository / source, function)}
    except Mistake as mistake:
        content = {"error": str(mistake), "file": source, "line": None, "code": ""}
    except BaseException as error:  # noqa: BLE001 - SystemExit too: whatever the file raises is its author's
        content = place(error, repository)
    json.dump(content, answer)
    answer.write("\n")
    for stream in (answer, sys.stdout, sys.stderr):
        stream.flush()
    os._exit(0)  # the file may have left threads behind that would hold us


def compiled(path: Path, function: str) -> str:
    same_bytes_every_time()
    from light_kfp import leave_out_client  # type: ignore[import-not-found]

    leave_out_client()
    # What `python pipeline.py` would have, instead of this file's folder.
    sys.path[0] = str(path.parent)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise Mistake(f"{path.name} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    from kfp import compiler

    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder) / "package.yaml"
        compiler.Compiler().compile(chosen(module, function), str(package))
        return package.read_text(encoding="utf-8")


def same_bytes_every_time() -> None:
    """KFP packs an embedded folder with the times and the owners of its files, and the time of packing. Without them
    the same commit makes the same package, whose digest can then be compared.
    """
    add, compress = tarfile.TarFile.add, gzip.compress

    def add_plainly(self: Any, name: Any, arcname: Any = None, recursive: bool = True, **_: Any) -> None:
        add(self, name, arcname, recursive, filter=plainly)

    def plainly(info: tarfile.TarInfo) -> tarfile.TarInfo | None:
        if Path(info.name).name == "__pycache__":
            return None
        info.mtime = info.uid = info.gid = 0
        info.uname = info.gname = ""
        info.mode = 0o755 if info.isdir() or info.mode & 0o100 else 0o644
        return info

    tarfile.TarFile.add = add_plainly  # type: ignore[method-assign]
    gzip.compress = lambda data, compresslevel=9, **_: compress(data, compresslevel, mtime=0)


def chosen(module: Any, function: str) -> Any:
    from kfp.dsl.graph_component import GraphComponent

    found = {name: value for name, value in vars(module).items() if isinstance(value, GraphComponent)}
    if function:
        if function in found:
            return found[function]
        there = ", ".join(found) or "none"
        raise Mistake(
            f"there is no pipeline {function}; the file has: {there} (pipeline.function in kfops.yaml)"
        )
    # A pipeline that is used as a step of another comes with an import, and is not the one that is meant.
    own = {name: value for name, value in found.items() if value.pipeline_func.__module__ == module.__name__}
    candidates = own or found
    if not candidates:
        raise Mistake("there is no pipeline in the file; expected a function with @dsl.pipeline")
    if len(candidates) > 1:
        raise Mistake(
            f"there are several pipelines: {', '.join(candidates)}; say which with pipeline.function in kfops.yaml"
        )
    return next(iter(candidates.values()))


def place(error: BaseException, repository: Path) -> dict[str, Any]:
    """The deepest line of the repository that led to the error."""
    if isinstance(error, SyntaxError) and error.filename:
        words = f"{type(error).__name__}: {error.msg}"
        code = (error.text or "").strip()
        return {
            "error": words,
            "file": within(error.filename, repository),
            "line": error.lineno,
            "code": code,
        }
    trace = traceback.TracebackException.from_exception(error)
    frames = [frame for frame in trace.stack if within(frame.filename, repository)]
    frame = frames[-1] if frames else None
    words = "".join(trace.format_exception_only()).strip()
    return {
        "error": words,
        "file": within(frame.filename, repository) if frame else None,
        "line": frame.lineno if frame else None,
        "code": (frame.line or "").strip() if frame else "",
    }


def within(filename: str, repository: Path) -> str | None:
    path = Path(filename)
    return str(path.relative_to(repository)) if path.is_relative_to(repository) else None


if __name__ == "__main__":
    main(*sys.argv[1:])
