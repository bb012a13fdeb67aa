"""Serving and traffic on one machine: the bot's side of the stack. It starts the stack where none runs, and finds the
one that runs after a restart of the bot.
"""

from __future__ import annotations

import fcntl
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

from kfops.adapters.local import processes
from kfops.adapters.local.environments.inside_path import PackagesOf, bound
from kfops.adapters.local.sandbox import Confinement, Limits
from kfops.adapters.local.serving import asking, control, envoy_config
from kfops.adapters.local.serving.counting import Counters
from kfops.adapters.local.serving.settle import SLOTS, State
from kfops.adapters.local.store import Store
from kfops.domain.canary_facts import Counts, Failure, FailureKind, Readiness, Standstill, Unknown
from kfops.domain.environment import EnvironmentKey
from kfops.domain.rollout import Counting
from kfops.ports.clock import Clock
from kfops.ports.errors import Refused, Unavailable
from kfops.ports.serving import ABSENT, Answer, Arm, ArmName, ModelSource, Served, Wish

_STACK_STARTS_WITHIN_S = 30.0
_STACK_ENDS_WITHIN_S = 15.0
_STACK_DIES_WITHIN_S = 1.0  # from its last word to the end of its process
_POLL_S = 0.02
_LIMITS = Limits()
_SERVER = Path(__file__).parent / "model_server"


class LocalServing:
    """`folder` is the stack's: its sockets, wishes, logs and the models that it serves. Thread-safe."""

    def __init__(
        self,
        folder: Path,
        sandbox: Confinement,
        clock: Clock,
        *,
        ready_within_s: float = 120.0,
        limits: Limits = _LIMITS,
        packages_of: PackagesOf | None = None,
    ) -> None:
        self.folder = folder.absolute()
        self._sandbox = sandbox
        self._clock = clock
        self._ready_within_s = ready_within_s
        self._limits = limits
        self._packages_of = packages_of
        self._counters: dict[str, Counters] = {}
        self._starting = Lock()

    # Serving

    def observe(self, environment: EnvironmentKey) -> Served:
        return _served(self._request({"do": "observe", "environment": environment.slug}))

    def apply(self, environment: EnvironmentKey, wish: Wish) -> None:
        if not 0 <= wish.candidate_weight <= 100:  # noqa: PLR2004 - per cent
            raise Refused(f"candidate_weight is {wish.candidate_weight}; expected 0 to 100 per cent")
        content = {
            "stable": self._source(environment, wish.stable),
            "candidate": self._source(environment, wish.candidate),
            "candidate_weight": wish.candidate_weight,
        }
        self._request({"do": "apply", "environment": environment.slug, "wish": content})

    def ask(
        self, environment: EnvironmentKey, arm: ArmName, body: bytes, timeout_s: float, path: str = "predict"
    ) -> Answer:
        slot = (self._request({"do": "observe", "environment": environment.slug})[arm] or {}).get("slot")
        if slot is None:
            return Answer(None, b"", 0.0, f"no {arm} revision is running")
        return asking.ask(
            self.folder / envoy_config.socket_path(environment.slug, slot), path, body, timeout_s
        )

    def url(self, environment: EnvironmentKey) -> str:
        return self.observe(environment).url

    # Traffic

    def counts(self, environment: EnvironmentKey, counting: Counting) -> Counts | Unknown:
        try:
            traffic = self._request({"do": "traffic", "environment": environment.slug})
            return self._counters_of(environment).counts(traffic, counting)
        except (Unavailable, Refused, OSError) as error:
            return Unknown(str(error))

    def standstill(self, environment: EnvironmentKey) -> Standstill | Unknown:
        try:
            traffic = self._request({"do": "traffic", "environment": environment.slug})
            return self._counters_of(environment).standstill(traffic, self._clock.now())
        except (Unavailable, Refused, OSError) as error:
            return Unknown(str(error))

    # The stack

    def shutdown(self) -> None:
        """End the stack and all that it serves. What it was wished for stays written down in its folder."""
        if self._is_held():
            processes.stop(self.stack(), grace_s=_STACK_ENDS_WITHIN_S)

    def stack(self) -> processes.Handle:
        """The process that serves. Unavailable when there is none."""
        try:
            return processes.Handle.from_json((self.folder / control.IDENTITY).read_text())
        except (OSError, ValueError) as error:
            raise Unavailable(f"no serving stack runs in {self.folder}: {error}") from error

    def _request(self, content: Mapping[str, Any]) -> dict[str, Any]:
        self._ensure()
        try:
            return control.request(self.folder, content)
        except control.NoAnswer:
            if not _eventually(lambda: not self._is_held(), _STACK_DIES_WITHIN_S):
                raise
        self._ensure()  # it ended while it was asked, and every request may be made twice
        return control.request(self.folder, content)

    def _ensure(self) -> None:
        with self._starting:
            if not self._is_held():
                self._start()

    def _start(self) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        stack = processes.spawn(
            [
                *(sys.executable, "-m", "kfops.adapters.local.serving.stack"),
                *(str(self.folder), str(self._ready_within_s)),
            ],
            env={"PATH": os.environ.get("PATH", os.defpath), "PYTHONPATH": str(_SERVER.parents[4])},
            cwd=self.folder,
            log=self.folder / "stack.log",
        )

        def is_over() -> bool:
            # A stack that finds another one in its place leaves; then that one is waited for.
            return self._answers() or not (processes.alive(stack) or self._is_held())

        if not (_eventually(is_over, _STACK_STARTS_WITHIN_S) and self._answers()):
            words = (self.folder / "stack.log").read_text(errors="replace").strip().splitlines()
            raise Unavailable(
                f"the serving stack does not start: {words[-1] if words else 'it said nothing'}"
            )

    def _answers(self) -> bool:
        try:
            control.request(self.folder, {"do": "ping"}, timeout_s=1.0)
        except Unavailable:
            return False
        return True

    def _is_held(self) -> bool:
        """A stack holds its folder's lock for as long as it lives, so this needs neither its pid nor its answer."""
        try:
            descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        else:
            return False
        finally:
            os.close(descriptor)

    def _source(self, environment: EnvironmentKey, source: ModelSource | None) -> dict[str, Any] | None:
        """The stack serves its own copy, measured: what was evaluated is what runs, and it stays when a run's folder
        goes. The argument vectors are made here, so that the stack need not know the sandbox.
        """
        if source is None:
            return None
        models = self.folder / "models" / environment.slug
        store = Store(models)
        if store.path(source.digest) is None:
            digest = store.put(source.directory)
            if digest != source.digest:
                raise Refused(f"the model directory has digest {digest}; expected {source.digest}")
        directory = models / source.digest
        directory.chmod(0o755)
        os.utime(directory)  # young: not to be tidied away before the wish arrives
        return {
            "digest": source.digest,
            "version": source.version,
            "model": source.model,
            "memory_bytes": self._limits.memory_bytes,
            "commands": {slot: self._command(environment, slot, source, directory) for slot in SLOTS},
        }

    def _command(
        self, environment: EnvironmentKey, slot: str, source: ModelSource, directory: Path
    ) -> Sequence[str]:
        place = self.folder / envoy_config.slot_folder(environment.slug, slot) / "sock"
        place.mkdir(parents=True, exist_ok=True)
        packages = bound(source.packages or (self._packages_of(source.digest) if self._packages_of else None))
        return self._sandbox.argv(
            [
                *(sys.executable, "-m", "model_server", "/model", "/sock/m.sock"),
                *(source.model, source.version, source.digest, *map(str, packages.values())),
            ],
            read_only={directory: Path("/model"), _SERVER: Path("/app/model_server"), **packages},
            writable={place: Path("/sock")},
            chdir=Path("/app"),
            limits=self._limits,
        )

    def _counters_of(self, environment: EnvironmentKey) -> Counters:
        log = self.folder / envoy_config.access_log_path(environment.slug)
        return self._counters.setdefault(environment.slug, Counters(environment.slug, log.parent))


def _served(content: Mapping[str, Any]) -> Served:
    return Served(
        stable=_arm(content["stable"]),
        candidate=_arm(content["candidate"]),
        candidate_weight=content["candidate_weight"],
        url=f"http://127.0.0.1:{content['port']}",
        incoming=_arm(content["incoming"]),
    )


def _arm(content: Mapping[str, Any] | None) -> Arm:
    if content is None:
        return ABSENT
    failure = content.get("failure")
    readiness: Readiness | Failure = (
        Readiness.READY if content["state"] == State.READY else Readiness.STARTING
    )
    if failure is not None:
        readiness = Failure(FailureKind(failure["kind"]), failure["message"])
    return Arm(readiness, content.get("digest"), content.get("version"), content.get("restarts", 0))


def _eventually(is_so: Callable[[], bool], within_s: float) -> bool:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if is_so():
            return True
        time.sleep(_POLL_S)
    return False
