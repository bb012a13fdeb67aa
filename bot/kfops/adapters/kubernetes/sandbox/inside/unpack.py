"""`python unpack.py ARCHIVE SHA256 FOLDER MOST`: the first container of a sandbox's pod: what the work may read.

ARCHIVE is a file that was mounted, or `-`: then the address is in KFOPS_ARCHIVE, which no other container has. What
has another digest is not unpacked. Stands alone: it imports nothing of Kfops.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tarfile
import tempfile
import urllib.request
from pathlib import Path
from typing import IO

_BLOCK = 1 << 20
_ANSWERS_WITHIN_S = 30


def main(archive: str, digest: str, folder: str, most: str) -> None:
    with tempfile.TemporaryFile(dir=folder) as file:
        fetch(archive, file, int(most))
        found = hashlib.sha256()
        file.seek(0)
        while block := file.read(_BLOCK):
            found.update(block)
        if found.hexdigest() != digest:
            sys.exit(f"the archive has the digest {found.hexdigest()}; expected {digest}")
        file.seek(0)
        unpack(file, Path(folder))


def fetch(archive: str, file: IO[bytes], most: int) -> None:
    """At most so many bytes."""
    if archive != "-":
        with Path(archive).open("rb") as content:
            shutil.copyfileobj(content, file, _BLOCK)
        return
    # Whatever the pod's environment says of proxies is not for this.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(os.environ["KFOPS_ARCHIVE"], timeout=_ANSWERS_WITHIN_S) as answer:
            while block := answer.read(_BLOCK):
                if file.tell() + len(block) > most:
                    sys.exit(f"the archive has more than {most} bytes")
                file.write(block)
    except OSError as error:
        # The address is as good as a key while it lasts, so it is not shown.
        sys.exit(f"the archive could not be fetched: {getattr(error, 'reason', None) or error}")


def unpack(file: IO[bytes], folder: Path) -> None:
    """Links last, so that nothing is ever written through one."""
    links = []
    with tarfile.open(fileobj=file, mode="r|gz") as archive:
        for one in archive:
            parts = Path(one.name).parts
            if Path(one.name).is_absolute() or ".." in parts:
                sys.exit("the archive has a path that leads out of it")
            place = folder / one.name
            if one.isdir():
                place.mkdir(mode=0o755)
            elif one.issym():
                links.append((place, one.linkname))
            elif one.isreg():
                content = archive.extractfile(one)
                assert content is not None  # noqa: S101 - it is a file
                with place.open("xb") as opened:
                    shutil.copyfileobj(content, opened, _BLOCK)
                place.chmod(one.mode & 0o755)
            else:
                sys.exit("the archive has something else than files, folders and links")
    for place, target in links:
        place.symlink_to(target)


if __name__ == "__main__":
    main(*sys.argv[1:])
