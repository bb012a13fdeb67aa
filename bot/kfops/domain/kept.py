"""Things that pile up on a disk."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Kept:
    """One thing in a storeroom. `refers_to`: what has to be needed by somebody for it to stay whatever its age: an
    operation (`operation:7`), a commit (`commit:<repository id>/<sha>`), a digest, an environment's key.
    """

    name: str
    used_at: datetime
    refers_to: str
