"""One Job from its making to its end, whatever its pod does."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass

from kfops.adapters.kubernetes.client import Conflict, Kubernetes
from kfops.adapters.kubernetes.sandbox.job import Document, Place
from kfops.adapters.kubernetes.sandbox.pods import FULL, Going, Over, Trouble, state
from kfops.ports.errors import Refused, Unavailable

_LATER_S = 30.0  # what the cluster may need to tell of a deadline


@dataclass(frozen=True)
class Jobs:
    """The Jobs of one namespace. What is made twice under a name is one."""

    kubernetes: Kubernetes
    place: Place
    look_every_s: float = 0.5

    def make(self, job: Document, config_map: Callable[[Document], Document]) -> Document:
        """The Job, or the one that a bot before this one has made; then what it starts from, which belongs to it."""
        made = self._made(job)
        with contextlib.suppress(Conflict):  # it is there already
            self.kubernetes.create(self.place.config_maps, config_map(made))
        return made

    def _made(self, job: Document) -> Document:
        name = job["metadata"]["name"]
        deadline = time.monotonic() + _LATER_S
        while True:
            try:
                return self.kubernetes.create(self.place.jobs, job)
            except Conflict:
                found = self.kubernetes.get(f"{self.place.jobs}/{name}")
                if found is not None and not found["metadata"].get("deletionTimestamp"):
                    return found
            except Refused as error:
                if "exceeded quota" in str(error):  # those that end make room
                    raise Unavailable(f"{FULL}: {error}") from error
                raise
            # One that is being taken away; its name is free when all of it is gone.
            if time.monotonic() > deadline:
                raise Unavailable(f"the Job {name} is not gone yet")
            time.sleep(self.look_every_s)

    def end_of(self, job: Document, within_s: float) -> Over | Trouble | None:
        """Wait for it. None: it was taken away under our hands. `Unavailable` where the cluster does not end it."""
        going, path = Going(), f"{self.place.jobs}/{job['metadata']['name']}"
        deadline = time.monotonic() + within_s + _LATER_S
        while time.monotonic() < deadline:
            found = self.kubernetes.get(path)
            if found is None or found["metadata"]["uid"] != job["metadata"]["uid"]:
                return None
            pods = self._pods(job)
            seen = state(found, pods, () if pods else self._events(job), going)
            if not isinstance(seen, Going):
                return seen
            going = seen
            time.sleep(self.look_every_s)
        raise Unavailable(f"the cluster did not end the Job within {within_s:g} s: {going.said}")

    def log(self, pod: str, container: str, most: int) -> str:
        """At most so many bytes from its beginning."""
        query = {"container": container, "limitBytes": str(most)}
        return self.kubernetes.text(f"{self.place.pods}/{pod}/log", query) or ""

    def remove(self, job: Document) -> None:
        """With all that belongs to it. What cannot be removed now goes with its own time."""
        metadata = job["metadata"]
        with contextlib.suppress(Unavailable, Refused):
            self.kubernetes.delete(f"{self.place.jobs}/{metadata['name']}", uid=metadata["uid"], is_last=True)

    def _pods(self, job: Document) -> list[Document]:
        name, uid = job["metadata"]["name"], job["metadata"]["uid"]
        return [
            one
            for one in self.kubernetes.list(self.place.pods, {"job-name": name})
            if any(owner.get("uid") == uid for owner in one["metadata"].get("ownerReferences") or ())
        ]

    def _events(self, job: Document) -> list[Document]:
        about = {"involvedObject.uid": job["metadata"]["uid"]}
        return self.kubernetes.list(self.place.events, fields=about)
