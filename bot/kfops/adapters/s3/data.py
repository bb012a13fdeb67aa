"""Data sets in a bucket, and any object of a bucket as a run's data."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from kfops.adapters.local.data import DataFolder
from kfops.adapters.s3.bucket import Bucket
from kfops.ports.data import DataSet
from kfops.ports.errors import Refused

_CARD = "dataset.json"
_LARGEST_CARD = 8 << 20
_DIGITS = re.compile(r"[0-9a-f]{8,64}")


class S3DataSets:
    """The port `DataSets`: `data/<digest>/<name>` and, written last, `data/<digest>/dataset.json`."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    def add(self, file: Path, *, target: str | None = None) -> DataSet:
        with tempfile.TemporaryDirectory(prefix="kfops-data-") as folder:
            found = DataFolder(Path(folder)).add(file, target=target)
            place = Path(folder) / found.digest
            if self._bucket.size(f"data/{found.digest}/{_CARD}") is None:
                self._bucket.upload(place / found.name, f"data/{found.digest}/{found.name}")
                self._bucket.upload(place / _CARD, f"data/{found.digest}/{_CARD}")
            return self._placed(found)

    def find(self, digest: str) -> DataSet | None:
        if not _DIGITS.fullmatch(digest):
            return None
        cards = [name for name in self._bucket.names(f"data/{digest}") if name.endswith(f"/{_CARD}")]
        if len(cards) != 1:
            return None
        content = self._bucket.read(cards[0], _LARGEST_CARD)
        if content is None:
            return None
        with tempfile.TemporaryDirectory(prefix="kfops-data-") as folder:
            whole = str(json.loads(content)["digest"])
            place = Path(folder) / whole
            place.mkdir()
            (place / _CARD).write_bytes(content)
            found = DataFolder(Path(folder)).find(whole)
        return None if found is None else self._placed(found)

    def _placed(self, found: DataSet) -> DataSet:
        return replace(found, uri=self._bucket.address(f"data/{found.digest}/{found.name}"))


@dataclass(frozen=True)
class S3DataFiles:
    """The port `DataFiles`, for any bucket that the bot's credentials reach."""

    endpoint: str = ""
    most_bytes: int = 10 << 30

    def fetch(self, address: str, into: Path) -> Path:
        folder, _, name = address.rpartition("/")
        if not name or not name.isprintable() or name in {".", ".."}:
            raise Refused(f"{address!r} names no object; expected such as s3://data/churn/2026.csv")
        bucket = Bucket(f"{folder}/", endpoint=self.endpoint)
        size = bucket.size(name)
        if size is None:
            raise Refused(
                f"{address} is not there", fix="look at the address; `kfc data add FILE` prints one"
            )
        if size > self.most_bytes:
            raise Refused(f"{address} has {size} bytes; at most {self.most_bytes} are fetched")
        if shutil.disk_usage(into).free < 2 * size:
            raise Refused(f"{address} has {size} bytes, more than half of what is free on the bot's disk")
        incoming = into / f".{name}.incoming"
        bucket.download(name, incoming)
        return incoming.rename(into / name)
