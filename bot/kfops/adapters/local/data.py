"""Data sets in a folder: one folder per content, the table beside its profile."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from kfops.adapters.local import table
from kfops.adapters.local.digest import digest_of_file
from kfops.domain.profile import Column, Profile
from kfops.ports.data import DataSet
from kfops.ports.errors import Refused

_CARD = "dataset.json"
_DIGITS = re.compile(r"[0-9a-f]{8,64}")


class DataFolder:
    """The port `DataSets` below `root`: `<digest>/<name>` and `<digest>/dataset.json`."""

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()

    def add(self, file: Path, *, target: str | None = None) -> DataSet:
        # What is checked is the copy: the original can change meanwhile.
        if not file.is_file():
            raise Refused(f"{file}: no such file")
        self._root.mkdir(parents=True, exist_ok=True)
        incoming = Path(tempfile.mkdtemp(prefix=".incoming-", dir=self._root))
        try:
            copy = incoming / file.name
            shutil.copyfile(file, copy)
            frame = table.read(copy)
            if target is not None:
                table.check_target(file.name, frame, target)
            return self._keep(incoming, copy, table.profile(frame))
        finally:
            shutil.rmtree(incoming, ignore_errors=True)

    def find(self, digest: str) -> DataSet | None:
        if not _DIGITS.fullmatch(digest):
            return None
        found = [folder for folder in self._root.glob(f"{digest}*") if (folder / _CARD).is_file()]
        return self._read(found[0]) if len(found) == 1 else None

    def _keep(self, incoming: Path, copy: Path, profile: Profile) -> DataSet:
        digest = digest_of_file(copy)
        card = {
            "name": copy.name,
            "digest": digest,
            "size_bytes": copy.stat().st_size,
            "profile": asdict(profile),
            "warnings": table.warnings(profile),
        }
        (incoming / _CARD).write_text(json.dumps(card, indent=1, ensure_ascii=False), encoding="utf-8")
        for file in (copy, incoming / _CARD):
            file.chmod(0o444)
            _sync(file)
        incoming.chmod(0o755)
        _sync(incoming)
        place = self._root / digest
        if not (place / _CARD).is_file():
            incoming.rename(place)
            _sync(self._root)
        return self._read(place)

    def _read(self, folder: Path) -> DataSet:
        card: dict[str, Any] = json.loads((folder / _CARD).read_text(encoding="utf-8"))
        columns = (
            Column(**column | {"top": tuple(map(tuple, column["top"]))})
            for column in card["profile"]["columns"]
        )
        return DataSet(
            name=card["name"],
            uri=str(folder / card["name"]),
            digest=card["digest"],
            size_bytes=card["size_bytes"],
            profile=Profile(card["profile"]["rows"], tuple(columns)),
            warnings=tuple(card["warnings"]),
        )


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
