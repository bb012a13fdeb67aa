"""What the doors are given: adapters are made by whoever joins them, never imported from here."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kfops.cli.examining import Finding
    from kfops.cli.setup_github import Registration
    from kfops.ports.data import DataSets
    from kfops.ports.ledger import Ledger
    from kfops.ports.pipelines import Pipelines


@dataclass(frozen=True)
class Factories:
    """For `kfc`. Each takes the folder that the work is kept in, and may raise Refused.

    `pipelines` takes the address of a Kubeflow Pipelines too; empty: as the settings say, which is this machine.
    """

    pipelines: Callable[[Path, str], Pipelines]
    data_sets: Callable[[Path], DataSets]


@dataclass(frozen=True)
class Services:
    """For `kfops`. Each reads the operator's settings for itself, and may raise Refused.

    `playground` takes a port, a data folder and folders to bring in; `demo` whether to end by itself, and where its
    report goes, the forge's port and the bot's, and returns the exit code; `registration` makes an app on the forge;
    `examine` looks at all that the settings name; `secrets` are those that nothing may show.
    """

    serve: Callable[[], None]
    ledger: Callable[[], Ledger]
    playground: Callable[[int, Path, list[Path]], None]
    demo: Callable[[bool, Path | None, int, int], int]
    registration: Callable[[], Registration]
    examine: Callable[[], Iterable[Finding]]
    secrets: Callable[[], tuple[str, ...]]
