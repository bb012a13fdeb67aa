"""How a pod gets what it works on: in the Job's ConfigMap where it is small, else from an address for some minutes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from kfops.adapters.kubernetes.sandbox.job import LARGEST_ARCHIVE, SMALL_BYTES
from kfops.adapters.kubernetes.sandbox.packing import Packed
from kfops.ports.errors import Refused


class Archives(Protocol):
    """Where an archive that is too large for a ConfigMap is fetched from. May raise `Unavailable` or Refused."""

    def put(self, name: str, file: Path, *, valid_s: int) -> str:
        """An address that anybody can fetch it from for so many seconds."""
        ...

    def remove(self, name: str) -> None:
        """Idempotent."""
        ...


@dataclass(frozen=True)
class Bringing:
    """`archives` None: nothing large can be brought."""

    archives: Archives | None = None
    small_bytes: int = SMALL_BYTES

    def address(self, name: str, packed: Packed, valid_s: float) -> str | None:
        """None: it goes into the ConfigMap. Refused where it is too large for every way there is."""
        if packed.size <= self.small_bytes:
            return None
        if self.archives is None or packed.size > LARGEST_ARCHIVE:
            most = LARGEST_ARCHIVE if self.archives else self.small_bytes
            raise Refused(
                f"what the Job needs has {packed.size >> 10} KiB packed; at most {most >> 10} KiB can be brought",
                fix=""
                if self.archives
                else "the operator sets KFOPS_STORAGE=s3, which larger ones go through",
            )
        return self.archives.put(f"{name}.tar.gz", packed.file, valid_s=math.ceil(valid_s))

    def forget(self, name: str) -> None:
        if self.archives is not None:
            self.archives.remove(f"{name}.tar.gz")
