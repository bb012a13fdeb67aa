"""What the bot needs of whatever compiles and runs pipelines.

Every method may raise `Unavailable` (the engine did not answer) or `Refused` (it never will).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from kfops.domain.package import CompileFailure, Package
from kfops.domain.run import RunOutputs, RunStatus


@dataclass(frozen=True)
class CompileOrder:
    """`source_dir` is the checked-out commit; `pipeline` a path in it: Python, or a compiled `.yaml` package.

    `function` is needed where the file has several pipelines. The package is put into `out_dir`. `packages`: a folder
    of Python packages in front of the engine's own. `installs_later`: what steps want to install is seen to before
    they run, so it is no reason to refuse the package. `images`: references by name, for the pipeline file to use; it
    finds them as `KFOPS_IMAGE_<NAME>` in its environment.
    """

    source_dir: Path
    pipeline: str
    out_dir: Path
    function: str | None = None
    timeout_s: float = 60.0
    packages: Path | None = None
    installs_later: bool = False
    images: Mapping[str, str] = field(default_factory=dict)


def _at_ease() -> None:
    """Nobody else submits this order."""


@dataclass(frozen=True)
class RunOrder:
    """One run to be made. `name` is the identity of the effect (letters, digits, `.`, `_`, `-`; at most 100).

    Relative paths among `parameters` are meant in `source_dir`. `data`: files outside of it that the steps may read,
    at the same path. `packages`: a folder of Python packages in front of the engine's own. `labels` are for people and for finding the run (operation, pull request, commit).
    `hold` is called after whatever takes long, right before the run is looked for and made: it raises where another
    worker has taken the order over (R14).
    """

    name: str
    package: Package
    source_dir: Path
    parameters: Mapping[str, Any]
    timeout_s: float
    cache: bool = True
    data: tuple[Path, ...] = ()
    packages: Path | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    hold: Callable[[], None] = _at_ease


class Pipelines(Protocol):
    @property
    def pulls_images(self) -> bool:
        """Whether steps run in the images that the package names."""
        ...

    def compile(self, order: CompileOrder) -> Package | CompileFailure:
        """Compile and check. What the repository did wrong is a `CompileFailure`, not an exception."""
        ...

    def submit(self, order: RunOrder) -> str:
        """Start the run, or find the one of that name, and return its id. Returns at once.

        Refused when this engine cannot run the package, with the step and the fix.
        """
        ...

    def find(self, name: str) -> str | None:
        """The id of the run that was submitted under this name; None when there is none."""
        ...

    def status(self, run_id: str) -> RunStatus:
        """As it is now. Refused when there is no such run."""
        ...

    def cancel(self, run_id: str) -> None:
        """Ask it to end; `status` shows CANCELING, then CANCELED. Idempotent; one that has ended stays as it is."""
        ...

    def keep_one(self, name: str, run_id: str) -> None:
        """Ask every other run that was submitted under this name to end: one that a paused worker made late. Idempotent."""
        ...

    def outputs(self, run_id: str) -> RunOutputs:
        """What a succeeded run handed over. Refused when it has not succeeded, or there is no such run."""
        ...
