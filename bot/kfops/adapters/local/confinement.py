"""What confined code may use, and what every form of confinement does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from kfops.adapters.local.short_work import ShortWork, UnderWay

_MIB = 1 << 20


@dataclass(frozen=True)
class Limits:
    """`memory_bytes` (address space), `file_bytes` and `cpu_s` hold for each process, `processes` (threads count) and
    `scratch_bytes` (/tmp, in memory) for all of them together; `cpu_s` None: no limit but the caller's own time-out.
    """

    memory_bytes: int = 8192 * _MIB
    processes: int = 512
    file_bytes: int = 2048 * _MIB
    cpu_s: int | None = None
    open_files: int = 1024
    scratch_bytes: int = 512 * _MIB


class Confinement(Protocol):
    """What `Sandbox` and `NoSandbox` have in common."""

    @property
    def name(self) -> str:
        """For the health page: how code is confined."""
        ...

    def argv(
        self,
        inside: Sequence[str],
        *,
        read_only: Mapping[Path, Path],
        writable: Mapping[Path, Path],
        chdir: Path,
        limits: Limits = ...,
        variables: Mapping[str, str] = ...,
    ) -> list[str]:
        """The command that runs `inside` confined. The mappings go from a path here to its path inside.

        `variables` are added to the environment inside. Writable folders are given to the user inside. Refused where
        a path cannot be read by that user.
        """
        ...

    def environment(self) -> dict[str, str]:
        """What to start that command with: nothing of the bot's own environment."""
        ...

    def start(self, work: ShortWork) -> UnderWay:
        """See `Workroom`: a confinement of this machine is one."""
        ...
