"""Every operation of the playground, answers and refusals, against GitHub's own description."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.support import playground as support
from tests.support.playground import World

from kfops.playground.playground import Playground
from kfops.playground.server import running

REPO = "/repos/{owner}/{repo}"
PULL = f"{REPO}/pulls/{{pull_number}}"
ISSUE = f"{REPO}/issues/{{issue_number}}"
COMMENT = f"{REPO}/issues/comments/{{comment_id}}"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    support.description()
    with support.world(tmp_path_factory.mktemp("rest")) as made:
        yield made


def test_who_one_is(world: World) -> None:
    assert world.call("GET", "/user", 200)["login"] == "ada"
    assert world.call("GET", "/users/{username}", 200, username="bob")["id"] == world.users["bob"].id
    world.call("GET", "/users/{username}", 404, username="nobody")
    world.call.as_("")("GET", "/user", 401)
    assert world.call.as_("ghp_wrong")("GET", "/user", 401)["message"] == "Bad credentials"
    world.as_installation()("GET", "/user", 403)
    assert world.call("GET", "/rate_limit", 200)["rate"]["limit"] > 0


def test_teams(world: World) -> None:
    world.playground.add_user("acme", kind="Organization")
    world.playground.add_team("acme", "ml-leads", ["cora"])
    template = "/orgs/{org}/teams/{team_slug}/memberships/{username}"
    found = world.call("GET", template, 200, org="acme", team_slug="ml-leads", username="cora")
    assert found["state"] == "active"
    world.call("GET", template, 404, org="acme", team_slug="ml-leads", username="bob")


def test_repositories_are_made_and_read(world: World) -> None:
    made = world.call(
        "POST", "/user/repos", 201, body={"name": "made", "auto_init": True, "description": "A model"}
    )
    assert made["full_name"] == "ada/made"
    assert world.call("GET", REPO, 200, owner="ada", repo="made")["permissions"]["admin"] is True
    world.call("POST", "/user/repos", 422, body={"name": "made"})
    world.call("POST", "/user/repos", 422, body={"name": "a b"})
    world.call("POST", "/user/repos", 422, body={})
    world.call.as_("")("POST", "/user/repos", 401, body={"name": "x"})
    world.call("GET", REPO, 404, owner="ada", repo="unmade")
    branch = world.call("GET", f"{REPO}/branches/{{branch}}", 200, owner="ada", repo="made", branch="main")
    assert branch["protected"] is False
    world.call("GET", f"{REPO}/branches/{{branch}}", 404, owner="ada", repo="made", branch="nope")


def test_a_private_repository_is_not_there_for_strangers(world: World) -> None:
    world.repository("hidden", private=True)
    world.as_("stranger")("GET", REPO, 404, owner="ada", repo="hidden")
    world.call.as_("")("GET", REPO, 404, owner="ada", repo="hidden")
    assert world.as_("rita")("GET", REPO, 200, owner="ada", repo="hidden")["permissions"]["push"] is False
    assert world.as_("helper")("GET", REPO, 200, owner="ada", repo="hidden")["permissions"]["push"] is True


@pytest.mark.parametrize(
    ("login", "permission", "role"),
    [
        ("ada", "admin", "admin"),
        ("cora", "write", "maintain"),
        ("bob", "write", "write"),
        ("tim", "read", "triage"),
        ("rita", "read", "read"),
        ("helper", "write", "write"),
    ],
)
def test_permissions_have_two_names(world: World, login: str, permission: str, role: str) -> None:
    if world.playground.state.repository("ada", "roles") is None:
        world.repository("roles", private=True)
    template = f"{REPO}/collaborators/{{username}}/permission"
    found = world.call("GET", template, 200, owner="ada", repo="roles", username=login)
    assert (found["permission"], found["role_name"], found["user"]["id"]) == (
        permission,
        role,
        world.users[login].id,
    )
    world.call("GET", template, 404, owner="ada", repo="roles", username="nobody")
    template = f"{REPO}/collaborators/{{username}}"
    world.call("GET", template, 204, owner="ada", repo="roles", username=login)
    world.call("GET", template, 404, owner="ada", repo="roles", username="stranger")


def test_protection_and_rules(world: World) -> None:
    world.repository("guarded")
    at = {"owner": "ada", "repo": "guarded", "branch": "main"}
    world.call("GET", f"{REPO}/branches/{{branch}}/protection", 404, **at)
    asked = {
        "required_status_checks": {
            "strict": True,
            "checks": [{"context": "tests", "app_id": 7}],
            "contexts": ["lint"],
        },
        "enforce_admins": False,
        "required_pull_request_reviews": {"required_approving_review_count": 1},
        "restrictions": None,
    }
    world.as_("bob")("PUT", f"{REPO}/branches/{{branch}}/protection", 403, body=asked, **at)
    world.call("PUT", f"{REPO}/branches/{{branch}}/protection", 200, body=asked, **at)
    found = world.call("GET", f"{REPO}/branches/{{branch}}/protection", 200, **at)
    assert found["required_status_checks"]["contexts"] == ["tests", "lint"]
    world.as_("rita")("GET", f"{REPO}/branches/{{branch}}/protection", 403, **at)
    ruleset = {
        "name": "main",
        "enforcement": "active",
        "conditions": {"ref_name": {"include": ["~DEFAULT_BRANCH"]}},
        "rules": [
            {
                "type": "required_status_checks",
                "parameters": {"required_status_checks": [{"context": "build"}]},
            }
        ],
    }
    world.call("POST", f"{REPO}/rulesets", 201, body=ruleset, owner="ada", repo="guarded")
    rules = world.call("GET", f"{REPO}/rules/branches/{{branch}}", 200, **at)
    assert rules[0]["parameters"]["required_status_checks"] == [{"context": "build"}]
    assert (
        world.call("GET", f"{REPO}/rules/branches/{{branch}}", 200, owner="ada", repo="guarded", branch="x")
        == []
    )
    world.call("DELETE", f"{REPO}/branches/{{branch}}/protection", 204, **at)


def test_refs(world: World) -> None:
    tree, _, head = world.with_pull("refs")
    at = {"owner": "ada", "repo": "refs"}
    ref, refs = f"{REPO}/git/ref/{{ref}}", f"{REPO}/git/refs"
    assert world.call("GET", ref, 200, ref="heads/topic", **at)["object"]["sha"] == head
    world.call("GET", ref, 404, ref="heads/nope", **at)
    world.call("POST", refs, 201, body={"ref": "refs/heads/new/er", "sha": head}, **at)
    world.call("POST", refs, 422, body={"ref": "refs/heads/new/er", "sha": head}, **at)
    world.call("POST", refs, 422, body={"ref": "refs/heads/x", "sha": "0" * 40}, **at)
    world.call("POST", refs, 422, body={"ref": "heads", "sha": head}, **at)
    world.as_("rita")("POST", refs, 403, body={"ref": "refs/heads/y", "sha": head}, **at)
    begin = tree.git("rev-parse", "main")
    one = f"{refs}/{{ref}}"
    world.call("PATCH", one, 422, ref="heads/new/er", body={"sha": begin}, **at)
    world.call("PATCH", one, 200, ref="heads/new/er", body={"sha": begin, "force": True}, **at)
    world.call("PATCH", one, 422, ref="heads/nope", body={"sha": begin}, **at)
    world.call("DELETE", one, 204, ref="heads/new/er", **at)
    world.call("DELETE", one, 422, ref="heads/new/er", **at)


def test_commits_and_comparisons(world: World) -> None:
    tree, _, head = world.with_pull("history")
    at = {"owner": "ada", "repo": "history"}
    found = world.call("GET", f"{REPO}/commits/{{ref}}", 200, ref="topic", **at)
    assert (found["sha"], found["stats"]["additions"], found["author"]["login"]) == (head, 1, "ada")
    listed = world.call("GET", f"{REPO}/commits", 200, query={"sha": "topic"}, **at)
    assert (listed[0]["sha"], len(listed)) == (head, 2)
    assert len(world.call("GET", f"{REPO}/commits", 200, **at)) == 1
    assert world.call("GET", f"{REPO}/commits", 200, query={"path": "nothing.txt"}, **at) == []
    world.call("GET", f"{REPO}/commits", 404, query={"sha": "nope"}, **at)
    world.call("GET", f"{REPO}/commits/{{ref}}", 404, ref="nope", **at)
    world.call("GET", f"{REPO}/commits/{{ref}}", 422, ref="0" * 40, **at)
    compare = f"{REPO}/compare/{{basehead}}"
    ahead = world.call("GET", compare, 200, basehead="main...topic", **at)
    assert (ahead["status"], ahead["ahead_by"], ahead["behind_by"]) == ("ahead", 1, 0)
    assert ahead["files"][0]["patch"].endswith("+four")
    assert world.call("GET", compare, 200, basehead=f"ada:topic...{head}", **at)["status"] == "identical"
    assert world.call("GET", compare, 200, basehead="topic...main", **at)["status"] == "behind"
    tree.commit("main", {"other": "x"})
    assert world.call("GET", compare, 200, basehead="main...topic", **at)["status"] == "diverged"
    world.call("GET", compare, 404, basehead="main...nope", **at)


def test_contents_and_archive(world: World) -> None:
    tree, _, head = world.with_pull("files")
    at = {"owner": "ada", "repo": "files"}
    contents = f"{REPO}/contents/{{path}}"
    found = world.call("GET", contents, 200, path="README.md", query={"ref": "topic"}, **at)
    assert found["encoding"] == "base64"
    raw = {"Accept": "application/vnd.github.raw+json"}
    assert world.call("GET", contents, 200, path="data/rows.csv", headers=raw, **at) == b"a,b\n1,2\n"
    assert [one["type"] for one in world.call("GET", contents, 200, path="", **at)] == ["file", "dir"]
    as_object = {"Accept": "application/vnd.github.object"}
    assert (
        world.call("GET", contents, 200, path="data", headers=as_object, **at)["entries"][0]["name"]
        == "rows.csv"
    )
    world.call("GET", contents, 404, path="nope", **at)
    world.call("GET", contents, 404, path="README.md", query={"ref": "nope"}, **at)
    tree.path.joinpath("link").symlink_to("README.md")
    tree.commit("main", {"big.txt": "x" * 1_000_001})
    assert world.call("GET", contents, 200, path="big.txt", **at)["encoding"] == "none"
    assert len(world.call("GET", contents, 200, path="big.txt", headers=raw, **at)) == 1_000_001
    assert world.call("GET", contents, 200, path="link", **at)["target"] == "README.md"
    sent = world.call.send("GET", f"{REPO}/tarball/{{ref}}", ref=head, **at)
    assert sent.status_code == 302
    archive = httpx.get(sent.headers["location"], trust_env=False)
    assert (archive.status_code, archive.content[:2]) == (200, b"\x1f\x8b")
    assert httpx.get(sent.headers["location"][:-3], trust_env=False).status_code == 404
    world.call("GET", f"{REPO}/tarball/{{ref}}", 404, ref="nope", **at)


def test_pull_requests(world: World) -> None:
    tree, number, head = world.with_pull("pulls")
    at = {"owner": "ada", "repo": "pulls"}
    pulls = f"{REPO}/pulls"
    ask = {"title": "Again", "head": "topic", "base": "main"}
    assert "already exists" in world.call("POST", pulls, 422, body=ask, **at)["errors"][0]["message"]
    world.call("POST", pulls, 422, body={**ask, "head": "nope"}, **at)
    world.call("POST", pulls, 422, body={**ask, "base": "nope"}, **at)
    world.call("POST", pulls, 422, body={**ask, "head": "main"}, **at)
    world.call("POST", pulls, 422, body={**ask, "title": " "}, **at)
    world.as_("rita")("POST", pulls, 403, body=ask, **at)
    found = world.call("GET", PULL, 200, pull_number=number, **at)
    assert (found["mergeable"], found["mergeable_state"], found["head"]["sha"]) == (True, "clean", head)
    assert (found["commits"], found["additions"], found["changed_files"]) == (1, 1, 1)
    world.call("GET", PULL, 404, pull_number=99, **at)
    listed = world.call("GET", pulls, 200, query={"state": "all", "head": "ada:topic"}, **at)
    assert [one["number"] for one in listed] == [number]
    assert world.call("GET", pulls, 200, query={"state": "closed"}, **at) == []
    assert world.call("GET", f"{PULL}/commits", 200, pull_number=number, **at)[0]["sha"] == head
    assert world.call("GET", f"{PULL}/files", 200, pull_number=number, **at)[0]["filename"] == "README.md"
    edited = world.as_("bob")(
        "PATCH", PULL, 200, pull_number=number, body={"title": "Better", "body": "Now"}, **at
    )
    assert edited["title"] == "Better"
    world.as_("rita")("PATCH", PULL, 403, pull_number=number, body={"title": "Worse"}, **at)
    world.call("PATCH", PULL, 422, pull_number=number, body={"state": "ajar"}, **at)
    assert (
        world.call("PATCH", PULL, 200, pull_number=number, body={"state": "closed"}, **at)["state"]
        == "closed"
    )
    assert world.call("PATCH", PULL, 200, pull_number=number, body={"state": "open"}, **at)["state"] == "open"
    tree.git("push", "--quiet", "origin", ":topic")
    assert world.call("GET", PULL, 200, pull_number=number, **at)["state"] == "closed"
    world.call("PATCH", PULL, 422, pull_number=number, body={"state": "open"}, **at)


def test_a_draft_from_a_fork(world: World) -> None:
    world.with_pull("upstream")
    world.as_("stranger")("POST", f"{REPO}/forks", 202, owner="ada", repo="upstream", body={})
    tree = world.clone("upstream", "stranger")
    tree.git(
        "remote", "set-url", "origin", tree.git("remote", "get-url", "origin").replace("/ada/", "/stranger/")
    )
    tree.git("fetch", "--quiet", "origin")
    tree.git("checkout", "--quiet", "main")
    head = tree.commit("theirs", {"new": "x"})
    ask = {"title": "From outside", "head": "stranger:theirs", "base": "main", "draft": True}
    made = world.as_("stranger")("POST", f"{REPO}/pulls", 201, owner="ada", repo="upstream", body=ask)
    assert (made["draft"], made["mergeable_state"], made["head"]["repo"]["fork"]) == (True, "draft", True)
    assert made["head"]["label"] == "stranger:theirs"
    at = {"owner": "ada", "repo": "upstream", "pull_number": made["number"]}
    world.call("PUT", f"{PULL}/merge", 405, body={}, **at)
    again = tree.commit("theirs", {"new": "y"})
    assert again != head
    assert world.call("GET", PULL, 200, **at)["head"]["sha"] == again


def test_comments_and_reactions(world: World) -> None:
    _, number, _ = world.with_pull("talk")
    at = {"owner": "ada", "repo": "talk"}
    made = world.as_("rita")(
        "POST", f"{ISSUE}/comments", 201, issue_number=number, body={"body": "/help"}, **at
    )
    assert made["author_association"] == "COLLABORATOR"
    world.call("POST", f"{ISSUE}/comments", 422, issue_number=number, body={"body": ""}, **at)
    world.call("POST", f"{ISSUE}/comments", 422, issue_number=number, body={"body": "x" * 65_537}, **at)
    world.call("POST", f"{ISSUE}/comments", 404, issue_number=99, body={"body": "x"}, **at)
    world.call.as_("")("POST", f"{ISSUE}/comments", 401, issue_number=number, body={"body": "x"}, **at)
    world.as_installation(permissions={"contents": "read"})(
        "POST", f"{ISSUE}/comments", 403, issue_number=number, body={"body": "x"}, **at
    )
    by_app = world.as_installation()(
        "POST", f"{ISSUE}/comments", 201, issue_number=number, body={"body": "hello"}, **at
    )
    assert (by_app["user"]["type"], by_app["performed_via_github_app"]["slug"]) == ("Bot", "kfops")
    one = {"comment_id": made["id"], **at}
    assert world.call("GET", COMMENT, 200, **one)["body"] == "/help"
    assert world.as_("rita")("PATCH", COMMENT, 200, body={"body": "/status"}, **one)["body"] == "/status"
    world.as_("tim")("PATCH", COMMENT, 403, body={"body": "mine"}, **one)
    world.call("PATCH", COMMENT, 422, body={"body": " "}, **one)
    reactions = f"{COMMENT}/reactions"
    eyes = world.as_("helper")("POST", reactions, 201, body={"content": "eyes"}, **one)
    assert world.as_("helper")("POST", reactions, 200, body={"content": "eyes"}, **one)["id"] == eyes["id"]
    world.call("POST", reactions, 422, body={"content": "shrug"}, **one)
    assert len(world.call("GET", reactions, 200, query={"content": "eyes"}, **one)) == 1
    world.call("DELETE", f"{reactions}/{{reaction_id}}", 403, reaction_id=eyes["id"], **one)
    world.as_("helper")("DELETE", f"{reactions}/{{reaction_id}}", 204, reaction_id=eyes["id"], **one)
    world.as_("helper")("DELETE", f"{reactions}/{{reaction_id}}", 404, reaction_id=eyes["id"], **one)
    assert len(world.call("GET", f"{ISSUE}/comments", 200, issue_number=number, **at)) == 2
    world.call("DELETE", COMMENT, 204, **one)
    world.call("GET", COMMENT, 404, **one)
    world.call("DELETE", COMMENT, 404, **one)


def test_comments_since_a_moment(world: World) -> None:
    _, number, _ = world.with_pull("since")
    at = {"owner": "ada", "repo": "since"}
    world.call("POST", f"{ISSUE}/comments", 201, issue_number=number, body={"body": "x"}, **at)
    everything = f"{REPO}/issues/comments"
    assert len(world.call("GET", everything, 200, query={"since": "2020-01-01T00:00:00Z"}, **at)) == 1
    later = support.now().replace(year=2999).isoformat()
    assert world.call("GET", everything, 200, query={"since": later, "sort": "created"}, **at) == []
    world.call("GET", everything, 422, query={"since": "yesterday"}, **at)


def test_lists_come_in_pages(world: World) -> None:
    _, number, _ = world.with_pull("pages")
    at = {"owner": "ada", "repo": "pages"}
    for count in range(5):
        world.call("POST", f"{ISSUE}/comments", 201, issue_number=number, body={"body": str(count)}, **at)
    sent = world.call.send(
        "GET", f"{ISSUE}/comments", issue_number=number, query={"per_page": 2, "page": 2}, **at
    )
    assert [one["body"] for one in sent.json()] == ["2", "3"]
    assert {name: link["url"].rpartition("page=")[2] for name, link in sent.links.items()} == {
        "prev": "1", "next": "3", "last": "3", "first": "1"
    }  # fmt: skip
    assert httpx.get(sent.links["next"]["url"], trust_env=False).json()[0]["body"] == "4"
    assert world.call.send("GET", f"{ISSUE}/comments", issue_number=number, **at).links == {}


def test_labels(world: World) -> None:
    _, number, _ = world.with_pull("labels")
    at = {"owner": "ada", "repo": "labels"}
    on = {"issue_number": number, **at}
    world.call("POST", f"{REPO}/labels", 201, body={"name": "Deployed-to-staging", "color": "0e8a16"}, **at)
    world.call("POST", f"{REPO}/labels", 422, body={"name": "deployed-to-STAGING"}, **at)
    world.call("POST", f"{REPO}/labels", 422, body={"name": "x", "color": "green"}, **at)
    world.as_("rita")("POST", f"{REPO}/labels", 403, body={"name": "mine"}, **at)
    assert (
        world.call("GET", f"{REPO}/labels/{{name}}", 200, name="Deployed-to-staging", **at)["color"]
        == "0e8a16"
    )
    world.call("GET", f"{REPO}/labels/{{name}}", 404, name="nope", **at)
    assert len(world.call("GET", f"{REPO}/labels", 200, **at)) == 3
    added = world.as_("tim")(
        "POST", f"{ISSUE}/labels", 200, body={"labels": ["Deployed-to-staging", "fresh"]}, **on
    )
    assert [one["name"] for one in added] == ["Deployed-to-staging", "fresh"]
    world.as_("rita")("POST", f"{ISSUE}/labels", 403, body={"labels": ["x"]}, **on)
    assert len(world.call("GET", f"{ISSUE}/labels", 200, **on)) == 2
    assert [
        one["name"] for one in world.call("PUT", f"{ISSUE}/labels", 200, body={"labels": ["bug"]}, **on)
    ] == ["bug"]
    assert world.call("DELETE", f"{ISSUE}/labels/{{name}}", 200, name="bug", **on) == []
    world.call("DELETE", f"{ISSUE}/labels/{{name}}", 404, name="bug", **on)


def test_the_issue_side(world: World) -> None:
    _, number, _ = world.with_pull("issues")
    on = {"owner": "ada", "repo": "issues", "issue_number": number}
    assert "pull_request" in world.call("GET", ISSUE, 200, **on)
    world.call("GET", ISSUE, 404, owner="ada", repo="issues", issue_number=99)
    world.call("GET", ISSUE, 404, owner="ada", repo="issues", issue_number="x")
    found = world.call(
        "PATCH", ISSUE, 200, body={"labels": ["bug"], "assignees": ["bob"], "title": "Named"}, **on
    )
    assert (found["labels"][0]["name"], found["assignee"]["login"], found["title"]) == ("bug", "bob", "Named")
    listed = world.call("GET", f"{REPO}/issues", 200, owner="ada", repo="issues", query={"labels": "bug"})
    assert [one["number"] for one in listed] == [number]
    assert world.call("PATCH", ISSUE, 200, body={"state": "closed"}, **on)["state"] == "closed"
    world.call("PATCH", ISSUE, 422, body={"state": "ajar"}, **on)


def test_issues_without_branches_share_the_numbers_and_the_lists(world: World) -> None:
    _, number, _ = world.with_pull("plain")
    at = {"owner": "ada", "repo": "plain"}
    asked = {"title": "Retraining", "body": "first", "labels": ["bug"]}
    made = world.as_installation()("POST", f"{REPO}/issues", 201, body=asked, **at)
    assert (made["number"], made["user"]["login"]) == (number + 1, "kfops[bot]")
    assert made["html_url"].endswith("/ada/plain/issues/2")
    on = {"issue_number": made["number"], **at}
    assert "pull_request" not in world.call("GET", ISSUE, 200, **on)
    edited = world.as_("bob")("PATCH", ISSUE, 200, body={"body": "second", "state": "closed"}, **on)
    assert (edited["body"], edited["state"], edited["closed_by"]["login"]) == ("second", "closed", "bob")
    assert world.call("PATCH", ISSUE, 200, body={"state": "open", "title": "Named"}, **on)["title"] == "Named"
    said = world.call("POST", f"{ISSUE}/comments", 201, body={"body": "hm"}, **on)
    assert said["html_url"].endswith(f"/issues/2#issuecomment-{said['id']}")
    assert [one["id"] for one in world.call("GET", f"{ISSUE}/comments", 200, **on)] == [said["id"]]
    listed = world.call("GET", f"{REPO}/issues", 200, query={"state": "all"}, **at)
    assert [one["number"] for one in listed] == [2, 1]
    world.call("POST", f"{REPO}/issues", 422, body={"title": " "}, **at)
    world.call("POST", f"{REPO}/issues", 422, body={}, **at)
    world.as_("rita")("PATCH", ISSUE, 403, body={"body": "mine"}, **on)
    assert world.as_("rita")("POST", f"{REPO}/issues", 201, body=asked, **at)["labels"] == []
    world.as_installation(permissions={"issues": "read"})("POST", f"{REPO}/issues", 403, body=asked, **at)


def test_reviews(world: World) -> None:
    _, number, head = world.with_pull("reviews")
    on = {"owner": "ada", "repo": "reviews", "pull_number": number}
    made = world.call("POST", f"{PULL}/reviews", 200, body={"event": "APPROVE", "commit_id": head}, **on)
    assert (made["state"], made["commit_id"]) == ("APPROVED", head)
    refused = world.as_("bob")("POST", f"{PULL}/reviews", 422, body={"event": "APPROVE"}, **on)
    assert refused["errors"] == ["Can not approve your own pull request"]
    world.as_("rita")("POST", f"{PULL}/reviews", 200, body={"event": "REQUEST_CHANGES", "body": "No"}, **on)
    world.as_("rita")("POST", f"{PULL}/reviews", 422, body={"event": "REQUEST_CHANGES"}, **on)
    world.as_("rita")(
        "POST", f"{PULL}/reviews", 422, body={"event": "COMMENT", "body": "x", "commit_id": "0" * 40}, **on
    )
    world.call("PUT", f"{PULL}/reviews/{made['id']}/dismissals", 200, body={"message": "changed"}, **on)
    states = [one["state"] for one in world.call("GET", f"{PULL}/reviews", 200, **on)]
    assert states == ["DISMISSED", "CHANGES_REQUESTED"]


def test_check_runs_are_for_apps(world: World) -> None:
    _, _, head = world.with_pull("checks")
    at = {"owner": "ada", "repo": "checks"}
    runs = f"{REPO}/check-runs"
    ask = {"name": "kfops/run", "head_sha": head, "status": "in_progress", "external_id": "op-1"}
    world.call("POST", runs, 403, body=ask, **at)
    app = world.as_installation()
    made = app("POST", runs, 201, body=ask, **at)
    app("POST", runs, 422, body={**ask, "head_sha": "0" * 40}, **at)
    app("POST", runs, 422, body={**ask, "status": "completed"}, **at)
    app("POST", runs, 422, body={"head_sha": head}, **at)
    one = f"{runs}/{{check_run_id}}"
    done = {"conclusion": "success", "output": {"title": "Fine", "summary": "All of it"}}
    finished = app("PATCH", one, 200, check_run_id=made["id"], body=done, **at)
    assert (finished["status"], finished["conclusion"], finished["external_id"]) == (
        "completed",
        "success",
        "op-1",
    )
    world.call("PATCH", one, 403, check_run_id=made["id"], body=done, **at)
    assert world.call("GET", one, 200, check_run_id=made["id"], **at)["pull_requests"][0]["number"] == 1
    world.call("GET", one, 404, check_run_id=99, **at)
    app("POST", runs, 201, body=ask, **at)
    listed = f"{REPO}/commits/{{ref}}/check-runs"
    assert world.call("GET", listed, 200, ref=head, **at)["total_count"] == 1
    assert world.call("GET", listed, 200, ref="topic", query={"filter": "all"}, **at)["total_count"] == 2
    assert world.call("GET", listed, 200, ref=head, query={"check_name": "other"}, **at)["check_runs"] == []


def test_commit_statuses(world: World) -> None:
    _, _, head = world.with_pull("statuses")
    at = {"owner": "ada", "repo": "statuses"}
    post, combined = f"{REPO}/statuses/{{sha}}", f"{REPO}/commits/{{ref}}/status"
    assert world.call("GET", combined, 200, ref=head, **at)["state"] == "pending"
    world.as_("bob")("POST", post, 201, sha=head, body={"state": "failure", "context": "ci"}, **at)
    assert world.call("GET", combined, 200, ref="topic", **at)["state"] == "failure"
    world.as_("bob")(
        "POST", post, 201, sha=head, body={"state": "success", "context": "ci", "description": "ok"}, **at
    )
    found = world.call("GET", combined, 200, ref=head, **at)
    assert (found["state"], found["total_count"]) == ("success", 1)
    world.as_("rita")("POST", post, 403, sha=head, body={"state": "success"}, **at)
    world.call("POST", post, 422, sha=head, body={"state": "great"}, **at)
    world.call("POST", post, 422, sha="0" * 40, body={"state": "success"}, **at)
    world.call("GET", combined, 404, ref="nope", **at)


def test_deployments(world: World) -> None:
    tree, _, head = world.with_pull("deploys")
    at = {"owner": "ada", "repo": "deploys"}
    deployments = f"{REPO}/deployments"
    ask = {
        "ref": head,
        "environment": "staging",
        "auto_merge": False,
        "required_contexts": [],
        "payload": {"op": "1"},
    }
    first = world.as_("bob")("POST", deployments, 201, body=ask, **at)
    assert first["payload"] == {"op": "1"}
    world.as_("rita")("POST", deployments, 403, body=ask, **at)
    world.call("POST", deployments, 422, body={**ask, "ref": "nope"}, **at)
    world.call("POST", deployments, 409, body={**ask, "required_contexts": ["tests"]}, **at)
    one = f"{deployments}/{{deployment_id}}"
    assert world.call("GET", one, 200, deployment_id=first["id"], **at)["sha"] == head
    world.call("GET", one, 404, deployment_id=99, **at)
    told = {"state": "success", "environment_url": "http://127.0.0.1/x", "description": "up"}
    world.as_("bob")("POST", f"{one}/statuses", 201, deployment_id=first["id"], body=told, **at)
    world.call("POST", f"{one}/statuses", 422, deployment_id=first["id"], body={"state": "great"}, **at)
    second = world.call("POST", deployments, 201, body=ask, **at)
    world.call("POST", f"{one}/statuses", 201, deployment_id=second["id"], body={"state": "success"}, **at)
    statuses = world.call("GET", f"{one}/statuses", 200, deployment_id=first["id"], **at)
    assert [status["state"] for status in statuses] == ["inactive", "success"]
    world.call("GET", f"{one}/statuses", 404, deployment_id=99, **at)
    listed = world.call("GET", deployments, 200, query={"environment": "staging", "sha": head}, **at)
    assert [found["id"] for found in listed] == [second["id"], first["id"]]
    tree.commit("main", {"other": "x"})
    assert "Auto-merged" in world.call("POST", deployments, 202, body={"ref": "topic"}, **at)["message"]


def test_apps(world: World) -> None:
    tree, _, _ = world.with_pull("apps")
    assert tree.path.is_dir()
    app = world.as_app()
    assert app("GET", "/app", 200)["slug"] == "kfops"
    world.call("GET", "/app", 401)
    installation = app("GET", f"{REPO}/installation", 200, owner="ada", repo="apps")
    app("GET", f"{REPO}/installation", 404, owner="ada", repo="nope")
    assert app("GET", "/app/installations", 200)[0]["id"] == installation["id"]
    tokens = "/app/installations/{installation_id}/access_tokens"
    narrow = {"repositories": ["apps"], "permissions": {"contents": "read"}}
    made = app("POST", tokens, 201, installation_id=installation["id"], body=narrow)
    assert made["repository_selection"] == "selected"
    app("POST", tokens, 404, installation_id=99)
    app("POST", tokens, 422, installation_id=installation["id"], body={"repositories": ["nope"]})
    app(
        "POST",
        tokens,
        422,
        installation_id=installation["id"],
        body={"permissions": {"administration": "write"}},
    )
    world.call.as_("a.b.c")("POST", tokens, 401, installation_id=installation["id"])


def test_an_app_from_a_manifest(world: World) -> None:
    world.call("POST", "/app-manifests/{code}/conversions", 404, code="nope")
    with httpx.Client(base_url=world.url, trust_env=False) as browser:
        page = browser.get("/settings/apps/new")
        form = {"csrf": page.text.partition('name="csrf" value="')[2].partition('"')[0]}
        manifest = (
            '{"name": "Made by form", "url": "http://127.0.0.1", "redirect_url": "http://127.0.0.1:9/back",'
            ' "hook_attributes": {"url": "http://127.0.0.1:9/hook"}, "default_events": ["push"]}'
        )
        sent = browser.post("/settings/apps/new?state=abc", data={**form, "manifest": manifest})
    assert sent.status_code == 303
    query = httpx.URL(sent.headers["location"]).params
    assert query["state"] == "abc"
    made = world.call("POST", "/app-manifests/{code}/conversions", 201, code=query["code"])
    assert made["pem"].startswith("-----BEGIN RSA PRIVATE KEY-----")
    world.call("POST", "/app-manifests/{code}/conversions", 404, code=query["code"])


def test_deliveries(world: World) -> None:
    world.with_pull("delivered")
    at = {"owner": "ada", "repo": "delivered"}
    with support.receiver(status=500) as (url, received):
        app = world.playground.state.apps[world.app_id]
        world.playground.add_webhook(url, "s3", repo="ada/delivered")
        hook = world.call("GET", f"{REPO}/hooks", 200, **at)[0]
        from kfops.playground.actions.repositories import add_hook

        with world.playground.lock:
            add_hook(world.playground, url, "s3", app_id=app.id, wanted=tuple(app.events))
        world.call("POST", f"{ISSUE}/comments", 201, issue_number=1, body={"body": "/run"}, **at)
        world.playground.outbox.settle()
        deliveries = f"{REPO}/hooks/{{hook_id}}/deliveries"
        found = world.call("GET", deliveries, 200, hook_id=hook["id"], query={"per_page": 1}, **at)
        assert (found[0]["event"], found[0]["status_code"]) == ("issue_comment", 500)
        assert (
            len(world.call("GET", deliveries, 200, hook_id=hook["id"], query={"status": "failure"}, **at))
            == 2
        )
        world.call("GET", deliveries, 400, hook_id=hook["id"], query={"cursor": "x"}, **at)
        world.as_("bob")("GET", deliveries, 403, hook_id=hook["id"], **at)
        again = f"{deliveries}/{{delivery_id}}/attempts"
        world.call("POST", again, 202, hook_id=hook["id"], delivery_id=found[0]["id"], **at)
        world.call("POST", again, 404, hook_id=hook["id"], delivery_id=99, **at)
        mine = world.as_app()("GET", "/app/hook/deliveries", 200)
        assert mine[0]["installation_id"] is not None
        one = "/app/hook/deliveries/{delivery_id}"
        whole = world.as_app()("GET", one, 200, delivery_id=mine[0]["id"])
        assert whole["request"]["payload"]["comment"]["body"] == "/run"
        world.as_app()("GET", one, 404, delivery_id=99)
        world.as_app()("POST", f"{one}/attempts", 202, delivery_id=mine[0]["id"])
        world.playground.outbox.settle()
        assert [one.event for one in received].count("issue_comment") == 4


def test_the_same_answer_is_not_sent_twice(world: World) -> None:
    world.with_pull("etags")
    at = {"owner": "ada", "repo": "etags", "pull_number": 1}
    first = world.call.send("GET", PULL, **at)
    assert (
        world.call.send("GET", PULL, headers={"If-None-Match": first.headers["etag"]}, **at).status_code
        == 304
    )


def test_a_repository_is_found_by_its_number(world: World) -> None:
    made = world.repository("numbered")
    for prefix in ("/api/v3", ""):
        sent = httpx.get(f"{world.url}{prefix}/repositories/{made.id}", trust_env=False)
        assert sent.json()["full_name"] == "ada/numbered"
        assert httpx.get(f"{world.url}{prefix}/repositories/{made.id}/pulls", trust_env=False).json() == []


def test_bad_json(world: World) -> None:
    headers = {"Authorization": f"token {world.users['ada'].token}"}
    sent = httpx.post(f"{world.url}/api/v3/user/repos", content=b'{"name":', headers=headers, trust_env=False)
    assert (sent.status_code, sent.json()["message"]) == (400, "Problems parsing JSON")


def test_over_the_rate_limit(tmp_path: Path) -> None:
    playground = Playground(tmp_path, clock=support.now, rate_limit=2)
    user = playground.add_user("ada")
    with (
        running(playground) as url,
        httpx.Client(trust_env=False, headers={"Authorization": f"token {user.token}"}) as client,
    ):
        answers = [client.get(f"{url}/api/v3/users/ada") for _ in range(3)]
    assert [sent.status_code for sent in answers] == [200, 200, 403]
    assert [sent.headers["x-ratelimit-remaining"] for sent in answers] == ["1", "0", "0"]
    assert int(answers[2].headers["x-ratelimit-reset"]) > support.now().timestamp()


def test_every_operation_knows_a_bad_token(world: World) -> None:
    for method, template in sorted(support.operations()):
        if template == "/app-manifests/{code}/conversions":
            continue
        names = {"check_run_id": 1, "comment_id": 1, "deployment_id": 1, "hook_id": 1, "installation_id": 1, "issue_number": 1,
                 "pull_number": 1, "reaction_id": 1, "delivery_id": 1, "owner": "ada", "repo": "x", "path": "x", "ref": "x",
                 "branch": "x", "basehead": "a...b", "sha": "0" * 40, "name": "x", "username": "x", "org": "x", "team_slug": "x"}  # fmt: skip
        sent = world.call.as_("ghp_wrong").send(
            method, template, body=None if method == "GET" else {}, **names
        )
        assert (sent.status_code, sent.json()["message"]) == (401, "Bad credentials"), template


def test_every_operation_hides_what_one_may_not_see(world: World) -> None:
    world.with_pull("secret")
    world.playground.repository("ada/secret").private = True
    bodies = {
        f"POST {REPO}/check-runs": {"name": "x", "head_sha": "0" * 40},
        f"POST {REPO}/deployments": {"ref": "x"},
        f"POST {REPO}/deployments/{{deployment_id}}/statuses": {"state": "success"},
        f"POST {REPO}/git/refs": {"ref": "refs/heads/x", "sha": "0" * 40},
        f"PATCH {REPO}/git/refs/{{ref}}": {"sha": "0" * 40},
        f"PATCH {COMMENT}": {"body": "x"},
        f"POST {COMMENT}/reactions": {"content": "eyes"},
        f"POST {ISSUE}/comments": {"body": "x"},
        f"POST {REPO}/labels": {"name": "x"},
        f"POST {REPO}/pulls": {"title": "x", "head": "topic", "base": "main"},
        f"POST {REPO}/statuses/{{sha}}": {"state": "success"},
    }
    for method, template in sorted(support.operations()):
        if not template.startswith(REPO) or template.endswith("/installation"):
            continue
        names = {"check_run_id": 1, "comment_id": 1, "deployment_id": 1, "hook_id": 1, "issue_number": 1, "pull_number": 1,
                 "reaction_id": 1, "delivery_id": 1, "path": "README.md", "ref": "topic", "branch": "main", "basehead": "main...topic",
                 "sha": "0" * 40, "name": "bug", "username": "bob"}  # fmt: skip
        body = bodies.get(f"{method} {template}", None if method == "GET" else {})
        for login in ("stranger", ""):
            caller = world.as_(login) if login else world.call.as_("")
            status = caller.send(method, template, body=body, owner="ada", repo="secret", **names).status_code
            assert status in ({404} if login or method == "GET" else {401, 404}), (
                f"{method} {template} {login}: {status}"
            )


def test_an_empty_repository(world: World) -> None:
    world.repository("empty")
    at = {"owner": "ada", "repo": "empty"}
    world.call("GET", f"{REPO}/commits/{{ref}}", 409, ref="main", **at)
    world.call("GET", f"{REPO}/commits", 409, **at)
    world.call("GET", f"{REPO}/branches/{{branch}}", 404, branch="main", **at)
    world.call("GET", f"{REPO}/contents/{{path}}", 404, path="README.md", **at)
    assert world.call("GET", f"{REPO}/pulls", 200, **at) == []
    assert world.call("GET", f"{REPO}/branches", 200, **at) == []


def test_ones_own_repositories(world: World) -> None:
    world.repository("shared-privately", private=True)
    for login, reached in {"bob": True, "helper": True, "stranger": False}.items():
        found = world.as_(login)("GET", "/user/repos", 200, query={"per_page": 100})
        assert ("ada/shared-privately" in [one["full_name"] for one in found]) is reached


@pytest.mark.parametrize("called", ["application/x-www-form-urlencoded", "text/plain", ""])
def test_a_body_is_json_whatever_the_client_calls_it(called: str, world: World) -> None:
    token = world.users["ada"].token
    name = f"posted-{len(called)}"
    made = httpx.post(
        f"{world.playground.base_url}/api/v3/user/repos",
        content=f'{{"name": "{name}"}}',
        headers={"Authorization": f"token {token}", "Content-Type": called},
        trust_env=False,
    )
    assert (made.status_code, made.json().get("full_name")) == (201, f"ada/{name}")
