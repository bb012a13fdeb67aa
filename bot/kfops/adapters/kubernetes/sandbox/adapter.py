"""Short pieces of foreign work as Jobs in a namespace of their own: no token, no network, no rights, and an end."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from pathlib import Path
from typing import Self

from kfops.adapters.kubernetes.client import Kubernetes
from kfops.adapters.kubernetes.sandbox import job as documents
from kfops.adapters.kubernetes.sandbox.bringing import Archives, Bringing
from kfops.adapters.kubernetes.sandbox.job import MAIN, SAID, SMALL_BYTES, Document, Place
from kfops.adapters.kubernetes.sandbox.packing import Packed, pack
from kfops.adapters.kubernetes.sandbox.pods import Over, Trouble, Why, clusters_trouble
from kfops.adapters.kubernetes.sandbox.report import LARGEST_LOG, read_report
from kfops.adapters.kubernetes.sandbox.running import Jobs
from kfops.adapters.local.confined import Ended
from kfops.adapters.local.sandbox_words import SEALING
from kfops.adapters.local.short_work import ShortWork
from kfops.ports.errors import Refused, Unavailable

_TAIL = 4000
_TIMES = 3  # how often a Job that somebody took away is made again


class SandboxJobs:
    """A `Workroom`. Thread-safe. `archives` None: nothing large can be brought."""

    name = "a Job on the cluster"

    def __init__(
        self,
        kubernetes: Kubernetes,
        place: Place,
        archives: Archives | None = None,
        *,
        look_every_s: float = 0.5,
        small_bytes: int = SMALL_BYTES,
    ) -> None:
        self.jobs = Jobs(kubernetes, place, look_every_s)
        self.bringing = Bringing(archives, small_bytes)
        self.tools = documents.tools(SEALING / "seal.py")

    def close(self) -> None:
        self.jobs.kubernetes.close()

    def start(self, work: ShortWork) -> JobWork:
        return JobWork(self, work)


class JobWork:
    """Who makes the same one at the same time shares the Job."""

    def __init__(self, room: SandboxJobs, work: ShortWork) -> None:
        self._room, self._work = room, work
        self._folder = tempfile.TemporaryDirectory(prefix="kfops-job-")
        self._job: Document | None = None
        self._name = ""
        if not work.is_told:
            try:
                self._job = self._launched()
            except BaseException:
                self.__exit__()
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._job is not None:
            self._room.jobs.remove(self._job)
        if self._name:
            with contextlib.suppress(Unavailable, Refused):
                self._room.bringing.forget(self._name)
        self._folder.cleanup()

    def finish(self, said: bytes = b"") -> Ended:
        within_s = self._room.jobs.place.starts_within_s + self._work.timeout_s
        for _ in range(_TIMES):
            self._job = self._job or self._launched(said)
            end = self._room.jobs.end_of(self._job, within_s)
            if isinstance(end, Over):
                return self._told(end)
            if isinstance(end, Trouble):
                return self._troubled(end)
            self._job = None
        raise Unavailable("somebody keeps taking the sandbox's Job away")

    def _launched(self, said: bytes = b"") -> Document:
        room, work = self._room, self._work
        place, packed, order = room.jobs.place, self._packed(said), documents.order_of(work, sys.executable)
        name = documents.name_of(work, order, packed.digest, place, room.tools)
        address = room.bringing.address(name, packed, place.starts_within_s)
        self._name = name if address else ""
        archive = None if address else packed.file.read_bytes()
        return room.jobs.make(
            documents.job(name, work, packed, place, address),
            lambda job: documents.config_map(name, job, {"work.json": order, **room.tools}, archive),
        )

    def _packed(self, said: bytes) -> Packed:
        folder, read_only = Path(self._folder.name), dict(self._work.read_only)
        if self._work.is_told:
            (folder / "said").write_bytes(said)
            read_only[folder / "said"] = SAID
        return pack(read_only, folder / "source.tar.gz")

    def _told(self, over: Over) -> Ended:
        log = self._room.jobs.log(over.pod, MAIN, LARGEST_LOG + 1)
        report = read_report(log, largest_answer=self._work.largest_answer)
        if isinstance(report, str):
            return Ended(over.code or None, None, log[-_TAIL:], f"the sandbox gave no answer: {report}")
        if report.is_too_large:
            most = self._work.largest_answer
            return Ended(report.code, None, report.log_tail, f"its answer has more than {most} bytes")
        return Ended(report.code, report.answer, report.log_tail)

    def _troubled(self, trouble: Trouble) -> Ended:
        """What the code did is its end; what the cluster did may go better another time, or never."""
        said = f": {trouble.said}" if trouble.said else ""
        match trouble.why:
            case Why.DEADLINE:
                return Ended(None, None, "")
            case Why.OUT_OF_MEMORY:
                most = documents.memory_of(self._work) / (1 << 30)
                return Ended(
                    None, None, "", f"the code took more than the {most:g} GiB of memory that it may"
                )
            case Why.OUT_OF_DISK:
                return Ended(None, None, "", f"the code wrote more than it may{said}")
            case Why.FIRST:
                log = self._room.jobs.log(trouble.pod, trouble.container, _TAIL).strip()
                raise Unavailable(f"the sandbox did not get what it needs{said}: {log[-400:]}")
            case _:
                raise clusters_trouble(trouble)
