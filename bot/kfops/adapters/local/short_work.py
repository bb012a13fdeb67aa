"""Short pieces of foreign work, wherever they are confined: in a sandbox on this machine, or in a pod of a cluster's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, Self

from kfops.adapters.local.confined import Confined, Ended
from kfops.adapters.local.confinement import Confinement, Limits


@dataclass(frozen=True)
class ShortWork:
    """`command` with the paths inside; `read_only` goes from a path here to its path inside, and nothing is writable
    but /tmp. The answer is a JSON object on its standard output, of at most `largest_answer` bytes.

    `purpose` is a word for names and logs. `timeout_s` counts from the moment at which it runs. `is_told`: it waits
    for what `finish` tells it on standard input.
    """

    purpose: str
    command: tuple[str, ...]
    read_only: Mapping[Path, Path]
    chdir: Path
    limits: Limits
    timeout_s: float
    largest_answer: int
    variables: Mapping[str, str] = field(default_factory=dict)
    is_told: bool = False


class UnderWay(Protocol):
    """Ends at the latest with its `with` block."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def finish(self, said: bytes = b"") -> Ended:
        """Wait for its end, and take what it leaves. May raise `Unavailable`, and Refused where it cannot run."""
        ...


class Workroom(Protocol):
    """Where short pieces of foreign work are done."""

    @property
    def name(self) -> str: ...

    def start(self, work: ShortWork) -> UnderWay:
        """It runs from now on; where it `is_told`, from `finish` on at the latest. May raise `Unavailable` or Refused."""
        ...


class Here:
    """On this machine."""

    def __init__(self, sandbox: Confinement, work: ShortWork) -> None:
        command = sandbox.argv(
            work.command,
            read_only=work.read_only,
            writable={},
            chdir=work.chdir,
            limits=work.limits,
            variables=work.variables,
        )
        self._timeout_s = work.timeout_s
        self._confined = Confined(
            sandbox, command, largest_answer=work.largest_answer, memory_bytes=work.limits.memory_bytes
        )

    def __enter__(self) -> Self:
        self._confined.__enter__()
        return self

    def __exit__(self, *words: object) -> None:
        self._confined.__exit__(*words)

    def finish(self, said: bytes = b"") -> Ended:
        return self._confined.finish(self._timeout_s, said=said)
