"""The forge's port on GitHub's API, against the playground; each request is held against GitHub's description."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from tests.support import github_forge
from tests.support import playground as support
from tests.support.github_forge import Stage

from kfops.domain.pull_request import (
    Actor,
    Merged,
    MergeRefused,
    Permission,
    Reaction,
    ReviewState,
)
from kfops.playground.state import Role
from kfops.ports.errors import Refused, Unavailable
from kfops.ports.forge import CheckConclusion, CheckReport, DeploymentState, Forge

REPO = "/repos/{owner}/{repo}"


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with github_forge.stage(tmp_path_factory.mktemp("adapter")) as made:
        yield made


@pytest.fixture(autouse=True)
def _present(stage: Stage) -> None:
    stage.ahead = timedelta(0)


def test_it_is_the_port(stage: Stage) -> None:
    forge: Forge = stage.forge()
    assert forge is not None


def test_reading_a_pull_request(stage: Stage) -> None:
    number_of, number, head = stage.pull("reading")
    for forge in (stage.forge(), stage.with_token()):
        repository = forge.repository(number_of)
        assert (repository.id, repository.full_name, repository.default_branch) == (
            number_of,
            "ada/reading",
            "main",
        )
        pull = forge.pull_request(number_of, number)
        assert (pull.number, pull.author, pull.is_open, pull.is_draft, pull.is_merged) == (
            number,
            stage.actor("bob"),
            True,
            False,
            False,
        )
        assert (pull.head_sha, pull.head_ref, pull.base_ref, pull.head_repository_id, pull.mergeable) == (
            head,
            "topic",
            "main",
            number_of,
            True,
        )
        assert pull.merge_sha is None
        assert forge.changed_files(number_of, number) == ("README.md",)
        assert forge.is_up_to_date(number_of, "main", head)
        with pytest.raises(Refused, match="404"):
            forge.pull_request(number_of, 99)
        with pytest.raises(Refused):
            forge.repository(999_999)


def test_the_base_moved_on(stage: Stage) -> None:
    tree, number, head = stage.world.with_pull("moved")
    tree.commit("main", {"other.txt": "x\n"})
    number_of = stage.world.playground.repository("ada/moved").id
    assert not stage.forge().is_up_to_date(number_of, "main", head)
    assert stage.forge().pull_request(number_of, number).head_sha == head


def test_reviews_are_read_over_all_pages(stage: Stage) -> None:
    number_of, number, head = stage.pull("reviews")
    for login, event in [("cora", "APPROVE"), *[("rita", "COMMENT")] * 120]:
        template = f"{REPO}/pulls/{{pull_number}}/reviews"
        body = {"event": event, "body": "I see"}
        stage.world.as_(login)(
            "POST", template, 200, owner="ada", repo="reviews", pull_number=number, body=body
        )
    found = stage.forge().reviews(number_of, number)
    assert len(found) == 121
    assert (found[0].reviewer, found[0].state, found[0].commit_sha) == (
        stage.actor("cora"),
        ReviewState.APPROVED,
        head,
    )
    assert {one.state for one in found[1:]} == {ReviewState.COMMENTED}


@pytest.mark.parametrize(
    ("login", "expected"),
    [
        ("ada", Permission.ADMIN),
        ("cora", Permission.MAINTAIN),
        ("bob", Permission.WRITE),
        ("tim", Permission.TRIAGE),
        ("rita", Permission.READ),
    ],
)
def test_r6_the_role_name_counts(stage: Stage, login: str, expected: Permission) -> None:
    name = f"roles-{login}"
    stage.world.repository(name)
    number_of = stage.world.playground.repository(f"ada/{name}").id
    assert stage.forge().permission(number_of, stage.actor(login)) is expected


def test_r6_a_login_that_another_took_over_is_unknown(stage: Stage) -> None:
    number_of = stage.world.repository("renamed-login").id
    forge = stage.forge()
    assert forge.permission(number_of, Actor(424_242, "ada")) is Permission.UNKNOWN
    assert forge.permission(number_of, stage.actor("ada")) is Permission.ADMIN
    assert forge.permission(number_of, Actor(424_242, "nobody-here")) is Permission.NONE


def test_r6_a_permission_is_believed_for_less_than_a_minute(stage: Stage) -> None:
    number_of = stage.world.repository("believed").id
    forge, bob = stage.forge(), stage.actor("bob")
    assert forge.permission(number_of, bob) is Permission.WRITE
    stage.world.playground.set_role("ada/believed", "bob", Role.READ)
    assert forge.permission(number_of, bob) is Permission.WRITE
    stage.ahead += timedelta(seconds=60)
    assert forge.permission(number_of, bob) is Permission.READ


def test_r6_an_error_is_a_no(stage: Stage) -> None:
    number_of = stage.world.repository("erring").id
    forge, bob = stage.forge(), stage.actor("bob")
    forge.repository(number_of)
    stage.proxy.fail("GET", "/permission$", 403)
    assert forge.permission(number_of, bob) is Permission.UNKNOWN
    stage.proxy.fail("GET", "/permission$", 502, times=3)
    with pytest.raises(Unavailable):
        forge.permission(number_of, bob)
    assert forge.permission(number_of, bob) is Permission.WRITE


def test_teams(stage: Stage) -> None:
    playground = stage.world.playground
    if playground.state.user("acme") is None:
        playground.add_user("acme")
    playground.add_team("acme", "ml-leads", ["cora"])
    number_of = playground.create_repository("acme", "teams").id
    forge = stage.forge()
    assert forge.in_team(number_of, "ml-leads", stage.actor("cora"))
    assert forge.in_team(number_of, "acme/ml-leads", stage.actor("cora"))
    assert not forge.in_team(number_of, "ml-leads", stage.actor("bob"))
    assert not forge.in_team(number_of, "no-such-team", stage.actor("cora"))
    assert not forge.in_team(number_of, "other/ml-leads", stage.actor("cora"))
    assert not forge.in_team(number_of, "ml-leads", Actor(424_242, "cora"))


def test_one_comment_of_the_bots_own_is_kept(stage: Stage) -> None:
    number_of, number, _ = stage.pull("doubled")
    mark = "<!-- kfops:1 -->"
    theirs = stage.comment("doubled", number, "bob", f"not the bot's {mark}")
    forge = stage.forge()
    other = forge.create_comment(number_of, number, "Another <!-- kfops:11 -->")
    doubled, kept = [forge.create_comment(number_of, number, f"{nth} {mark}") for nth in ("1st", "2nd")]

    for _ in range(2):
        stage.forge().keep_one_comment(number_of, number, mark, kept)
        left = [one for one in (theirs, other, doubled, kept) if forge.comment(number_of, one) is not None]
        assert left == [theirs, other, kept]


def test_comments(stage: Stage) -> None:
    number_of, number, _ = stage.pull("comments")
    before = stage.now().replace(microsecond=0)
    asked = stage.comment("comments", number, "bob", "/build_run <!-- kfops:1 -->")
    forge = stage.forge()
    assert forge.find_comment(number_of, number, "<!-- kfops:1 -->") is None  # somebody else's has it
    made = forge.create_comment(number_of, number, "On it <!-- kfops:1 -->")
    assert stage.forge().find_comment(number_of, number, "<!-- kfops:1 -->") == made
    forge.edit_comment(number_of, made, "Done <!-- kfops:1 -->")
    found = forge.comment(number_of, made)
    assert found is not None
    assert (found.body, found.author.login, found.author.is_human, found.pull_request) == (
        "Done <!-- kfops:1 -->",
        "kfops[bot]",
        False,
        number,
    )
    assert forge.comment(number_of, 424_242) is None
    assert [one.id for one in forge.comments_since(number_of, before)] == [asked, made]
    assert list(forge.comments_since(number_of, before + timedelta(hours=1))) == []


def test_a_reaction_joins_the_earlier_one_and_comes_once(stage: Stage) -> None:
    number_of, number, _ = stage.pull("reactions")
    asked = stage.comment("reactions", number, "bob", "/build_run")
    playground = stage.world.playground
    marks = playground.repository("ada/reactions").comments[asked].reactions

    def shown() -> list[str]:
        return [mark.content for mark in marks.values()]

    forge = stage.forge()
    forge.react(number_of, asked, Reaction.EYES)
    forge.react(number_of, asked, Reaction.EYES)
    assert shown() == ["eyes"]
    forge.react(number_of, asked, Reaction.ROCKET)
    stage.forge().react(number_of, asked, Reaction.ROCKET)  # after a restart
    assert shown() == ["eyes", "rocket"]


def test_labels(stage: Stage) -> None:
    number_of, number, _ = stage.pull("labels")
    forge = stage.forge()
    for _ in range(2):
        forge.set_labels(
            number_of, number, add=["Deployed-to-staging", "a b/ü"], remove=["Deployed-to-production"]
        )
    assert set(forge.pull_request(number_of, number).labels) == {"Deployed-to-staging", "a b/ü"}
    assert forge.labelled(number_of, "Deployed-to-staging") == (number,)
    stage.forge().set_labels(
        number_of, number, add=["Deployed-to-production"], remove=["a b/ü", "Deployed-to-staging"]
    )
    assert forge.pull_request(number_of, number).labels == ("Deployed-to-production",)
    assert forge.labelled(number_of, "Deployed-to-staging") == ()


def test_the_head_of_a_branch(stage: Stage) -> None:
    number_of, _, head = stage.pull("heads")
    forge = stage.forge()
    assert forge.branch_head(number_of, "topic") == head
    with pytest.raises(Refused, match="404"):
        forge.branch_head(number_of, "no/such")


def test_an_issue_of_ones_own_is_found_by_its_label_and_marker(stage: Stage) -> None:
    number_of, number, _ = stage.pull("own-issue")
    forge, mark, label = stage.forge(), "<!-- kfops retraining=churn -->", "Kfops-retraining"
    stage.world.as_("bob")(
        "POST", f"{REPO}/issues", 201, owner="ada", repo="own-issue",
        body={"title": "mine", "body": mark, "labels": [label]},
    )  # fmt: skip
    assert forge.find_issue(number_of, label, mark) is None  # somebody else's has it
    made = forge.create_issue(number_of, title="Retraining", body=f"{mark}\nfirst", label=label)
    assert made == number + 2
    forge.create_issue(number_of, title="Retraining", body="<!-- kfops retraining=other -->", label=label)
    assert stage.forge().find_issue(number_of, label, mark) == made
    assert forge.edit_issue(number_of, made, f"{mark}\nsecond")
    found = stage.world.playground.repository("ada/own-issue").issues
    assert (found[made].body, found[made].labels) == (f"{mark}\nsecond", [label])
    del found[made]
    assert not forge.edit_issue(number_of, made, "third")
    assert forge.find_issue(number_of, label, mark) is None


def test_a_check_run_is_one_by_its_external_id(stage: Stage) -> None:
    number_of, _, head = stage.pull("checks")
    report = CheckReport("kfops", head, "Running", "", "op-1")
    made = stage.forge().report_check(number_of, report)
    done = CheckReport(
        "kfops", head, "Done", "x" * 70_000, "op-1", CheckConclusion.SUCCESS, "https://kfops.test/1"
    )
    again = stage.forge()
    assert again.report_check(number_of, done) == made
    assert again.report_check(number_of, done) == made
    other = CheckReport("kfops", head, "Failed", "", "op-2", CheckConclusion.FAILURE)
    assert again.report_check(number_of, other) not in {None, made}


def test_a_plain_token_writes_no_check_runs(stage: Stage) -> None:
    number_of, _, head = stage.pull("checkless")
    forge = stage.with_token()
    report = CheckReport("kfops", head, "Running", "", "op-1")
    assert forge.report_check(number_of, report) is None
    assert forge.report_check(number_of, report) is None
    assert forge.calls["POST /repos/{owner}/{repo}/check-runs"] == 1


def test_a_deployment_is_one_by_its_external_id(stage: Stage) -> None:
    number_of, _, head = stage.pull("deployments")
    forge = stage.forge()
    made = forge.create_deployment(number_of, sha=head, environment="staging", external_id="op-1")
    assert (
        stage.forge().create_deployment(number_of, sha=head, environment="staging", external_id="op-1")
        == made
    )
    assert forge.create_deployment(number_of, sha=head, environment="staging", external_id="op-2") != made
    forge.deployment_status(
        number_of, made, DeploymentState.IN_PROGRESS, description="y" * 300, environment_url=None
    )
    forge.deployment_status(
        number_of,
        made,
        DeploymentState.SUCCESS,
        description="served",
        environment_url="http://127.0.0.1:9/predict",
    )
    found = stage.world.playground.repository("ada/deployments").deployments[made]
    assert (found.sha, found.environment, [one.state for one in found.statuses]) == (
        head,
        "staging",
        ["in_progress", "success"],
    )
    with pytest.raises(Refused):
        forge.deployment_status(
            number_of, 424_242, DeploymentState.FAILURE, description="", environment_url=None
        )
    with pytest.raises(Refused):
        forge.create_deployment(number_of, sha="0" * 40, environment="staging", external_id="op-3")


def test_files(stage: Stage) -> None:
    number_of, _, head = stage.pull("files", **{"kfops.yaml": "version: 1\n", "a dir/ü #1.txt": "ü\n"})
    forge = stage.forge()
    assert forge.file(number_of, "kfops.yaml", head) == b"version: 1\n"
    assert forge.file(number_of, "kfops.yaml", "main") is None
    assert forge.file(number_of, "a dir/ü #1.txt", head) == "ü\n".encode()
    assert forge.file(number_of, "a dir", head) is None
    for path in ("/etc/passwd", "../x", "a/../b", "", "."):
        with pytest.raises(Refused, match="no path"):
            forge.file(number_of, path, head)


@pytest.mark.parametrize("method", ["squash", "merge", "rebase"])
def test_r8_merging(stage: Stage, method: str) -> None:
    number_of, number, head = stage.pull(f"merge-{method}")
    forge = stage.forge()
    merged = forge.merge(number_of, number, sha=head, method=method, title="Ship it (#1)")
    assert isinstance(merged, Merged)
    pull = forge.pull_request(number_of, number)
    assert (pull.is_merged, pull.is_open, pull.merge_sha) == (True, False, merged.sha)
    assert stage.forge().merge(number_of, number, sha=head, method=method, title="Ship it (#1)") == merged


def test_r8_a_merge_whose_answer_was_lost_is_found_again(stage: Stage) -> None:
    number_of, number, head = stage.pull("merge-lost")
    forge = stage.forge()
    forge.repository(number_of)
    stage.proxy.fail("PUT", "/merge$", 502, is_late=True)
    with pytest.raises(Unavailable):
        forge.merge(number_of, number, sha=head, method="squash", title="T")
    found = forge.merge(number_of, number, sha=head, method="squash", title="T")
    assert found == Merged(forge.pull_request(number_of, number).merge_sha or "")


def test_r8_a_moved_head_is_not_merged(stage: Stage) -> None:
    tree, number, head = stage.world.with_pull("merge-moved")
    number_of = stage.world.playground.repository("ada/merge-moved").id
    tree.commit("topic", {"more.txt": "x\n"})
    found = stage.forge().merge(number_of, number, sha=head, method="squash", title="T")
    assert isinstance(found, MergeRefused)
    assert found.is_final
    assert head[:7] in found.reason


def test_merges_that_are_refused(stage: Stage) -> None:
    number_of, number, head = stage.pull("merge-refused")
    forge, playground = stage.forge(), stage.world.playground
    playground.require_checks("ada/merge-refused", ["tests"])
    expected = forge.merge(number_of, number, sha=head, method="squash", title="T")
    assert expected == MergeRefused('Required status check "tests" is expected.', is_final=False)
    playground.protect("ada/merge-refused", "main", approvals=1)
    unapproved = forge.merge(number_of, number, sha=head, method="squash", title="T")
    assert isinstance(unapproved, MergeRefused)
    assert unapproved.is_final
    playground.protect("ada/merge-refused", "main")
    playground.repository("ada/merge-refused").allow_squash_merge = False
    method = forge.merge(number_of, number, sha=head, method="squash", title="T")
    assert method == MergeRefused("Squash merges are not allowed on this repository.", is_final=True)
    stage.proxy.fail(
        "PUT", "/merge$", 405, message="Base branch was modified. Review and try the merge again."
    )
    moved = forge.merge(number_of, number, sha=head, method="merge", title="T")
    assert isinstance(moved, MergeRefused)
    assert not moved.is_final
    stage.proxy.fail("PUT", "/merge$", 422, message="Validation Failed")
    invalid = forge.merge(number_of, number, sha=head, method="merge", title="T")
    assert isinstance(invalid, MergeRefused)
    assert invalid.is_final
    missing = forge.merge(number_of, 99, sha=head, method="merge", title="T")
    assert isinstance(missing, MergeRefused)
    assert missing.is_final


def test_a_change_to_workflows_needs_a_person(stage: Stage) -> None:
    number_of, number, head = stage.pull("workflows", **{".github/workflows/ci.yaml": "on: push\n"})
    found = stage.forge().merge(number_of, number, sha=head, method="merge", title="T")
    assert isinstance(found, MergeRefused)
    assert found.is_final
    assert "workflow" in found.reason


def test_calls_are_counted_by_operation(stage: Stage) -> None:
    """The budget: what one `/build_run` asks of the port stays within ten, the two tokens of an hour apart."""
    number_of, number, _ = stage.pull("budget")
    asked = stage.comment("budget", number, "bob", "/build_run")
    forge = stage.forge()
    forge.remember(number_of, "ada/budget", next(iter(stage.world.playground.state.installations)))
    forge.react(number_of, asked, Reaction.EYES)
    forge.permission(number_of, stage.actor("bob"))
    forge.pull_request(number_of, number)
    forge.file(number_of, "kfops.yaml", "main")
    living = forge.create_comment(number_of, number, "Running")
    forge.edit_comment(number_of, living, "Trained")
    forge.edit_comment(number_of, living, "Done")
    forge.react(number_of, asked, Reaction.ROCKET)
    tokens = "POST /app/installations/{installation_id}/access_tokens"
    assert forge.calls[tokens] == 2
    assert sum(count for name, count in forge.calls.items() if name != tokens) <= 10
    assert forge.calls["PATCH /repos/{owner}/{repo}/issues/comments/{comment_id}"] == 2


def test_every_operation_is_githubs(stage: Stage) -> None:
    forge = stage.forge()
    number_of, number, _ = stage.pull("described")
    forge.pull_request(number_of, number)
    assert stage.proxy.validate() <= support.operations() | github_forge.github_proxy.BESIDE


def test_the_folder_of_the_stage_is_its_own(tmp_path: Path) -> None:
    """Two forges at once share nothing."""
    with github_forge.stage(tmp_path) as other:
        number_of, number, head = other.pull("alone")
        assert other.forge().pull_request(number_of, number).head_sha == head
