"""Real git against the playground: pushing, fetching, merging, and what both mean for pull requests."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support import playground as support
from tests.support.playground import World

from kfops.playground.playground import Playground
from kfops.playground.state import RequiredCheck, Role

PULL = "/repos/{owner}/{repo}/pulls/{pull_number}"
MERGE = f"{PULL}/merge"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    support.description()
    with support.world(tmp_path_factory.mktemp("git")) as made:
        yield made


def test_a_push_moves_the_pull_request(world: World) -> None:
    tree, number, head = world.with_pull("moved")
    at = {"owner": "ada", "repo": "moved", "pull_number": number}
    again = tree.commit("topic", {"more": "x"})
    assert world.call("GET", PULL, 200, **at)["head"]["sha"] == again
    tree.git("fetch", "--quiet", "origin", f"refs/pull/{number}/head")
    assert tree.git("rev-parse", "FETCH_HEAD") == again
    tree.git("reset", "--quiet", "--hard", head)
    tree.git("push", "--quiet", "--force", "origin", "topic")
    assert world.call("GET", PULL, 200, **at)["head"]["sha"] == head


def test_a_bare_commit_is_fetched_by_its_sha(world: World, tmp_path: Path) -> None:
    tree, _, head = world.with_pull("by-sha")
    old = tree.git("rev-parse", "HEAD")
    tree.git("commit", "--quiet", "--amend", "-m", "again")
    tree.git("push", "--quiet", "--force", "origin", "topic")
    other = world.clone("by-sha", "rita")
    other.git("fetch", "--quiet", "--depth", "1", "origin", head)
    other.git("checkout", "--quiet", "FETCH_HEAD")
    assert other.git("rev-parse", "HEAD") == old == head
    assert tmp_path.is_dir()


def test_credentials(world: World) -> None:
    world.with_pull("locked")
    world.playground.repository("ada/locked").private = True
    address = f"{world.url.removeprefix('http://')}/ada/locked.git"
    tree = world.clone("locked", "bob")
    token, installation = world.users["bob"].token, world.as_installation().token
    for who in (f"bob:{token}", f"x-access-token:{token}", f"x-access-token:{installation}"):
        assert "refs/heads/topic" in tree.git("ls-remote", f"http://{who}@{address}")
    for who in ("bob:wrong@", f"stranger:{world.users['stranger'].token}@", ""):
        tree.git("ls-remote", f"http://{who}{address}", ok=False)
    header = f"http.extraHeader=Authorization: Bearer {token}"
    assert "refs/heads/topic" in tree.git("-c", header, "ls-remote", f"http://{address}")


def test_readers_cannot_push_and_nobody_pushes_pull_refs(world: World) -> None:
    tree, _, _ = world.with_pull("guarded")
    reader = world.clone("guarded", "rita")
    reader.git("fetch", "--quiet", "origin", "main")
    reader.git("checkout", "--quiet", "-b", "mine", "FETCH_HEAD")
    reader.git("push", "origin", "mine", ok=False)
    assert "hidden ref" in tree.git("push", "origin", "topic:refs/pull/1/head", ok=False)
    narrow = world.as_installation(permissions={"contents": "read"}).token
    address = f"http://x-access-token:{narrow}@{world.url.removeprefix('http://')}/ada/guarded.git"
    tree.git("push", address, "topic:other", ok=False)


@pytest.mark.parametrize("method", ["merge", "squash", "rebase"])
def test_merging(world: World, method: str) -> None:
    tree, number, _ = world.with_pull(f"by-{method}")
    head = tree.commit("topic", {"second": "x"}, message="Second")
    tree.commit("main", {"elsewhere": "y"}, message="Meanwhile")
    at = {"owner": "ada", "repo": f"by-{method}", "pull_number": number}
    world.call("GET", MERGE, 404, **at)
    world.as_("rita")("PUT", MERGE, 403, body={"merge_method": method}, **at)
    world.call("PUT", MERGE, 409, body={"merge_method": method, "sha": "0" * 40}, **at)
    made = world.as_("helper")("PUT", MERGE, 200, body={"merge_method": method, "sha": head}, **at)
    tree.git("fetch", "--quiet", "origin", "main")
    assert tree.git("rev-parse", "FETCH_HEAD") == made["sha"]
    assert set(tree.git("ls-tree", "-r", "--name-only", "FETCH_HEAD").split()) >= {"second", "elsewhere"}
    parents = tree.git("log", "-1", "--format=%P", "FETCH_HEAD").split()
    assert len(parents) == (2 if method == "merge" else 1)
    subjects = tree.git("log", "--format=%s", "FETCH_HEAD").splitlines()
    assert subjects[0] == {
        "merge": f"Merge pull request #{number} from ada/topic",
        "squash": f"Go on (#{number})",
    }.get(method, "Second")
    found = world.call("GET", PULL, 200, **at)
    assert (found["merged"], found["merge_commit_sha"], found["state"]) == (True, made["sha"], "closed")
    assert (found["merged_by"]["login"], found["head"]["sha"]) == ("helper", head)
    world.call("GET", MERGE, 204, **at)
    world.call("PUT", MERGE, 405, body={}, **at)


def test_a_conflict(world: World) -> None:
    tree, number, _ = world.with_pull("conflict")
    tree.commit("main", {"README.md": "1\n2\n3\n"})
    at = {"owner": "ada", "repo": "conflict", "pull_number": number}
    found = world.call("GET", PULL, 200, **at)
    assert (found["mergeable"], found["mergeable_state"]) == (False, "dirty")
    for method in ("merge", "squash", "rebase"):
        world.call("PUT", MERGE, 405, body={"merge_method": method}, **at)


def test_methods_that_the_repository_does_not_allow(world: World) -> None:
    _, number, _ = world.with_pull("squash-only")
    world.playground.repository("ada/squash-only").allow_merge_commit = False
    at = {"owner": "ada", "repo": "squash-only", "pull_number": number}
    assert "not allowed" in world.call("PUT", MERGE, 405, body={"merge_method": "merge"}, **at)["message"]
    world.call("PUT", MERGE, 422, body={"merge_method": "octopus"}, **at)


def test_required_checks_and_reviews_block(world: World) -> None:
    tree, number, head = world.with_pull("required")
    at = {"owner": "ada", "repo": "required", "pull_number": number}
    world.playground.protect(
        "ada/required",
        "main",
        checks=[RequiredCheck("build", world.app_id), "lint"],
        strict=True,
        approvals=1,
        dismiss_stale=True,
    )
    bob = world.as_("bob")
    assert world.call("GET", PULL, 200, **at)["mergeable_state"] == "blocked"
    assert '"build"' in bob("PUT", MERGE, 405, body={}, **at)["message"]
    run = {"name": "build", "head_sha": head, "conclusion": "success"}
    world.as_installation()(
        "POST", "/repos/{owner}/{repo}/check-runs", 201, owner="ada", repo="required", body=run
    )
    assert '"lint"' in bob("PUT", MERGE, 405, body={}, **at)["message"]
    status = {"state": "success", "context": "lint"}
    world.call(
        "POST",
        "/repos/{owner}/{repo}/statuses/{sha}",
        201,
        owner="ada",
        repo="required",
        sha=head,
        body=status,
    )
    assert "approving review" in bob("PUT", MERGE, 405, body={}, **at)["message"]
    world.as_("cora")("POST", f"{PULL}/reviews", 200, body={"event": "APPROVE"}, **at)
    assert world.call("GET", PULL, 200, **at)["mergeable_state"] == "clean"
    tree.commit("main", {"elsewhere": "x"})
    assert world.call("GET", PULL, 200, **at)["mergeable_state"] == "behind"
    assert "out of date" in bob("PUT", MERGE, 405, body={}, **at)["message"]
    tree.commit("topic", {"more": "x"})
    assert world.call("GET", f"{PULL}/reviews", 200, **at)[0]["state"] == "DISMISSED"
    world.call("PUT", MERGE, 200, body={}, **at)  # an admin may override


def test_an_app_cannot_merge_workflows(world: World) -> None:
    _, number, _ = world.with_pull("workflows", {".github/workflows/ci.yaml": "on: push\n"})
    at = {"owner": "ada", "repo": "workflows", "pull_number": number}
    assert "workflows" in world.as_installation()("PUT", MERGE, 403, body={}, **at)["message"]


def test_pushing_the_head_to_the_base_merges(world: World) -> None:
    tree, number, head = world.with_pull("direct")
    tree.git("push", "--quiet", "origin", "topic:main")
    found = world.call("GET", PULL, 200, owner="ada", repo="direct", pull_number=number)
    assert (found["merged"], found["state"], found["merge_commit_sha"]) == (True, "closed", head)


def test_pushing_the_base_to_the_head_closes(world: World) -> None:
    tree, number, _ = world.with_pull("back")
    tree.git("push", "--quiet", "--force", "origin", "main:topic")
    found = world.call("GET", PULL, 200, owner="ada", repo="back", pull_number=number)
    assert (found["merged"], found["state"]) == (False, "closed")


def test_a_merged_branch_is_deleted_where_asked(world: World) -> None:
    tree, number, _ = world.with_pull("tidy")
    world.playground.repository("ada/tidy").delete_branch_on_merge = True
    world.call("PUT", MERGE, 200, body={}, owner="ada", repo="tidy", pull_number=number)
    assert "refs/heads/topic" not in tree.git("ls-remote", "origin")
    assert f"refs/pull/{number}/head" in tree.git("ls-remote", "origin")


def test_the_first_branch_pushed_is_the_default(world: World) -> None:
    world.repository("trunk")
    world.clone("trunk").commit("trunk", {"a": "b"})
    assert (
        world.call("GET", "/repos/{owner}/{repo}", 200, owner="ada", repo="trunk")["default_branch"]
        == "trunk"
    )


def test_a_large_push_and_clone(world: World, tmp_path: Path) -> None:
    world.repository("large")
    tree = world.clone("large")
    noise = "".join(f"{number * 2654435761 % 2**32:08x}\n" for number in range(1_200_000))
    tree.commit("main", {"noise.txt": noise})
    subprocess.run(
        ["git", "clone", "--quiet", f"{world.url}/ada/large.git", str(tmp_path / "c")],
        check=True,
        capture_output=True,
    )
    assert (tmp_path / "c" / "noise.txt").stat().st_size == len(noise)


def test_folders_are_brought_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    playground = Playground(tmp_path / "forge", clock=support.now)
    playground.add_user("ada")
    playground.create_repository("ada", "plain")
    folder = tmp_path / "plain"
    folder.mkdir()
    for name, text in {"keep.txt": "x", "drop.pyc": "x", ".gitignore": "*.pyc\n"}.items():
        (folder / name).write_text(text)
    first = playground.import_directory("ada/plain", folder)
    (folder / "more.txt").write_text("y")
    (folder / "below").mkdir()
    monkeypatch.chdir(folder / "below")
    second = playground.import_directory("ada/plain", folder, branch="topic")
    bare = playground.bare(playground.repository("ada/plain"))
    assert bare.text("ls-tree", "--name-only", first).split() == [".gitignore", "keep.txt"]
    assert bare.refs("refs/heads") == {"refs/heads/main": first, "refs/heads/topic": second}


def test_a_work_tree_is_brought_in_with_its_history(tmp_path: Path) -> None:
    playground = Playground(tmp_path / "forge", clock=support.now)
    user = playground.add_user("ada", everywhere=Role.READ)
    tree = support.WorkTree(tmp_path / "tree", user)
    tree.path.mkdir()
    tree.git("init", "--quiet", "--initial-branch=work")
    for number in range(2):
        tree.git("commit", "--quiet", "--allow-empty", "-m", str(number))
    playground.create_repository("ada", "tree")
    assert playground.import_directory("ada/tree", tree.path) == tree.git("rev-parse", "HEAD")
    assert playground.bare(playground.repository("ada/tree")).text("rev-list", "--count", "main") == "2"


def test_a_second_playground_in_the_same_folder_starts_empty(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("x")
    for _ in range(2):
        playground = Playground(tmp_path, clock=support.now)
        playground.add_user("ada")
        playground.create_repository("ada", "one")
        assert playground.bare(playground.repository("ada/one")).refs() == {}
        playground.import_directory("ada/one", tmp_path / "playground-git" / "2.git" / "info")
    assert (tmp_path / "mine").read_text() == "x"
