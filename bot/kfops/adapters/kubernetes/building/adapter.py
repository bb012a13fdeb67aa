"""Images built by Jobs in a namespace of their own, and pushed by digest.

A builder's container has fewer walls than the sandbox's: it is for repositories that the operator calls trusted, never
for forks. The gate sees to it before anything comes here.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from pathlib import Path

from kfops.adapters.buildah.images import TAG, failure_of, problem_of
from kfops.adapters.buildah.registry import digest_of, place
from kfops.adapters.kubernetes.building.job import BUILD, LAYOUT, PUSH, PUSH_S, Builder, job, name_of
from kfops.adapters.kubernetes.client import Kubernetes
from kfops.adapters.kubernetes.sandbox import job as sandbox_documents
from kfops.adapters.kubernetes.sandbox.bringing import Archives, Bringing
from kfops.adapters.kubernetes.sandbox.job import SMALL_BYTES, Document
from kfops.adapters.kubernetes.sandbox.packing import pack
from kfops.adapters.kubernetes.sandbox.pods import Over, Trouble, Why, clusters_trouble
from kfops.adapters.kubernetes.sandbox.running import Jobs
from kfops.ports.errors import Refused, Unavailable
from kfops.ports.images import ImageBuilt, ImageFailure, ImageOrder

_LOG_BYTES = 1 << 20
_TAIL_LINES = 60


class ClusterImages:
    """The port `Images`. Thread-safe. `credentials`: (user, password) that may read the registry."""

    def __init__(
        self,
        kubernetes: Kubernetes,
        builder: Builder,
        archives: Archives | None = None,
        *,
        credentials: tuple[str, str] | None = None,
        look_every_s: float = 2.0,
        small_bytes: int = SMALL_BYTES,
    ) -> None:
        self._builder, self._credentials = builder, credentials
        self._jobs = Jobs(kubernetes, builder.place, look_every_s)
        self._bringing = Bringing(archives, small_bytes)
        self._tools = _tools()

    def close(self) -> None:
        self._jobs.kubernetes.close()

    def look(self) -> None:
        """Refused where the bot may not see to Jobs there, `Unavailable` where nobody answers."""
        self._jobs.kubernetes.get(f"{self._builder.place.jobs}/kfops-doctor")

    def find(self, repository: str, tag: str) -> str | None:
        digest = digest_of(repository, tag, is_plain=self._builder.is_plain, credentials=self._credentials)
        return f"{repository}@{digest}" if digest else None

    def build(self, order: ImageOrder) -> ImageBuilt | ImageFailure:
        place(order.repository)
        if not TAG.fullmatch(order.tag):
            raise Refused(f"{order.tag!r} is no tag; expected {TAG.pattern}")
        problem = problem_of(order)
        if problem:
            return ImageFailure(problem)
        began = time.monotonic()
        failure = self._done(order)
        if failure is not None:
            return failure
        reference = self.find(order.repository, order.tag)
        if reference is None:
            raise Unavailable(f"{order.repository} was pushed, and its registry has no {order.tag} yet")
        return ImageBuilt(reference, round(time.monotonic() - began, 1))

    def _done(self, order: ImageOrder) -> ImageFailure | None:
        """None when it is pushed."""
        builder, starts_s = self._builder, self._builder.place.starts_within_s
        with tempfile.TemporaryDirectory(prefix="kfops-image-") as folder:
            packed = pack({order.source_dir: Path("/source")}, Path(folder) / "source.tar.gz")
            name = name_of(order, packed.digest, builder, self._tools)
            address = self._bringing.address(name, packed, starts_s)
            archive = None if address else packed.file.read_bytes()
            made = self._jobs.make(
                job(name, order, packed, builder, address),
                lambda owner: sandbox_documents.config_map(name, owner, self._tools, archive),
            )
        try:
            return self._ended(made, order, starts_s + order.timeout_s + PUSH_S)
        finally:
            self._jobs.remove(made)
            if address:
                with contextlib.suppress(Unavailable, Refused):
                    self._bringing.forget(name)

    def _ended(self, made: Document, order: ImageOrder, within_s: float) -> ImageFailure | None:
        end = self._jobs.end_of(made, within_s)
        if end is None:
            raise Unavailable("somebody took the image's Job away")
        if isinstance(end, Over):
            if end.code == 0:
                return None
            said = self._jobs.log(end.pod, PUSH, _LOG_BYTES).strip()
            raise Unavailable(f"{order.repository} was built and could not be pushed: {said[-400:]}")
        return self._troubled(end, order)

    def _troubled(self, end: Trouble, order: ImageOrder) -> ImageFailure:
        if end.why is Why.FIRST and end.container in {BUILD, LAYOUT}:
            lines = self._jobs.log(end.pod, end.container, _LOG_BYTES).splitlines()[-_TAIL_LINES:]
            return failure_of(1, tuple(line.rstrip() for line in lines))
        if end.why is Why.FIRST:
            said = self._jobs.log(end.pod, end.container, _LOG_BYTES).strip()
            raise Unavailable(f"the image's Job did not get what it needs: {said[-400:]}")
        if end.why is Why.OUT_OF_MEMORY:
            most = self._builder.memory_bytes / (1 << 30)
            return ImageFailure(f"it took more than the {most:g} GiB of memory that it may")
        if end.why is Why.OUT_OF_DISK:
            return ImageFailure(f"it wrote more than it may: {end.said}")
        if end.why is Why.DEADLINE:
            return ImageFailure(f"it took longer than {order.timeout_s:g} s")
        raise clusters_trouble(end)


def _tools() -> dict[str, str]:
    inside = Path(__file__).parent / "inside" / "push.py"
    unpack = Path(sandbox_documents.__file__).parent / "inside" / "unpack.py"
    return {path.name: path.read_text() for path in (inside, unpack)}
