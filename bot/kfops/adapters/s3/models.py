"""Model directories in a bucket, by their digest; read through a folder of this machine."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path, PurePosixPath

from kfops.adapters.local.digest import files_of
from kfops.adapters.local.store import Store
from kfops.adapters.s3.bucket import Bucket
from kfops.ports.errors import Refused

_LARGEST_LIST = 8 << 20


class S3ModelStore:
    """The port `ModelStore`: `models/<digest>/…` as serving reads it, and `models/<digest>.json` with its files.

    The list is written last: a model whose upload was cut off is not there. What comes back is measured again, so
    that nobody who can write to the bucket can change what is served under a digest.
    """

    def __init__(self, bucket: Bucket, cache: Store, scratch: Path) -> None:
        self._bucket, self._cache, self._scratch = bucket, cache, scratch

    def put(self, directory: Path) -> str:
        digest = self._cache.put(directory)
        if self._bucket.size(_list(digest)) is None:
            kept = self._cache.path(digest)
            if kept is None:
                raise Refused(f"the model {digest[:12]} vanished from the folder that it was put into")
            names = []
            for name, file in files_of(kept):
                self._bucket.upload(file, f"models/{digest}/{name}")
                names.append(name)
            self._bucket.write(_list(digest), json.dumps(names).encode())
        return digest

    def path(self, digest: str) -> Path | None:
        found = self._cache.path(digest)
        if found is not None:
            return found
        listed = self._bucket.read(_list(digest), _LARGEST_LIST)
        return None if listed is None else self._fetched(digest, _names(listed, digest))

    def address(self, digest: str) -> str:
        """Where an engine on a cluster reads it from."""
        return self._bucket.address(f"models/{digest}")

    def _fetched(self, digest: str, names: list[str]) -> Path | None:
        self._scratch.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=self._scratch) as folder:
            for name in names:
                place = Path(folder) / "model" / name
                place.parent.mkdir(parents=True, exist_ok=True)
                self._bucket.download(f"models/{digest}/{name}", place)
            measured = self._cache.put(Path(folder) / "model")
        if measured != digest:
            raise Refused(
                f"what lies at {self.address(digest)} is another model, {measured[:12]}",
                fix="find out who wrote there; build the model again, or restore the bucket's objects",
            )
        return self._cache.path(digest)


def _list(digest: str) -> str:
    return f"models/{digest}.json"


def _names(listed: bytes, digest: str) -> list[str]:
    """A list that somebody else may have written: names stay below their folder."""
    try:
        names = json.loads(listed)
    except ValueError:
        names = None
    if not isinstance(names, list) or not all(isinstance(one, str) and _is_inside(one) for one in names):
        raise Refused(f"the list of files of the model {digest[:12]} cannot be read")
    return names


def _is_inside(name: str) -> bool:
    path = PurePosixPath(name)
    return bool(name) and name.isprintable() and not path.is_absolute() and ".." not in path.parts
