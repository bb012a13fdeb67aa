from __future__ import annotations

import hashlib
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfops.adapters.local.digest import digest_of_directory, digest_of_file
from kfops.adapters.local.store import Store
from kfops.ports.errors import Refused


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    (folder / "code").mkdir(parents=True)
    (folder / "MLmodel").write_text("flavors: {}\n")
    (folder / "code" / "a.py").write_text("x = 1\n")
    return folder


def test_the_digest_is_of_names_and_contents_only(model: Path, tmp_path: Path) -> None:
    digest = digest_of_directory(model)
    copy = shutil.copytree(model, tmp_path / "elsewhere")
    os.utime(copy / "MLmodel", (0, 0))
    (copy / "MLmodel").chmod(0o600)
    (copy / "empty").mkdir()
    assert digest_of_directory(copy) == digest
    lines = "".join(
        f"{hashlib.sha256((model / name).read_bytes()).hexdigest()} {(model / name).stat().st_size} {name}\0"
        for name in ("MLmodel", "code/a.py")
    )
    assert digest == hashlib.sha256(lines.encode()).hexdigest()


def _tree(root: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        place = root / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    return root


_FILES = st.dictionaries(st.sampled_from(["a", "b", "c/a", "c/b", "d e"]), st.binary(max_size=3), min_size=1)


@given(one=_FILES, other=_FILES)
def test_different_trees_have_different_digests(
    tmp_path_factory: pytest.TempPathFactory, one: dict[str, bytes], other: dict[str, bytes]
) -> None:
    folder = tmp_path_factory.mktemp("trees")
    digests = [
        digest_of_directory(_tree(folder / name, files)) for name, files in (("one", one), ("other", other))
    ]
    assert (digests[0] == digests[1]) == (one == other)


@pytest.mark.parametrize("kind", ["file link", "folder link", "dangling link", "pipe", "name"])
def test_only_files_and_folders_with_plain_names_are_measured(model: Path, tmp_path: Path, kind: str) -> None:
    match kind:
        case "file link":
            (model / "x").symlink_to("/etc/passwd")
        case "folder link":
            (model / "code" / "x").symlink_to("/etc")
        case "dangling link":
            (model / "x").symlink_to("nowhere")
        case "pipe":
            os.mkfifo(model / "x")
        case _:
            Path(os.fsdecode(os.fsencode(model) + b"/\xff")).write_text("x")
    for act in (digest_of_directory, Store(tmp_path / "store").put):
        with pytest.raises(Refused, match=r"expected|UTF-8"):
            act(model)
    assert list((tmp_path / "store").iterdir()) == []


def test_what_is_no_directory_or_file_is_refused(model: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(model)
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "link", tmp_path / "nothing", tmp_path / "empty", model / "MLmodel"):
        with pytest.raises(Refused, match="expected"):
            digest_of_directory(path)
    for path in (tmp_path / "link", tmp_path / "nothing", tmp_path / "empty"):
        with pytest.raises(Refused, match="expected"):
            digest_of_file(path)


def test_a_directory_is_kept_once_and_cannot_be_written(model: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    digest = store.put(model)
    assert store.put(model) == digest == digest_of_directory(model)
    kept = store.path(digest)
    assert kept
    assert digest_of_directory(kept) == digest
    assert {oct(path.stat().st_mode & 0o777) for path in kept.rglob("*") if path.is_file()} == {"0o444"}
    (model / "MLmodel").write_text("changed\n")
    assert store.put(model) != digest
    assert (kept / "MLmodel").read_text() == "flavors: {}\n"
    assert all(not path.name.startswith(".") for path in (tmp_path / "store").iterdir())


def test_many_may_put_the_same_at_once(model: Path, tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        digests = set(pool.map(lambda _: Store(tmp_path / "store").put(model), range(8)))
    assert [path.name for path in (tmp_path / "store").iterdir()] == list(digests)


@pytest.mark.parametrize("digest", ["", "..", "a" * 63, "A" * 64, "../" + "a" * 64])
def test_a_path_is_never_made_of_what_is_no_digest(tmp_path: Path, digest: str) -> None:
    with pytest.raises(Refused, match="no digest"):
        Store(tmp_path).path(digest)


def test_an_unknown_digest_is_not_there(tmp_path: Path) -> None:
    assert Store(tmp_path).path("a" * 64) is None
