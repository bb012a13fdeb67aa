from __future__ import annotations

from pathlib import Path
from typing import Protocol


class ModelStore(Protocol):
    """Model directories by their digest, where serving and scoring read them."""

    def put(self, directory: Path) -> str:
        """Copy it in and return its digest (SHA-256, hex); Refused when there are links in it."""
        ...

    def path(self, digest: str) -> Path | None: ...
