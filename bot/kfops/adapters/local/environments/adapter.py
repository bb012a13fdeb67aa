"""Python environments on one machine: a folder of packages for each set of requirements, made once, then read-only."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import sysconfig
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock, Semaphore, Thread

from packaging.tags import sys_tags

from kfops.adapters.local.confinement import Confinement
from kfops.adapters.local.environments.index_source import OperatorsIndex
from kfops.adapters.local.environments.installed import missing
from kfops.adapters.local.environments.installing import Bounds, Installer, environment_digest
from kfops.adapters.local.environments.operators_pip import operators_index
from kfops.domain.requirements import RequirementProblem, Requirements, read_requirement, read_requirements
from kfops.ports.environments import EnvironmentOrder, Making, NotMade, Ready
from kfops.ports.errors import Refused, Unavailable

_KEY = re.compile(r"[0-9a-f]{64}")
_CARD = "environment.json"
_AT_A_TIME = 2
_BOUNDS = Bounds()


@dataclass
class _Job:
    """One installation. `is_over` is set last."""

    problem: NotMade | None = None
    is_over: bool = False


class LocalEnvironments:
    """The port `Environments` below `root`: `KEY/packages`, `KEY/environment.json`, and `models/DIGEST`, which holds a
    key. `is_allowed`: the operator lets packages be installed at all; `index`: where from, asked when it is needed.
    """

    def __init__(
        self,
        root: Path,
        sandbox: Confinement,
        *,
        is_allowed: bool,
        index: Callable[[], OperatorsIndex] = operators_index,
        bounds: Bounds = _BOUNDS,
    ) -> None:
        self._root = root.absolute()
        self._sandbox = sandbox
        self._is_allowed = is_allowed
        self._index = index
        self._bounds = bounds
        self._jobs: dict[str, _Job] = {}
        self._lock = Lock()
        self._free = Semaphore(_AT_A_TIME)

    def make(self, order: EnvironmentOrder) -> Ready | Making | NotMade:
        wanted = _wanted(order)
        if isinstance(wanted, NotMade):
            return wanted
        lacking = missing(wanted.plain())
        if not wanted.lines or (not lacking and (order.requirements is None or not self._may(order))):
            return Ready()
        if not self._may(order):
            return _not_allowed(order, lacking)
        key = _key(wanted)
        return self._ready(key) or self._made(key, wanted)

    def packages(self, key: str) -> Path | None:
        if not key:
            return None
        folder = self._folder(key)
        if not (folder / _CARD).is_file():
            raise Refused(
                f"the environment {key[:12]} is not on this server any more", fix="/build_run makes it anew"
            )
        return folder / "packages"

    def bind(self, model_digest: str, key: str) -> None:
        place = self._binding(model_digest)
        if not key:
            place.unlink(missing_ok=True)
            return
        place.parent.mkdir(parents=True, exist_ok=True)
        fresh = place.with_name(f".{place.name}.{os.getpid()}.new")
        fresh.write_text(self._folder(key).name)
        fresh.replace(place)

    def packages_of(self, model_digest: str) -> Path | None:
        try:
            key = self._binding(model_digest).read_text()
        except FileNotFoundError:
            return None
        return self.packages(key)

    def bound_keys(self) -> frozenset[str]:
        """Of the environments that some model was trained in."""
        return frozenset(place.read_text() for place in (self._root / "models").glob("[0-9a-f]*"))

    def _may(self, order: EnvironmentOrder) -> bool:
        return self._is_allowed and order.is_granted

    def _ready(self, key: str) -> Ready | None:
        try:
            card = json.loads((self._folder(key) / _CARD).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        os.utime(self._folder(key))  # used now: not to be tidied away
        return Ready(key, card["digest"])

    def _made(self, key: str, wanted: Requirements) -> Ready | Making | NotMade:
        with self._lock:
            job = self._jobs.get(key)
            if job is None:
                # A thread that nobody waits for when the bot ends: the sandbox ends with it, and the next bot begins anew.
                job = self._jobs[key] = _Job()
                Thread(
                    target=self._work, args=(job, key, wanted), name=f"install-{key[:12]}", daemon=True
                ).start()
                return Making()
            if not job.is_over:
                return Making()
            del self._jobs[key]
        return job.problem or self._ready(key) or Making()

    def _work(self, job: _Job, key: str, wanted: Requirements) -> None:
        try:
            with self._free:
                job.problem = self._install(key, wanted)
        except (OSError, Refused) as error:
            job.problem = NotMade(f"the environment could not be made: {error}")
        finally:
            job.is_over = True

    def _install(self, key: str, wanted: Requirements) -> NotMade | None:
        """Another process of the bot that makes the same environment is waited for."""
        self._root.mkdir(mode=0o755, parents=True, exist_ok=True)
        with (self._root / f".{key}.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if self._ready(key):
                return None
            folder = Path(tempfile.mkdtemp(prefix=".incoming-", dir=self._root))
            try:
                return self._install_into(folder, key, wanted)
            except Unavailable as error:
                return NotMade(str(error))
            finally:
                shutil.rmtree(folder, ignore_errors=True)

    def _install_into(self, folder: Path, key: str, wanted: Requirements) -> NotMade | None:
        folder.chmod(0o755)
        requirements = folder / "requirements.txt"
        requirements.write_text(wanted.text, encoding="utf-8")
        requirements.chmod(0o644)
        problem = Installer(self._sandbox, self._index(), self._bounds).install(requirements, folder)
        if problem is not None:
            return problem
        shutil.rmtree(folder / "work", ignore_errors=True)
        card = {"digest": environment_digest(folder / "packages"), "requirements": list(wanted.lines)}
        (folder / _CARD).write_text(json.dumps(card, indent=1), encoding="utf-8")
        folder.rename(self._root / key)
        return None

    def _folder(self, key: str) -> Path:
        if not _KEY.fullmatch(key):
            raise Refused(f"{key!r} names no environment; expected 64 hexadecimal digits")
        return self._root / key

    def _binding(self, model_digest: str) -> Path:
        if not _KEY.fullmatch(model_digest):
            raise Refused(f"{model_digest!r} is no digest; expected 64 hexadecimal digits")
        return self._root / "models" / model_digest


def _wanted(order: EnvironmentOrder) -> Requirements | NotMade:
    read = read_requirements(order.requirements or "")
    if not isinstance(read, Requirements):
        return _refused(order.file or "the requirements", read)
    more = [read_requirement(line) for line in order.more]
    problems = tuple(one for one in more if isinstance(one, RequirementProblem))
    if problems:
        return _refused("packages_to_install", problems)
    return Requirements(tuple(dict.fromkeys((*read.lines, *(one for one in more if isinstance(one, str))))))


def _refused(where: str, problems: tuple[RequirementProblem, ...]) -> NotMade:
    lines = tuple(f"{where}, {problem}" for problem in problems)
    return NotMade(
        f"{where} has {len(lines)} line{'s' if len(lines) > 1 else ''} that cannot be taken",
        "names and versions only, such as pandas==2.3.3",
        lines,
    )


def _not_allowed(order: EnvironmentOrder, lacking: tuple[str, ...]) -> NotMade:
    whose = "for this repository" if not order.is_granted else "on this server"
    return NotMade(
        f"the operator does not let packages be installed {whose}, and what Kfops brings does not have: "
        + "; ".join(lacking),
        "the operator sets `KFOPS_INSTALL=true`, and `install: true` for the repository where the policy has "
        "grants; or keep to what Kfops brings",
        is_allowed=False,
    )


def _key(wanted: Requirements) -> str:
    """Of the requirements, and of the Python that they are chosen for."""
    python = f"{sysconfig.get_python_version()} {next(iter(sys_tags()))}"
    return hashlib.sha256(f"{python}\n{wanted.text}".encode()).hexdigest()
