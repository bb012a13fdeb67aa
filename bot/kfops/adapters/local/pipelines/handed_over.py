"""What a run leaves for the bot, by the names that the package declares: no path is taken from what a step wrote."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kfops.adapters.local.digest import digest_of_directory, digest_of_file
from kfops.adapters.local.outputs import copy_output, exists, names, read_output
from kfops.domain.run import RunOutputs
from kfops.domain.step_log import finite_number
from kfops.ports.errors import Refused

MODEL, METRICS, HELDOUT, TRAINING_ROWS, PROFILE = "model", "metrics", "heldout", "training_rows", "profile"
GOLDEN = "golden"
_FILES = {
    METRICS: "metrics.json",
    HELDOUT: "heldout.parquet",
    TRAINING_ROWS: "training_rows",
    PROFILE: "profile.json",
    GOLDEN: "golden.json",
}
_LARGEST = {
    MODEL: 4 << 30,
    METRICS: 1 << 20,
    HELDOUT: 1 << 30,
    TRAINING_ROWS: 1 << 30,
    PROFILE: 16 << 20,
    GOLDEN: 1 << 20,
}
_LARGEST_OUTPUT = 4 << 20
_LONGEST_NAME = 100
_MOST_METRICS = 100


@dataclass
class HandedOver:
    """`steps`: (name, component, artifacts) in order. `folder` is the bot's; it is filled once and then stays."""

    work: Path
    pipeline: str
    steps: Sequence[tuple[str, str, Sequence[str]]]
    folder: Path
    problems: list[str] = field(default_factory=list)

    def take(self) -> RunOutputs:
        if not self.folder.is_dir():
            self._copy()
        there = {name: self.folder / file for name, file in {MODEL: MODEL, **_FILES}.items()}
        found = {name: path for name, path in there.items() if path.exists()}
        digests = {name: _digest(path) for name, path in found.items()}
        kept: dict[str, Any] = json.loads((self.folder / "taken.json").read_text(encoding="utf-8"))
        return RunOutputs(
            model=found.get(MODEL),
            model_digest=digests.get(MODEL),
            metrics=kept["metrics"],
            metrics_file=found.get(METRICS),
            heldout=found.get(HELDOUT),
            training_rows=found.get(TRAINING_ROWS),
            profile=found.get(PROFILE),
            golden=found.get(GOLDEN),
            digests=digests,
            values=kept["values"],
            problems=tuple(kept["problems"]),
        )

    def _copy(self) -> None:
        fresh = self.folder.with_name(f".{self.folder.name}.new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        run = self._run()
        if run is not None:
            for name in (MODEL, *_FILES):
                self._copy_one(run, name, fresh / _FILES.get(name, MODEL))
        if (fresh / MODEL).exists() and not (fresh / MODEL / "MLmodel").is_file():
            self.problems.append("the artifact model is no MLflow model directory: it has no file MLmodel")
            shutil.rmtree(fresh / MODEL, ignore_errors=True)
            (fresh / MODEL).unlink(missing_ok=True)
        outputs = list(self._outputs(run)) if run else []
        metrics = _metrics(fresh / _FILES[METRICS], outputs)
        if not (fresh / _FILES[METRICS]).exists() and metrics:
            (fresh / _FILES[METRICS]).write_text(json.dumps(metrics), encoding="utf-8")
        values = {
            f"{step}.{name}": value
            for step, output in outputs
            for name, value in _mapping(output.get("parameterValues")).items()
            if name.isprintable()
        }
        kept = {"metrics": metrics, "values": values, "problems": self.problems}
        (fresh / "taken.json").write_text(json.dumps(kept), encoding="utf-8")
        fresh.replace(self.folder)

    def _run(self) -> str | None:
        """kfp.local puts the pipeline's name and a time on the run's folder; there must be one such folder."""
        pattern = re.compile(re.escape(self.pipeline) + r"-\d{4}(-\d\d){5}-\d{6}")
        found = [name for name in names(self.work) if pattern.fullmatch(name)]
        if len(found) == 1:
            return found[0]
        self.problems.append(f"the run left {len(found)} output folders; expected 1")
        return None

    def _copy_one(self, run: str, name: str, target: Path) -> None:
        """From the last step that declares it and wrote it."""
        for _, component, artifacts in reversed(self.steps):
            relative = f"{run}/{component}/{name}"
            if name in artifacts and exists(self.work, relative):
                try:
                    copy_output(self.work, relative, target, largest=_LARGEST[name])
                except (Refused, OSError) as error:
                    self.problems.append(f"the artifact {name} was not taken: {error}")
                    shutil.rmtree(target, ignore_errors=True) if target.is_dir() else target.unlink(
                        missing_ok=True
                    )
                return

    def _outputs(self, run: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
        for step, component, _ in self.steps:
            relative = f"{run}/{component}/executor_output.json"
            try:
                content = json.loads(read_output(self.work, relative, _LARGEST_OUTPUT))
            except (Refused, ValueError, RecursionError):
                continue
            yield step, _mapping(content)


def _metrics(file: Path, outputs: Sequence[tuple[str, Mapping[str, Any]]]) -> dict[str, float]:
    """From the JSON in the artifact's file; else what was logged with `log_metric`."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        content = None
    found = _numbers(_mapping(content))
    if found:
        return found
    for _, output in reversed(outputs):
        artifacts = _mapping(_mapping(output.get("artifacts")).get(METRICS)).get("artifacts")
        if isinstance(artifacts, list) and artifacts:
            found = _numbers(_mapping(_mapping(artifacts[0]).get("metadata")))
            if found:
                return found
    return {}


def _numbers(content: Mapping[str, Any]) -> dict[str, float]:
    """By names that can be shown and stored: a step may write any character that JSON can."""
    numbers = {
        name[:_LONGEST_NAME]: finite_number(value) for name, value in content.items() if name.isprintable()
    }
    return {name: number for name, number in list(numbers.items())[:_MOST_METRICS] if number is not None}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _digest(path: Path) -> str:
    return digest_of_directory(path) if path.is_dir() else digest_of_file(path)
