"""What a sandbox's Job starts from: packed so that the same files make the same bytes, unpacked without going astray."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from kfops.adapters.kubernetes.sandbox import packing
from kfops.adapters.kubernetes.sandbox.packing import Packed, pack
from kfops.ports.errors import Refused

UNPACK = Path(packing.__file__).parent / "inside" / "unpack.py"


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "repository"
    (made / "model" / "__pycache__").mkdir(parents=True)
    (made / "model" / "größe.py").write_text("x = 1\n")
    (made / "model" / "__pycache__" / "x.pyc").write_text("x")
    (made / "run.sh").write_text("#!/bin/sh\n")
    (made / "run.sh").chmod(0o700)
    (made / "link").symlink_to("model/größe.py")
    (made / "empty").mkdir()
    return made


def unpacked(packed: Path, into: Path, digest: str = "") -> subprocess.CompletedProcess[str]:
    into.mkdir()
    found = digest or hashlib.sha256(packed.read_bytes()).hexdigest()
    command = [sys.executable, "-I", "-S", str(UNPACK), str(packed), found, str(into), "1000000"]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def test_what_was_packed_is_there_again(folder, tmp_path):
    (tmp_path / "rows").write_text("1\n")
    made = pack({folder: Path("/repo"), tmp_path / "rows": Path("/data/rows")}, tmp_path / "archive")

    assert made.places == (("0", Path("/data/rows")), ("1", Path("/repo")))
    assert unpacked(made.file, tmp_path / "out").returncode == 0
    out = tmp_path / "out"
    assert (out / "0").read_text() == "1\n"
    found = sorted(str(path.relative_to(out / "1")) for path in (out / "1").rglob("*"))
    assert found == ["empty", "link", "model", "model/größe.py", "run.sh"]
    assert (out / "1" / "link").readlink() == Path("model/größe.py")
    assert [(out / "1" / name).stat().st_mode & 0o777 for name in ("run.sh", "model/größe.py")] == [
        0o755,
        0o644,
    ]


def test_times_and_owners_make_no_other_archive_and_content_does(folder, tmp_path):
    def digest() -> str:
        return pack({folder: Path("/repo")}, tmp_path / "archive").digest

    first = digest()
    for path in folder.rglob("*"):
        os.utime(path, (1, 1), follow_symlinks=False)
    assert digest() == first
    (folder / "model" / "größe.py").write_text("x = 2\n")
    assert digest() != first


def test_what_is_too_much_is_refused(folder, tmp_path):
    with pytest.raises(Refused, match="more than the"):
        pack({folder: Path("/repo")}, tmp_path / "archive", largest=5)


def test_r11_what_is_no_file_is_refused(folder, tmp_path):
    os.mkfifo(folder / "pipe")
    with pytest.raises(Refused, match="no file, folder or link"):
        pack({folder: Path("/repo")}, tmp_path / "archive")


def test_another_archive_than_was_meant_is_not_unpacked(folder, tmp_path):
    made = pack({folder: Path("/repo")}, tmp_path / "archive")
    done = unpacked(made.file, tmp_path / "out", "0" * 64)

    assert done.returncode == 1
    assert "expected 0000" in done.stderr
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize("name", ["/tmp/astray", "../astray", "a/../../astray"])
def test_r11_no_path_leads_out_of_the_folder(tmp_path, name):
    with tarfile.open(tmp_path / "archive", "w:gz") as archive:
        archive.addfile(tarfile.TarInfo(name), io.BytesIO())
    done = unpacked(tmp_path / "archive", tmp_path / "out")

    assert (done.returncode, "leads out" in done.stderr) == (1, True)
    assert not (tmp_path / "astray").exists()


def test_r11_nothing_is_written_through_a_link(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    with tarfile.open(tmp_path / "archive", "w:gz") as archive:
        link = tarfile.TarInfo("a")
        link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path / "elsewhere")
        archive.addfile(link)
        archive.addfile(tarfile.TarInfo("a/made"), io.BytesIO())

    assert unpacked(tmp_path / "archive", tmp_path / "out").returncode == 1
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_packed_file_knows_its_size(folder, tmp_path):
    made: Packed = pack({folder: Path("/repo")}, tmp_path / "archive")

    assert made.size == (tmp_path / "archive").stat().st_size
    assert made.unpacked_bytes >= len("x = 1\n#!/bin/sh\n")
