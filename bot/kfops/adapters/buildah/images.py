"""Images built with buildah on this machine and pushed by digest.

A Dockerfile's RUN lines are for repositories that the operator calls trusted, never for forks: the gate sees to it before
anything comes here. They have the network, and root's rights over what `walls` leaves: chroot isolation alone gives them
this machine's devices and processes, and a mount by a link of theirs may lead to any of its files (CVE-2024-1753).
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from kfops.adapters.buildah.registry import digest_of, place
from kfops.adapters.buildah.walls import walls
from kfops.ports.errors import Refused, Unavailable
from kfops.ports.images import ImageBuilt, ImageFailure, ImageOrder

TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_STEP = re.compile(r"^STEP \d+(?:/\d+)?: ")
_FRAME = re.compile(
    r'^(?:Error|error)(?::| building) (?:building )?at STEP ".*?": |^time=\S+ level=|^exit status \d+$'
)
_TAIL = 60
_LONGEST_LINE = 2_000
_LARGEST_DOCKERFILE = 1 << 20
_PUSH_S = 600.0
_GRACE_S = 5.0


@dataclass(frozen=True)
class BuildahImages:
    """The port `Images`. `root` keeps each owner's layers between builds. `is_plain`: registries on this machine speak no TLS.

    `credentials`: (user, password) of the registry, for pushing; no step of a build runs while they are at hand. `bwrap`:
    bubblewrap's program; None where the operator wants no sandbox, or the bot is not root: buildah makes a user namespace
    of its own then, which cannot be made within another's.
    """

    root: Path
    is_plain: bool = False
    credentials: tuple[str, str] | None = None
    bwrap: Path | None = None

    def find(self, repository: str, tag: str) -> str | None:
        digest = digest_of(repository, tag, is_plain=self.is_plain, credentials=self.credentials)
        return f"{repository}@{digest}" if digest else None

    def build(self, order: ImageOrder) -> ImageBuilt | ImageFailure:
        place(order.repository)
        if not TAG.fullmatch(order.tag):
            raise Refused(f"{order.tag!r} is no tag; expected {TAG.pattern}")
        problem = problem_of(order)
        if problem:
            return ImageFailure(problem)
        began = time.monotonic()
        name = f"{order.repository}:{order.tag}"
        store = self.root.absolute() / str(order.owner) / "storage"
        with tempfile.TemporaryDirectory(prefix="kfops-image-") as folder:
            sources = Path(folder) / "sources.json"
            sources.write_text(json.dumps(_sources(store)))
            words = build_words(order, name, f"--signature-policy={sources}")
            built = self._run(words, Path(folder), store, order.timeout_s, order.source_dir / order.context)
            if built is not None:
                return built
        # A folder of its own: no step of the build has had it as its home.
        with tempfile.TemporaryDirectory(prefix="kfops-image-") as folder:
            digest = Path(folder) / "digest"
            push = ["push", f"--digestfile={digest}", *self._registry(order.repository, Path(folder)), name]
            pushed = self._run(push, Path(folder), store, _PUSH_S)
            if pushed is not None:
                raise Unavailable(f"{order.repository} was built and could not be pushed: {pushed.summary}")
            reference = f"{order.repository}@{digest.read_text().strip()}"
        return ImageBuilt(reference, round(time.monotonic() - began, 1))

    def _run(
        self, words: list[str], folder: Path, store: Path, timeout_s: float, *read: Path
    ) -> ImageFailure | None:
        """None when it went well. It and all that it started end within the time."""
        program = shutil.which("buildah")
        if program is None:
            raise Refused(
                "there is no buildah here", fix="install Debian's package buildah, or set KFOPS_IMAGES=none"
            )
        store.mkdir(parents=True, exist_ok=True)
        around = _alone() if self.bwrap is None else walls(self.bwrap, read, (store, folder))
        places = ["--root", str(store), "--runroot", str(folder / "run")]
        process = subprocess.Popen(
            [*around, program, *places, *words],
            env={
                "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
                "HOME": str(folder),
                "TMPDIR": str(folder),
                "LC_ALL": "C.UTF-8",
            },
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        assert process.stdout is not None  # noqa: S101 - it was asked for
        tail: deque[str] = deque(maxlen=_TAIL)
        reader = threading.Thread(target=_read, args=(process.stdout, tail), daemon=True)
        reader.start()
        try:
            code = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            _end(process, reader)
            return ImageFailure(f"it took longer than {timeout_s:g} s", "\n".join(tail))
        finally:
            reader.join(_GRACE_S)
            process.stdout.close()
        return None if code == 0 else failure_of(code, tuple(tail))

    def _registry(self, repository: str, folder: Path) -> list[str]:
        words = ["--tls-verify=false"] if self.is_plain else []
        if self.credentials is None:
            return words
        file, host = folder / "auth.json", place(repository)[0]
        secret = base64.b64encode(":".join(self.credentials).encode()).decode()
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
            json.dump({"auths": {host: {"auth": secret}}}, opened)
        return [*words, f"--authfile={file}"]


def _alone() -> list[str]:
    """What gives buildah a mount namespace of its own: however it ends, no mount of its layers stays behind."""
    program = shutil.which("unshare")
    return [program, "--mount", "--propagation", "private", "--"] if program else []


def _sources(store: Path) -> dict[str, object]:
    """What a build may begin with: an image of a registry, also one that this owner's `store` has already. Not a folder
    or an archive of this machine, nor another owner's store by its place. In the form of containers-policy.json(5).
    """
    accepted = [{"type": "insecureAcceptAnything"}]
    transports = {"docker": {"": accepted}, "containers-storage": {f"[{store}]": accepted}}
    return {"default": [{"type": "reject"}], "transports": transports}


def build_words(order: ImageOrder, name: str, *more: str) -> list[str]:
    """What comes after `buildah` and the places where it keeps things."""
    context = order.source_dir / order.context
    return [
        *("bud", "--isolation", "chroot", "--format", "oci", "--layers", "--force-rm"),
        *("--label", f"org.opencontainers.image.revision={order.tag}"),
        *("--timestamp", "0"),  # the same files make the same digest
        *more,
        *("--file", str(context / order.dockerfile), "--tag", name, str(context)),
    ]


def problem_of(order: ImageOrder) -> str:
    """What is wrong with the places that kfops.yaml names; empty when nothing is."""
    for said, path in (("context", order.context), ("dockerfile", order.dockerfile)):
        if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
            return f"images.build: {said} is {path!r}; expected a path in the repository"
    # buildah hands such a file to a preprocessor, which reads any file.
    if order.dockerfile.lower().endswith(".in"):
        return f"images.build: dockerfile is {order.dockerfile!r}; expected a file that needs no preprocessor: no name in .in"
    root, context = order.source_dir.resolve(), order.source_dir / order.context
    if not context.is_dir() or context.resolve() != root / order.context:  # a link leads elsewhere
        return f"images.build: there is no folder {order.context} in the repository"
    file = context / order.dockerfile
    if not file.is_file() or file.resolve() != root / order.context / order.dockerfile:
        return f"images.build: there is no file {order.dockerfile} in {order.context}"
    if file.stat().st_size > _LARGEST_DOCKERFILE:
        return f"images.build: {order.dockerfile} has more than {_LARGEST_DOCKERFILE >> 20} MiB"
    return ""


def _read(pipe: IO[bytes], tail: deque[str]) -> None:
    for line in iter(lambda: pipe.readline(_LONGEST_LINE), b""):
        tail.append(line.decode(errors="replace").rstrip())


def failure_of(code: int, tail: tuple[str, ...]) -> ImageFailure:
    """The step of the Dockerfile that was under way, and the last line that says why."""
    step = next((_STEP.sub("", line) for line in reversed(tail) if _STEP.match(line)), "")
    said = [line for line in tail if line.strip() and not _STEP.match(line) and not line.startswith("-->")]
    own = [line for line in said if not _FRAME.match(line)]
    why = own[-1] if own else (said or [f"buildah ended with exit code {code}"])[-1]
    why = _FRAME.sub("", why)
    return ImageFailure(f"{step}: {why}" if step else why, "\n".join(tail))


def _end(process: subprocess.Popen[bytes], reader: threading.Thread) -> None:
    """Over when nobody writes any more: what stands around buildah may end before that has tidied up."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError, subprocess.TimeoutExpired):
            os.killpg(process.pid, sign)
            process.wait(_GRACE_S)
        reader.join(_GRACE_S)
        if process.poll() is not None and not reader.is_alive():
            return
