"""Which data a run is made from: the files that its parameters name, by what they hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kfops.adapters.local.digest import digest_of_file
from kfops.adapters.local.outputs import digest_output
from kfops.domain.package import InputSpec
from kfops.ports.errors import Refused


def data_digests(
    inputs: Sequence[InputSpec], parameters: Mapping[str, Any], source_dir: Path, data: Sequence[Path]
) -> dict[str, str]:
    """SHA-256 by `data.PARAMETER`, for each parameter that names a file; `data` too where there is exactly one."""
    values = {one.name: one.default for one in inputs} | dict(parameters)
    found = {}
    for name, value in values.items():
        digest = _digest(value, source_dir, data) if isinstance(value, str) and value else None
        if digest is not None:
            found[f"data.{name}"] = digest
    return {"data": next(iter(found.values())), **found} if len(found) == 1 else found


def _digest(value: str, source_dir: Path, data: Sequence[Path]) -> str | None:
    try:
        if Path(value).is_absolute():
            return digest_of_file(Path(value)) if Path(value) in data else None
        return digest_output(source_dir, value)
    except (Refused, OSError, ValueError):
        return None  # it names no file: most parameters do not
