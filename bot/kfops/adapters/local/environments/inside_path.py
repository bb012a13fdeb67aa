"""Where an environment's packages are inside a sandbox, and how Python there comes to import them first."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

PackagesOf = Callable[[str], Path | None]
"""By a model's digest, the folder of packages that it was trained with; None where it needs nothing of its own."""

PACKAGES = Path("/packages")


def bound(packages: Path | None) -> dict[Path, Path]:
    """For `read_only`; nothing where there is no environment."""
    return {packages.absolute(): PACKAGES} if packages else {}


def imported(packages: Path | None, *behind: str) -> dict[str, str]:
    """For `variables`; `behind`: folders that come after it."""
    folders = [*([str(PACKAGES)] if packages else []), *behind]
    return {"PYTHONPATH": ":".join(folders)} if folders else {}
