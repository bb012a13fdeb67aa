"""Names of container images, as those who pull them read them: `python:3.11` is docker.io/library/python."""

from __future__ import annotations

import re
from collections.abc import Iterable

_HUB = "docker.io"
_PART = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_HOST_PART = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_REFERENCE = re.compile(
    rf"(?P<repository>(?:(?P<host>{_HOST_PART}(?:\.{_HOST_PART})*(?::[0-9]{{1,5}})?)/)?{_PART}(?:/{_PART})*)"
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@[a-z0-9]+(?:[+._-][a-z0-9]+)*:[0-9a-fA-F]{32,128})?",
    re.ASCII,
)
_LONGEST = 512


def repository_of(image: str) -> str | None:
    """Where `image` lies, in full and without its tag and digest; None when it is no reference to an image."""
    match = _REFERENCE.fullmatch(image) if len(image) <= _LONGEST else None
    if match is None:
        return None
    host, _, rest = match["repository"].partition("/")
    if not rest:
        return f"{_HUB}/library/{host}"
    if not _is_host(host):
        return f"{_HUB}/{host}/{rest}" if host == host.lower() else None
    if host.lower() == _HUB and "/" not in rest:
        return f"{_HUB}/library/{rest}"
    return f"{host.lower()}/{rest}"


def lies_in(repository: str, granted: Iterable[str]) -> bool:
    """Whether `repository` is one of those or below it; `registry.example.com/ml` does not grant its neighbour `…/mlx`."""
    name = _in_full(repository)
    return any(name == one or name.startswith(f"{one}/") for one in map(_in_full, granted))


def _in_full(repository: str) -> str:
    """Of a place that is granted or pushed to: a host, a part of a registry, or an official image by its short name."""
    host, _, rest = repository.partition("/")
    if _is_host(host):
        return repository
    return f"{_HUB}/{repository}" if rest else f"{_HUB}/library/{repository}"


def _is_host(text: str) -> bool:
    return "." in text or ":" in text or text == "localhost"
