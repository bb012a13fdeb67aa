"""Where things are inside a sandbox: what of this machine is bound there, and the way back from a path inside."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path


def system() -> list[str]:
    words = ["--ro-bind", "/usr", "/usr"]
    for name in ("bin", "sbin", "lib", "lib32", "lib64", "libx32"):
        path = Path("/") / name
        if path.is_symlink():
            words += ["--symlink", str(path.readlink()), str(path)]
        elif path.is_dir():
            words += ["--ro-bind", str(path), str(path)]
    if Path("/etc/ld.so.cache").exists():
        words += bind("--ro-bind", Path("/etc/ld.so.cache"), Path("/etc/ld.so.cache"))
    return words


def interpreter() -> list[str]:
    """The environment that runs this, and the installation that its `python` is a link into."""
    places = {Path(sys.prefix), Path(sys.base_prefix), Path(sys.base_prefix).resolve()}
    words: list[str] = []
    for place in sorted(places):
        if not place.is_relative_to("/usr"):
            words += bind("--ro-bind", place, place)
    return words


def bind(how: str, here: Path, there: Path) -> list[str]:
    # bubblewrap makes missing parents with mode 0700, and then the user inside cannot get below them.
    parents = [
        word for parent in reversed(there.parents[:-1]) for word in ("--perms", "0755", "--dir", str(parent))
    ]
    return [*parents, how, str(here), str(there)]


def outside(word: str, places: Mapping[Path, Path]) -> str:
    """A path inside as the path here; every other word as it is."""
    if not word.startswith("/"):
        return word
    path = Path(word)
    for there, here in sorted(places.items(), key=lambda place: len(place[0].parts), reverse=True):
        if path == there:
            return str(here)
        if path.is_relative_to(there):
            return str(here / path.relative_to(there))
    for there, here in places.items():
        # The folder that a bound folder is put in, where that one keeps its name.
        if path == there.parent and there.name == here.name:
            return str(here.parent)
    return word
