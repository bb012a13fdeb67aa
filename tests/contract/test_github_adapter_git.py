"""R7, R11, R17: a commit's files on the disk: that commit's, nothing that leads out of them, and no credential."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.support import github_forge
from tests.support.github_forge import Stage
from tests.support.playground import WorkTree

from kfops.adapters.github import tree as trees
from kfops.adapters.github.git import Git, basic, git_root
from kfops.ports.errors import Refused, Unavailable


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with github_forge.stage(tmp_path_factory.mktemp("git")) as made:
        yield made


def _files(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text(encoding="utf-8")
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink()
    }


def _repository(stage: Stage, name: str) -> tuple[int, WorkTree]:
    number_of = stage.world.repository(name, private=True).id
    return number_of, stage.world.clone(name)


@pytest.mark.parametrize("cached", [True, False])
def test_r7_the_tree_of_exactly_that_commit(stage: Stage, tmp_path: Path, cached: bool) -> None:
    number_of, tree = _repository(stage, f"exact-{cached}")
    first = tree.commit("main", {"a.txt": "one\n", "deep/b.txt": "two\n"})
    second = tree.commit("main", {"a.txt": "three\n", "deep/b.txt": None})
    forge = stage.forge(cache_dir=tmp_path / "cache" if cached else None)
    forge.checkout(number_of, first, tmp_path / "first")
    forge.checkout(number_of, second, tmp_path / "second")
    forge.checkout(number_of, first, tmp_path / "again")
    assert _files(tmp_path / "first") == {"a.txt": "one\n", "deep/b.txt": "two\n"}
    assert _files(tmp_path / "second") == {"a.txt": "three\n"}
    assert _files(tmp_path / "again") == _files(tmp_path / "first")
    assert forge.calls["git fetch"] == (2 if cached else 3)
    assert not list(tmp_path.glob("*/.git"))


def test_a_commit_that_no_branch_has_any_more(stage: Stage, tmp_path: Path) -> None:
    number_of, tree = _repository(stage, "forced")
    tree.commit("main", {"a.txt": "one\n"})
    gone = tree.commit("topic", {"a.txt": "two\n"}, onto="main")
    tree.git("reset", "--quiet", "--hard", "HEAD~1")
    tree.git("push", "--quiet", "--force", "origin", "topic")
    stage.forge().checkout(number_of, gone, tmp_path / "out")
    assert _files(tmp_path / "out") == {"a.txt": "two\n"}


@pytest.mark.parametrize(
    "sha", ["main", "HEAD", "abc1234", "", "--upload-pack=x", "0" * 39, "A" * 40, f"{'0' * 40}\n"]
)
def test_r7_only_a_whole_commit_id(stage: Stage, tmp_path: Path, sha: str) -> None:
    with pytest.raises(Refused, match="commit id"):
        stage.forge().checkout(1, sha, tmp_path / "out")


def test_what_cannot_be_checked_out(stage: Stage, tmp_path: Path) -> None:
    number_of, tree = _repository(stage, "refused")
    head = tree.commit("main", {"a.txt": "one\n"})
    with pytest.raises(Refused, match="git fetch failed"):
        stage.forge().checkout(number_of, "0" * 40, tmp_path / "none")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    with pytest.raises(Refused, match="not empty"):
        stage.forge().checkout(number_of, head, tmp_path / "full")
    blob = tree.git("rev-parse", f"{head}:a.txt")
    with pytest.raises((Refused, Unavailable)):
        stage.forge().checkout(number_of, blob, tmp_path / "blob")


def test_a_store_that_was_left_half_made_is_mended(stage: Stage, tmp_path: Path) -> None:
    number_of, tree = _repository(stage, "mended")
    head = tree.commit("main", {"a.txt": "one\n"})
    (tmp_path / "cache" / f"{number_of}.git").mkdir(parents=True)
    stage.forge(cache_dir=tmp_path / "cache").checkout(number_of, head, tmp_path / "out")
    assert _files(tmp_path / "out") == {"a.txt": "one\n"}


def test_r11_links_that_leave_the_tree_are_removed(stage: Stage, tmp_path: Path) -> None:
    number_of, tree = _repository(stage, "links")
    tree.commit("main", {"data/rows.csv": "a\n"})
    links = {
        "inside": "data/rows.csv",
        "folder": "data",
        "dangling": "data/none",
        "absolute": "/etc/passwd",
        "up": "../../etc/passwd",
        "chain": "up",
        "data/through": "../../../etc",
        "loop": "loop",
        "git": ".git/config",
    }
    for name, target in links.items():
        (tree.path / name).symlink_to(target)
    tree.git("add", "--all")
    tree.git("commit", "--quiet", "-m", "Links")
    tree.git("push", "--quiet", "origin", "main")
    out = tmp_path / "out"
    stage.forge().checkout(number_of, tree.git("rev-parse", "HEAD"), out)
    left = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_symlink()}
    assert left <= {"inside", "folder", "dangling", "loop", "git"}
    assert {"inside", "folder"} <= left
    for name in left:
        assert os.path.realpath(out / name).startswith(f"{os.path.realpath(out)}{os.sep}")
    assert (out / "inside").read_text() == "a\n"


def test_r11_hooks_filters_and_submodules_do_nothing(stage: Stage, tmp_path: Path) -> None:
    number_of, tree = _repository(stage, "active")
    head = tree.commit(
        "main",
        {
            ".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n*.txt filter=evil ident\n",
            ".gitmodules": '[submodule "s"]\n\tpath = s\n\turl = http://127.0.0.1:9/s\n',
            "model.bin": "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
            "a.txt": "one\n",
            ".githooks/post-checkout": "#!/bin/sh\ntouch hooked\n",
        },
    )
    stage.forge().checkout(number_of, head, tmp_path / "out")
    found = _files(tmp_path / "out")
    assert found["model.bin"].startswith("version https://git-lfs")
    assert found["a.txt"] == "one\n"
    assert set(found) == {".gitattributes", ".gitmodules", "model.bin", "a.txt", ".githooks/post-checkout"}


def test_r11_malformed_objects_are_refused(stage: Stage, tmp_path: Path) -> None:
    number_of, tree = _repository(stage, "malformed")
    module = '[submodule "s"]\n\tpath = s\n\turl = https://forge.test/s\n\tupdate = !touch pwned\n'
    head = tree.commit("main", {".gitmodules": module})
    with pytest.raises(Refused, match="gitmodulesUpdate"):
        stage.forge().checkout(number_of, head, tmp_path / "out")


def test_r11_a_tree_that_lists_without_end_is_refused(tmp_path: Path) -> None:
    """Nine objects that stand for a thousand million files."""
    git = Git(tmp_path / "store.git", 60)
    git.run("init", "--quiet", "--bare", "--template=")

    def make(*arguments: str, stdin: str) -> str:
        command = ["git", f"--git-dir={git.store}", *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    kind, made = "100644 blob", make("hash-object", "-w", "--stdin", stdin="x")
    for _ in range(9):
        kind, made = (
            "040000 tree",
            make("mktree", stdin="".join(f"{kind} {made}\t{one}\n" for one in "abcdefghij")),
        )
    listing, is_all = git.beginning("ls-tree", "-r", "-l", "-z", made, most=1_000_000)
    assert not is_all
    with pytest.raises(Refused, match="expected at most"):
        trees.check_size(trees.measure(listing), is_all=is_all)


def test_r17_the_token_is_in_the_environment_alone(stage: Stage, tmp_path: Path) -> None:
    """git itself is asked: a `git` that comes first in PATH writes down what it was given."""
    number_of, tree = _repository(stage, "token")
    head = tree.commit("main", {"a.txt": "one\n"})
    forge = stage.forge(cache_dir=tmp_path / "cache")
    out = tmp_path / "out"
    forge.checkout(number_of, head, out)
    tokens = [token.encode() for token in stage.world.playground.state.installation_tokens]
    headers = [basic(token.decode()).partition("Basic ")[2].encode() for token in tokens]
    for path in [*out.rglob("*"), *(tmp_path / "cache").rglob("*")]:
        if path.is_file():
            content = path.read_bytes()
            assert not any(secret in content for secret in (*tokens, *headers))
    fetched = [one for one in stage.proxy.asked if one.path.startswith("/ada/token.git/")]
    assert fetched
    assert all(one.headers["authorization"].startswith("Basic ") for one in fetched)
    assert not any(token.decode() in one.path for one in fetched for token in tokens)


def test_r17_what_git_is_started_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_TRACE_CURL", str(tmp_path / "trace"))
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "never")
    shim = tmp_path / "bin" / "git"
    shim.parent.mkdir()
    shim.write_text('#!/bin/sh\nprintf "%s\\n" "$@" > "${0%/*}/argv"\n/usr/bin/env > "${0%/*}/env"\n')
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", f"{shim.parent}{os.pathsep}{os.environ['PATH']}")
    git = Git(tmp_path / "store", 10, header_for="https://github.com/a/b.git", header=basic("ghs_secret"))
    git.run("fetch", "https://github.com/a/b.git")
    argv, environment = ((shim.parent / name).read_text() for name in ("argv", "env"))
    encoded = basic("ghs_secret")
    assert "ghs_secret" not in argv
    assert encoded not in argv
    assert encoded in environment
    assert "http.https://github.com/.extraHeader" in environment
    assert "GIT_TRACE" not in environment
    assert "GIT_DIR" not in environment
    assert "never\n" not in environment.replace("protocol.allow", "").replace(
        "=never\nGIT_CONFIG", "=\nGIT_CONFIG"
    )
    assert "ghs_secret" not in repr(git)
    assert encoded not in repr(git)


@pytest.mark.parametrize(
    "address",
    [
        "ext::sh -c 'touch pwned'",
        "file:///etc",
        "ssh://localhost/x",
        "git://localhost/x",
        "http://127.0.0.1:9/x",
    ],
)
def test_r11_only_the_forges_own_protocol_is_spoken(tmp_path: Path, address: str) -> None:
    git = Git(tmp_path / "store.git", 20, header_for="https://github.com/a/b.git", header="X: y")
    git.run("init", "--quiet", "--bare", "--template=")
    with pytest.raises((Refused, Unavailable), match="not allowed"):
        git.run("fetch", address)


def test_a_git_that_hangs_is_ended_with_its_children(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shim = tmp_path / "git"
    shim.write_text("#!/bin/sh\nsleep 60 &\necho $! > ${0%/*}/child\nwait\n")
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(Unavailable, match="longer than"):
        Git(tmp_path / "store", 0.5).run("fetch")
    child = (tmp_path / "child").read_text().strip()
    state = subprocess.run(
        ["ps", "-o", "stat=", "-p", child], capture_output=True, text=True, check=False
    ).stdout
    assert state.strip()[:1] in {"", "Z"}


def test_a_server_that_is_down_may_come_back(stage: Stage, tmp_path: Path) -> None:
    number_of, tree = _repository(stage, "down")
    head = tree.commit("main", {"a.txt": "one\n"})
    forge = stage.forge()
    stage.proxy.fail("GET", r"/info/refs$", 503)
    with pytest.raises(Unavailable, match="503"):
        forge.checkout(number_of, head, tmp_path / "out")
    forge.checkout(number_of, head, tmp_path / "out")
    assert _files(tmp_path / "out") == {"a.txt": "one\n"}


def test_a_renamed_repository_is_fetched_from_its_new_name(stage: Stage, tmp_path: Path) -> None:
    number_of, tree = _repository(stage, "renamed")
    head = tree.commit("main", {"a.txt": "one\n"})
    forge = stage.forge()
    forge.remember(number_of, "ada/before", next(iter(stage.world.playground.state.installations)))
    forge.checkout(number_of, head, tmp_path / "out")
    assert _files(tmp_path / "out") == {"a.txt": "one\n"}


def test_several_at_once(stage: Stage, tmp_path: Path) -> None:
    number_of, tree = _repository(stage, "several")
    heads = [tree.commit("main", {"a.txt": f"{at}\n"}) for at in range(3)]
    forge = stage.forge(cache_dir=tmp_path / "cache")
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda at: forge.checkout(number_of, heads[at % 3], tmp_path / f"out{at}"), range(6)))
    assert [_files(tmp_path / f"out{at}")["a.txt"] for at in range(6)] == ["0\n", "1\n", "2\n"] * 2


def test_a_tree_that_is_too_large_is_refused() -> None:
    listing = "100644 blob 0123      12\ta 7 b.txt\x00" + "160000 commit 4567       -\tsub\x00"
    assert trees.measure(listing) == trees.Size(2, 12)
    trees.check_size(trees.Size(100_000, 2 * 2**30))
    with pytest.raises(Refused, match="expected at most") as refused:
        trees.check_size(trees.Size(1, 3 * 2**30))
    assert "kfc data add" in refused.value.fix
    with pytest.raises(Refused, match="100,001 files"):
        trees.check_size(trees.Size(100_001, 0))


@pytest.mark.parametrize(
    ("api", "git"),
    [
        ("https://api.github.com", "https://github.com"),
        ("https://api.github.com/", "https://github.com"),
        ("https://api.acme.ghe.com", "https://acme.ghe.com"),
        ("https://github.acme.test/api/v3", "https://github.acme.test"),
        ("http://127.0.0.1:8080/api/v3", "http://127.0.0.1:8080"),
    ],
)
def test_where_git_is_spoken(api: str, git: str) -> None:
    assert git_root(api) == git
