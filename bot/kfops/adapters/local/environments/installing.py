"""One installation: pip in the sandbox, seen through to its end, and its packages taken over."""

from __future__ import annotations

import importlib.util
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from kfops.adapters.local.confined import Confined, Ended
from kfops.adapters.local.confinement import Confinement, Limits
from kfops.adapters.local.digest import digest_of_file, files_of
from kfops.adapters.local.disk import too_much
from kfops.adapters.local.environments.gate import SOCKET, Gate, opened
from kfops.adapters.local.environments.index_source import IndexSource, OperatorsIndex
from kfops.ports.environments import NotMade
from kfops.ports.errors import Refused

_INSIDE = Path(__file__).parent / "inside"
_TOOLS, _GATE, _OUT, _REQUIREMENTS = Path("/kfops"), Path("/index"), Path("/out"), Path("/requirements.txt")
_COMPILED = "/__pycache__/"


@dataclass(frozen=True)
class Bounds:
    """`fetched_bytes`: over the network; `disk_bytes`: unpacked, wheels included while they are there."""

    timeout_s: float = 900.0
    fetched_bytes: int = 4 << 30
    disk_bytes: int = 12 << 30


@dataclass(frozen=True)
class Installer:
    sandbox: Confinement
    index: OperatorsIndex
    bounds: Bounds

    def install(self, requirements: Path, folder: Path) -> NotMade | None:
        """Into `folder`/packages, which belongs to us afterwards. None when all is well."""
        if importlib.util.find_spec("pip") is None:
            return NotMade(
                "pip is not installed where Kfops runs", "the operator installs it: python -m ensurepip"
            )
        work = folder / "work"
        work.mkdir()
        source = IndexSource(self.index)
        gate = Gate(self.index, source, self.bounds.fetched_bytes)
        try:
            with opened(gate) as place:
                ended = self._run(place, requirements, work)
        finally:
            source.close()
        why = _why_not(ended, gate, self.bounds.timeout_s)
        if why is not None:
            return why
        (work / "packages").rename(folder / "packages")
        return _taken(folder / "packages")

    def _run(self, gate: Path, requirements: Path, work: Path) -> Ended:
        command = self.sandbox.argv(
            [
                *(sys.executable, "-s", str(_TOOLS / "install.py"), str(_GATE / SOCKET)),
                *(str(len(self.index.indexes)), str(len(self.index.flat))),
                *(str(_REQUIREMENTS), str(_OUT / "packages")),
            ],
            read_only={_INSIDE: _TOOLS, gate: _GATE, requirements: _REQUIREMENTS},
            writable={work: _OUT},
            chdir=_OUT,
            limits=Limits(processes=64, file_bytes=self.bounds.disk_bytes),
        )

        def look() -> str:
            return too_much(work, self.bounds.disk_bytes, whose="the environment")

        with Confined(self.sandbox, command, largest_answer=1) as running:
            return running.finish(self.bounds.timeout_s, too_much=look)


def environment_digest(packages: Path) -> str:
    """Like a directory's digest, less what Python compiled, which carries times."""
    import hashlib

    total = hashlib.sha256()
    for name, path in files_of(packages):
        if _COMPILED not in f"/{name}":
            total.update(f"{digest_of_file(path)} {name}\0".encode())
    return total.hexdigest()


def _why_not(ended: Ended, gate: Gate, timeout_s: float) -> NotMade | None:
    if ended.code == 0 and not ended.stopped:
        return None
    tail = ended.log_tail.strip()
    if ended.stopped:
        return NotMade(ended.stopped, log_tail=tail)
    if ended.code is None:
        return NotMade(f"the packages were not installed within {timeout_s:g} s", log_tail=tail)
    if gate.troubles:
        return NotMade(gate.troubles[0], log_tail=tail)
    said = [line.removeprefix("ERROR: ") for line in tail.splitlines() if line.startswith("ERROR: ")]
    sources = sorted(name for name in gate.only_sources if name.lower() in tail.lower())
    if sources:
        return NotMade(
            f"{', '.join(sources)}: the operator's index has source distributions only, which would run their own "
            "code to be installed; only wheels are taken",
            log_tail=tail,
        )
    return NotMade(said[-1] if said else ended.last_line or "pip failed and said nothing", log_tail=tail)


def _taken(packages: Path) -> NotMade | None:
    """Ours from now on, and for everybody to read. pip makes files and folders only; anything else is refused."""
    try:
        files = list(files_of(packages))
    except Refused as error:
        return NotMade(f"a package has what none may have: {error}")
    if not files:
        return NotMade("there is nothing to install for this machine")
    for here, folders, names in os.walk(packages):
        for path in (Path(here), *(Path(here, name) for name in (*folders, *names))):
            os.chown(path, os.geteuid(), os.getegid(), follow_symlinks=False)
            path.chmod(0o755 if path.is_dir() else 0o644)
    return None
