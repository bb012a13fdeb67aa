"""What is needed of whatever builds container images for a pipeline's steps."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class ImageOrder:
    """One image of the checked-out commit. `context` and `dockerfile` are paths in `source_dir`, the latter in the
    former. `repository` is where it is pushed to (`registry.example.com/ml/trainer`), `tag` names the commit. `owner` is
    the forge's number of the repository whose commit it is: no build finds layers and images of another owner's (R13).
    """

    source_dir: Path
    context: str
    dockerfile: str
    repository: str
    tag: str
    owner: int
    timeout_s: float = 1800.0


@dataclass(frozen=True)
class ImageBuilt:
    """`reference` is by digest (`…/trainer@sha256:…`): what a step runs is what was built."""

    reference: str
    seconds: float


@dataclass(frozen=True)
class ImageFailure:
    """Why there is no image. `log_tail` is foreign text; `line` is the Dockerfile's, where one is known."""

    summary: str
    log_tail: str = ""
    line: int | None = None


class Images(Protocol):
    """Every method may raise `Unavailable` (the registry does not answer) or `Refused`."""

    def find(self, repository: str, tag: str) -> str | None:
        """The reference, by digest, of what was pushed under this tag; None where nothing was."""
        ...

    def build(self, order: ImageOrder) -> ImageBuilt | ImageFailure:
        """Build and push. What the repository did wrong is an `ImageFailure`, not an exception."""
        ...
