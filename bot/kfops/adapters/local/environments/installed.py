"""What the environment that Kfops runs in has of a set of requirements."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path

from packaging.requirements import Requirement


def missing(wanted: Iterable[Requirement]) -> tuple[str, ...]:
    """A few words for each that is not there in a version that fits; empty: nothing has to be installed."""
    problems = ((one, why_missing(one)) for one in wanted)
    return tuple(f"{one} ({problem})" for one, problem in problems if problem)


def why_missing(wanted: Requirement, packages: Path | None = None) -> str:
    """Empty when it is there, in `packages` or else here, or not wanted on this machine."""
    if wanted.marker is not None and not wanted.marker.evaluate():
        return ""
    if wanted.url:
        return "it is an address"
    try:
        found = _in_front(wanted.name, packages) or version(wanted.name)
    except PackageNotFoundError:
        return "it is not installed"
    return "" if wanted.specifier.contains(found, prereleases=True) else f"version {found} is installed"


def _in_front(name: str, packages: Path | None) -> str | None:
    if packages is None:
        return None
    return next((one.version for one in distributions(name=name, path=[str(packages)])), None)
