"""What goes to a run and comes back from it through object storage.

`orders/` is the bot's alone. `runs/REPOSITORY/` and `inputs/REPOSITORY/` are all that the steps of a repository may
reach, under the operator's service account (R11).
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from kfops.adapters.local.outputs import copy_output
from kfops.adapters.local.pipelines.data_files import data_digests
from kfops.adapters.local.pipelines.handed_over import MODEL, HandedOver
from kfops.adapters.s3.bucket import Bucket
from kfops.domain.run import RunOutputs
from kfops.ports.errors import Refused
from kfops.ports.pipelines import RunOrder

_ARTIFACTS = (MODEL, "metrics", "heldout", "training_rows", "profile", "golden")
_LARGEST_ORDER = 4 << 20
_LARGEST_INPUT = 4 << 30
_MOST_OBJECTS = 5_000
_LARGEST_RUN = 8 << 30
_AS_LOCAL = "2000-01-01-00-00-00-000000"  # the time in a folder's name, which nothing reads


@dataclass(frozen=True)
class RunStorage:
    """`folder`: where the bot keeps what it has fetched."""

    bucket: Bucket
    folder: Path

    def place(self, order: RunOrder) -> tuple[dict[str, Any], str]:
        """Upload the files that parameters name; the parameters as the steps see them, and the run's root."""
        digests = data_digests(order.package.inputs, order.parameters, order.source_dir, order.data)
        parameters = {one.name: one.default for one in order.package.inputs} | dict(order.parameters)
        sent = {name: value for name, value in order.parameters.items() if value is not None}
        for name, digest in digests.items():
            if name.startswith("data."):
                parameter = name.removeprefix("data.")
                sent[parameter] = self._uploaded(order, str(parameters[parameter]), digest)
        steps = [[step.name, step.component, list(step.outputs)] for step in order.package.steps]
        kept = {
            "pipeline": order.package.name,
            "package": order.package.digest,
            "steps": steps,
            "digests": digests,
            "root": _root(order),
        }
        self.bucket.write(f"orders/{order.name}.json", json.dumps(kept).encode())
        return sent, self.bucket.address(_root(order))

    def has_ordered(self, order: RunOrder) -> bool:
        """Whether a run of this name is of this very order: names are numbers of a ledger, and others count too."""
        content = self.bucket.read(f"orders/{order.name}.json", _LARGEST_ORDER)
        digest = order.package.digest
        return content is not None and json.loads(content).get("package", digest) == digest

    def steps(self, name: str) -> tuple[str, ...]:
        return tuple(str(step[0]) for step in self._order(name)["steps"])

    def outputs(self, name: str) -> RunOutputs:
        """What the run handed over, by the names that its package declares."""
        order = self._order(name)
        folder = self.folder / name
        if not folder.is_dir():
            self._fetch(order, name)
        steps = [(str(step), str(component), list(outputs)) for step, component, outputs in order["steps"]]
        taken = HandedOver(folder / "work", order["pipeline"], steps, folder / "outputs").take()
        return replace(taken, digests={**order["digests"], **taken.digests})

    def _order(self, name: str) -> dict[str, Any]:
        content = self.bucket.read(f"orders/{name}.json", _LARGEST_ORDER)
        if content is None:
            raise Refused(f"the bot has no record of having ordered the run {name}")
        kept: dict[str, Any] = json.loads(content)
        return kept

    def _uploaded(self, order: RunOrder, value: str, digest: str) -> str:
        """By its content, so that the same data has the same address: steps may then be cached."""
        name = f"inputs/{_repository(order.labels)}/{digest}/{PurePosixPath(value).name}"
        if self.bucket.size(name) is None:
            with tempfile.TemporaryDirectory(prefix="kfops-input-") as scratch:
                copy = Path(scratch) / "input"
                if Path(value).is_absolute():
                    shutil.copyfile(value, copy)
                else:
                    copy_output(order.source_dir, value, copy, largest=_LARGEST_INPUT)
                self.bucket.upload(copy, name)
        return self.bucket.address(name)

    def _fetch(self, order: Mapping[str, Any], name: str) -> None:
        """Into the shape that a run on this machine has: the same code then takes it, link by link and size by size."""
        self.folder.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=".incoming-", dir=self.folder))
        try:
            run = _below(fresh / "work", Path(f"{order['pipeline']}-{_AS_LOCAL}"))
            run.mkdir(parents=True)
            self._download(order["root"], order["steps"], run)
            if not (self.folder / name).is_dir():
                fresh.rename(self.folder / name)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)

    def _download(self, root: str, steps: Sequence[Any], run: Path) -> None:
        found, total = 0, 0
        for one in self.bucket.names(f"{root}/"):
            target = _target(one.removeprefix(f"{root}/"), steps)
            if target is None:
                continue
            found, total = found + 1, total + (self.bucket.size(one) or 0)
            if found > _MOST_OBJECTS or total > _LARGEST_RUN:
                raise Refused(
                    f"the run handed over more than {_MOST_OBJECTS} files or {_LARGEST_RUN >> 30} GiB",
                    fix="hand over the model, the metrics and the held-out rows, and nothing else, under these names",
                )
            place = _below(run, target)
            place.parent.mkdir(parents=True, exist_ok=True)
            self.bucket.download(one, place)


def _below(folder: Path, relative: Path) -> Path:
    if relative.is_absolute() or ".." in relative.parts:
        raise Refused(
            f"{str(relative)!r} leaves the folder of the run; expected the names that KFP's compiler writes"
        )
    return folder / relative


def _target(name: str, steps: Sequence[Any]) -> Path | None:
    """`PIPELINE/RUN/STEP[/EXECUTION]/ARTIFACT[/…]` → `COMPONENT/ARTIFACT[/…]`, for what the package declares."""
    parts = PurePosixPath(name).parts
    if ".." in parts or not name.isprintable():
        return None
    for step, component, outputs in steps:
        short = str(step).rpartition("/")[2]
        if short not in parts:
            continue
        after = parts[parts.index(short) + 1 :]
        for depth in (0, 1):  # newer servers put an execution's own folder in between
            if len(after) > depth and after[depth] in outputs and after[depth] in _ARTIFACTS:
                return Path(component, *after[depth:])
    return None


def _repository(labels: Mapping[str, str]) -> str:
    return labels.get("repository", "0")


def _root(order: RunOrder) -> str:
    return f"runs/{_repository(order.labels)}/{order.name}"
