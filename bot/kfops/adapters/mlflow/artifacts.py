"""Files to and from the tracking server's artifact store, through its proxy, byte by byte."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO
from urllib.parse import quote, urlsplit

from kfops.adapters.local.digest import files_of, open_regular
from kfops.adapters.mlflow.rest import Rest
from kfops.ports.errors import Refused, Unavailable

_PROXY = "/api/2.0/mlflow-artifacts/artifacts"
_BLOCK = 1 << 20


def upload_file(rest: Rest, uri: str, file: Path) -> None:
    """Put one file at `uri`; again is harmless."""
    with open_regular(file) as content, rest.stream("PUT", _path(uri), content=_blocks(content)) as response:
        response.read()


def upload_directory(rest: Rest, uri: str, directory: Path) -> None:
    for name, path in files_of(directory):
        upload_file(rest, f"{uri}/{name}", path)


def download(rest: Rest, uri: str, into: Path) -> None:
    """All files below `uri` into the folder `into`, which is left without files where there are none."""
    for name in _names_below(rest, PurePosixPath(_location(uri))):
        place = into / name
        place.parent.mkdir(parents=True, exist_ok=True)
        with rest.stream("GET", f"{_path(uri)}/{quote(name)}") as response, place.open("xb") as file:
            for block in response.iter_bytes(_BLOCK):
                file.write(block)


def _names_below(rest: Rest, folder: PurePosixPath, prefix: str = "") -> Iterator[str]:
    with rest.stream("GET", _PROXY, params={"path": str(folder / prefix)}) as response:
        response.read()
    try:
        entries = [
            (str(entry["path"]), bool(entry.get("is_dir"))) for entry in response.json().get("files", [])
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Unavailable(
            f"MLflow's artifact proxy listed {folder / prefix} in a form that is not known"
        ) from error
    for name, is_folder in entries:
        # Names come from another machine: none may lead out of the folder they are written to.
        if "/" in name or name in ("", ".", ".."):
            raise Refused(f"MLflow's artifact proxy lists the file name {name!r}; expected a plain name")
        if is_folder:
            yield from _names_below(rest, folder, f"{prefix}{name}/")
        else:
            yield prefix + name


def _path(uri: str) -> str:
    return f"{_PROXY}/{quote(_location(uri))}"


def _location(uri: str) -> str:
    parts = urlsplit(uri)
    if parts.scheme != "mlflow-artifacts":
        raise Refused(
            f"the artifacts are at {uri}, which the tracking server does not hand through",
            fix="start it with --serve-artifacts --artifacts-destination, and use a new experiment",
        )
    return parts.path.strip("/")


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    while block := file.read(_BLOCK):
        yield block
