"""Short pieces of foreign work as Jobs in a namespace of their own: no token, no network, no rights, and an end."""

from __future__ import annotations

import contextlib
import math
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol, Self

from kfops.adapters.kubernetes.client import Conflict, Kubernetes
from kfops.adapters.kubernetes.sandbox import job as documents
from kfops.adapters.kubernetes.sandbox.job import (
    LARGEST_ARCHIVE,
    MAIN,
    SAID,
    SMALL_BYTES,
    SOURCE,
    Document,
    Place,
)
from kfops.adapters.kubernetes.sandbox.packing import Packed, pack
from kfops.adapters.kubernetes.sandbox.pods import Going, Over, Trouble, Why, state
from kfops.adapters.kubernetes.sandbox.report import LARGEST_LOG, read_report
from kfops.adapters.local.confined import Ended
from kfops.adapters.local.sandbox_words import SEALING
from kfops.adapters.local.short_work import ShortWork
from kfops.ports.errors import Refused, Unavailable

_TAIL = 4000
_LATER_S = 30.0  # what the cluster may need to tell of a deadline
_TIMES = 3  # how often a Job that somebody took away is made again


class Archives(Protocol):
    """Where an archive that is too large for a ConfigMap is fetched from. May raise `Unavailable` or Refused."""

    def put(self, name: str, file: Path, *, valid_s: int) -> str:
        """An address that anybody can fetch it from for so many seconds."""
        ...

    def remove(self, name: str) -> None: ...


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
        self.kubernetes, self.place, self.archives = kubernetes, place, archives
        self.look_every_s, self.small_bytes = look_every_s, small_bytes
        self.tools = documents.tools(SEALING / "seal.py")

    def start(self, work: ShortWork) -> JobWork:
        return JobWork(self, work)


class JobWork:
    """One Job from its making to its end. Who makes the same one at the same time shares it."""

    def __init__(self, room: SandboxJobs, work: ShortWork) -> None:
        self._room, self._work = room, work
        self._folder = tempfile.TemporaryDirectory(prefix="kfops-job-")
        self._job: Document = {}
        self._forget: Callable[[], None] = lambda: None
        if not work.is_told:
            with self._gone_if_it_fails():
                self._launch()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # What cannot be taken away now goes with its own time, and the Job with its deadline.
        with contextlib.suppress(Unavailable, Refused):
            if self._job:
                uid = self._job["metadata"]["uid"]
                self._room.kubernetes.delete(self._path, uid=uid, is_last=True)
        with contextlib.suppress(Unavailable, Refused):
            self._forget()
        self._folder.cleanup()

    def finish(self, said: bytes = b"") -> Ended:
        if self._work.is_told:
            self._launch(said)
        for _ in range(_TIMES):
            ended = self._awaited()
            if ended is not None:
                return ended
            self._launch(said)
        raise Unavailable("somebody keeps taking the sandbox's Job away")

    @contextlib.contextmanager
    def _gone_if_it_fails(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.__exit__()
            raise

    @property
    def _path(self) -> str:
        return f"{self._room.place.jobs}/{self._job['metadata']['name']}"

    def _launch(self, said: bytes = b"") -> None:
        """Make the Job, or find the one that a bot before this one has made; then what it starts from."""
        room, work = self._room, self._work
        packed = self._packed(said)
        order = documents.order_of(work, sys.executable)
        name = documents.name_of(work, order, packed.digest, room.place, room.tools)
        address = self._address(name, packed)
        self._job = self._made(documents.job(name, work, packed, room.place, address))
        archive = None if address else packed.file.read_bytes()
        with contextlib.suppress(Conflict):  # it is there already
            room.kubernetes.create(
                room.place.config_maps, documents.config_map(name, self._job, order, room.tools, archive)
            )

    def _packed(self, said: bytes) -> Packed:
        folder, read_only = Path(self._folder.name), dict(self._work.read_only)
        if self._work.is_told:
            (folder / "said").write_bytes(said)
            read_only[folder / "said"] = SAID
        return pack(read_only, folder / "source.tar.gz")

    def _address(self, name: str, packed: Packed) -> str | None:
        room = self._room
        if packed.size <= room.small_bytes:
            return None
        if room.archives is None or packed.size > LARGEST_ARCHIVE:
            most = LARGEST_ARCHIVE if room.archives else room.small_bytes
            raise Refused(
                f"what the sandbox needs has {packed.size >> 10} KiB packed; at most {most >> 10} KiB can be brought",
                fix=""
                if room.archives
                else "the operator sets KFOPS_STORAGE=s3, which larger ones go through",
            )
        archives, key = room.archives, f"{name}.tar.gz"
        self._forget = lambda: archives.remove(key)
        return archives.put(key, packed.file, valid_s=math.ceil(room.place.starts_within_s))

    def _made(self, document: Document) -> Document:
        room, name = self._room, document["metadata"]["name"]
        deadline = time.monotonic() + _LATER_S
        while True:
            try:
                return room.kubernetes.create(room.place.jobs, document)
            except Conflict:
                found = room.kubernetes.get(f"{room.place.jobs}/{name}")
                if found is not None and not found["metadata"].get("deletionTimestamp"):
                    return found
            except Refused as error:
                raise _no_room(error) from error
            # One that is being taken away; its name is free when all of it is gone.
            if time.monotonic() > deadline:
                raise Unavailable(f"the sandbox's Job {name} is not gone yet")
            time.sleep(room.look_every_s)

    def _awaited(self) -> Ended | None:
        """None: the Job was taken away under our hands."""
        room, going = self._room, Going()
        within_s = room.place.starts_within_s + self._work.timeout_s + _LATER_S
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            found = room.kubernetes.get(self._path)
            if found is None or found["metadata"]["uid"] != self._job["metadata"]["uid"]:
                return None
            pods = self._pods()
            seen = state(found, pods, () if pods else self._events(), going)
            if isinstance(seen, Over):
                return self._told(seen)
            if isinstance(seen, Trouble):
                return self._troubled(seen, pods)
            going = seen
            time.sleep(room.look_every_s)
        raise Unavailable(f"the cluster did not end the sandbox's Job within {within_s:g} s: {going.said}")

    def _pods(self) -> list[Document]:
        name, uid = self._job["metadata"]["name"], self._job["metadata"]["uid"]
        found = self._room.kubernetes.list(self._room.place.pods, {"job-name": name})
        return [
            one
            for one in found
            if any(owner.get("uid") == uid for owner in one["metadata"].get("ownerReferences") or ())
        ]

    def _events(self) -> list[Document]:
        about = {"involvedObject.uid": self._job["metadata"]["uid"]}
        return self._room.kubernetes.list(self._room.place.events, fields=about)

    def _log(self, pod: str, container: str, most: int) -> str:
        query = {"container": container, "limitBytes": str(most)}
        return self._room.kubernetes.text(f"{self._room.place.pods}/{pod}/log", query) or ""

    def _told(self, over: Over) -> Ended:
        log = self._log(over.pod, MAIN, LARGEST_LOG + 1)
        report = read_report(log, largest_answer=self._work.largest_answer)
        if isinstance(report, str):
            return Ended(over.code or None, None, log[-_TAIL:], f"the sandbox gave no answer: {report}")
        if report.is_too_large:
            most = self._work.largest_answer
            return Ended(report.code, None, report.log_tail, f"its answer has more than {most} bytes")
        return Ended(report.code, report.answer, report.log_tail)

    def _troubled(self, trouble: Trouble, pods: list[Document]) -> Ended:
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
            case Why.SOURCE:
                log = self._log(pods[-1]["metadata"]["name"], SOURCE, _TAIL).strip()
                raise Unavailable(f"the sandbox did not get what it needs{said}: {log[-400:]}")
            case Why.NOT_ALLOWED:
                fix = "look at KFOPS_SANDBOX_IMAGE and at the sandbox's namespace; `kfops doctor` tries it"
                raise Refused(f"the cluster does not run the sandbox's pod{said}", fix=fix)
            case Why.IMAGE | Why.QUOTA | Why.NOT_STARTED | Why.EVICTED | Why.GONE:
                raise Unavailable(f"{_CLUSTERS_TROUBLE[trouble.why]}{said}")


_CLUSTERS_TROUBLE = {
    Why.IMAGE: "the sandbox's image cannot be pulled",
    Why.QUOTA: "the sandbox's namespace is full",
    Why.NOT_STARTED: "the sandbox's pod did not start in time",
    Why.EVICTED: "the sandbox's pod was evicted from its node",
    Why.GONE: "the sandbox's Job failed",
}


def _no_room(error: Refused) -> Refused | Unavailable:
    """A quota on Jobs is said when one is made; those that end make room."""
    if "exceeded quota" in str(error):
        return Unavailable(f"{_CLUSTERS_TROUBLE[Why.QUOTA]}: {error}")
    return error
