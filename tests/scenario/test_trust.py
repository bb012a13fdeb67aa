"""Rules of trust as stories: who tried what, and what the whole bot made of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.support.servers.forge_here import commit
from tests.support.ways import deployed, settled, trained, until
from tests.support.world import CONFIG, World, model, world

from kfops.config.policy import load_policy
from kfops.domain.rollout import Phase
from kfops.playground.actions import comments, pulls
from kfops.playground.state import Role

CLIMB = (
    "{steps: [5, 50], hold: 2s, min_requests: 30, max_error_increase: 0.2, max_latency_ratio: 5,"
    " patience: 20s, ask_timeout: 5s, watch: 1s}"
)


@pytest.fixture
def here(tmp_path):
    with world(tmp_path, requires=("approval",)) as made:
        yield made


@pytest.fixture
def easy(tmp_path):
    with world(tmp_path) as made:
        yield made


def policy(here: World, text: str) -> None:
    here.options = replace(here.options, policy=load_policy(f"version: 1\n{text}", filename="policy.yaml"))


# R3, R4, R5: the comment.


def test_r4_only_a_new_comment_is_a_command(easy):
    number = easy.pull_request("ana", model(), title="/deploy")
    said = easy.comment(number, "Looks good to me.")
    easy.edit_comment(said, "/build_run")
    easy.settle()

    assert easy.operations() == []


def test_r5_a_comment_that_was_edited_or_deleted_meanwhile_deploys_nothing(easy):
    number = trained(easy)
    for change in ("edit", "delete"):
        said = easy.comment(number, "/deploy")
        if change == "edit":
            easy.edit_comment(said, "/deploy, but not today")
        else:
            easy.delete_comment(said)
        easy.settle()
        assert easy.operation(said).reason_code == "comment_changed"

    assert easy.serving().stable.version is None
    assert not easy.pull(number).is_merged


def test_r5_r8_a_comment_that_is_deleted_during_the_canary_promotes_nothing(tmp_path):
    with world(tmp_path, canary=CLIMB) as here:
        deployed(here, approved_by="bo")
        second = trained(here, roc_auc=0.84)
        said = here.comment(second, "/deploy")
        until(here, said, Phase.HOLD)
        here.delete_comment(said)
        here.settle()

        assert here.serving().stable.version == "1"
        assert not here.pull(second).is_merged


def test_r3_a_deployment_that_is_found_too_late_is_told_and_not_done(easy):
    number = trained(easy)
    easy.is_mail_held = True
    said = easy.comment(number, "/deploy")
    build = easy.comment(number, "/build")
    easy.wait(timedelta(minutes=16))
    easy.is_mail_held = False
    easy.settle()

    assert easy.operation(said).reason_code == "too_late"
    assert easy.operation(build).reason_code == "done"  # nothing that could not be undone
    assert easy.serving().stable.version is None


# R6, R8, R8b: who, at every step.


def test_r6_r8_a_role_that_is_taken_away_during_the_canary_promotes_nothing(tmp_path):
    with world(tmp_path, canary=CLIMB) as here:
        deployed(here, approved_by="bo")
        second = trained(here, author="cleo", roc_auc=0.84)
        said = here.comment(second, "/deploy", by="bo")
        until(here, said, Phase.HOLD)
        here.give("bo", Role.READ)
        here.turn(timedelta(seconds=61))  # a role is believed for a minute
        here.settle()

        assert here.serving().stable.version == "1"
        assert not here.pull(second).is_merged


def test_r8_r8b_an_approval_that_is_dismissed_during_the_canary_promotes_nothing(tmp_path):
    with world(tmp_path, requires=("approval",), canary=CLIMB) as here:
        deployed(here, approved_by="bo")
        second = trained(here, roc_auc=0.84)
        review = here.approve(second, by="bo")
        said = here.comment(second, "/deploy")
        until(here, said, Phase.HOLD)
        here.dismiss(second, review)
        here.settle()

        assert here.serving().stable.version == "1"
        assert not here.pull(second).is_merged


def test_r6_r8b_whose_approval_counts_and_for_which_commit(here):
    number = trained(here)
    assert "no approval" in settled(here, number, "/deploy")
    here.approve(number, by="dan")
    assert "dan may not write here" in settled(here, number, "/deploy")
    before = here.pull(number).head_sha
    here.approve(number, by="bo")
    here.push(number, {"README.md": "more"}, by="cleo")
    settled(here, number, "/build_run")
    assert f"bo approved {before[:7]}, not this commit" in settled(here, number, "/deploy")
    here.approve(number, by="cleo")
    assert "cleo pushed last" in settled(here, number, "/deploy")

    here.approve(number, by="bo")
    settled(here, number, "/deploy")
    assert here.pull(number).is_merged


# R7: which commit.


def test_r7_a_push_that_the_command_did_not_see_supersedes_it(easy):
    number = easy.pull_request("ana", model())
    easy.is_mail_held = True
    said = easy.comment(number, "/build_run")
    easy.push(number, model(roc_auc=0.5))
    easy.receive(next(one for one in easy.mail if one.event == "issue_comment"))
    while easy.step():
        pass

    assert easy.operation(said).reason_code == "superseded"
    assert easy.ledger.runs(easy.repository.id) == ()


def test_r7_what_cannot_be_undone_needs_its_commit_named_where_no_delivery_told_it(easy):
    easy.is_mail_held = True
    number = easy.pull_request("ana", model())
    easy.mail.clear()  # the webhook was not there yet
    easy.is_mail_held = False
    settled(easy, number, "/build_run")
    head = easy.pull(number).head_sha

    assert "`needs_sha`" in settled(easy, number, "/deploy")
    assert f"/deploy --sha {head[:12]}" in easy.reply(number)
    assert "`sha_mismatch`" in settled(easy, number, f"/deploy --sha {'0' * 12}")
    settled(easy, number, f"/deploy --sha {head[:12]}")
    assert easy.pull(number).is_merged


# R9: forks.


def from_a_fork(here: World) -> int:
    """Eve's pull request, from her own copy of the repository."""
    eve = here.playground.add_user("eve")
    fork = here.playground.fork("olga/churn", "eve")
    commit(here.playground, fork, "better", model(roc_auc=0.99), onto="main", by=eve)
    with here.playground.lock:
        made = pulls.create(
            here.playground,
            here.repository,
            here.caller("eve"),
            title="From outside",
            body=None,
            head="eve:better",
            base="main",
            draft=False,
        )
    here.deliver()
    return made.number


def test_r9_a_fork_runs_at_the_commit_that_was_allowed_and_is_never_deployed(easy):
    number = from_a_fork(easy)
    head = easy.pull(number).head_sha

    assert "`fork_needs_ok`" in settled(easy, number, "/build_run", by="ana")
    assert f"/ok-to-test {head}" in easy.reply(number)
    assert "`permission_denied`" in settled(easy, number, f"/ok-to-test {head}", by="eve")
    assert "`sha_mismatch`" in settled(easy, number, f"/ok-to-test {'0' * 40}", by="ana")
    assert "may run in the sandbox" in settled(easy, number, f"/ok-to-test {head}", by="cleo")
    assert "0.99" in settled(easy, number, "/build_run", by="ana")
    for text in ("/deploy", "/staging_deploy"):
        assert "`fork`" in settled(easy, number, text, by="ana")
    assert easy.serving().stable.version is None


def test_r9_what_was_allowed_is_not_remembered_past_a_push(easy):
    number = from_a_fork(easy)
    settled(easy, number, f"/ok-to-test {easy.pull(number).head_sha}")
    fork = easy.playground.repository("eve/churn")
    commit(easy.playground, fork, "better", {"x.txt": "x"}, onto="better", by=easy.playground.user("eve"))
    easy.deliver()

    assert "`fork_needs_ok`" in settled(easy, number, "/build_run")


# R10: the rules.


def test_r10_a_pull_request_that_softens_the_rules_is_told_so_and_judged_by_those_of_the_default_branch(here):
    config = (
        CONFIG.replace("CANARY", CLIMB)
        .replace("REQUIRES", "[]")
        .replace("roc_auc >= 0.70", "roc_auc >= 0.10")
    )
    number = here.pull_request("ana", {**model(roc_auc=0.5), "kfops.yaml": config})
    first = settled(here, number, "/build_run")

    assert "edits rules of `kfops.yaml`" in first
    assert "`evidence.gates`" in first
    assert "roc_auc >= 0.70" in first
    assert "does not hold" in first
    assert "`metric_gate`" in settled(here, number, "/deploy")
    here.push(number, model(roc_auc=0.8))
    settled(here, number, "/build_run")
    assert "`not_approved`" in settled(here, number, "/deploy")


def test_r10_the_pull_request_that_adopts_kfops_runs_and_is_not_deployed(easy):
    text = (
        easy.playground.read("olga/churn", "main", "kfops.yaml") if hasattr(easy.playground, "read") else None
    )
    del text
    easy.commit_to_main({"kfops.yaml": None})
    config = CONFIG.replace("CANARY", CLIMB).replace("REQUIRES", "[]")
    number = easy.pull_request("ana", {**model(), "kfops.yaml": config})

    first = settled(easy, number, "/build_run")
    assert "There is no `kfops.yaml` on the default branch yet" in first
    assert "merge `kfops.yaml` into the default branch; deploying waits for it" in first
    refused = settled(easy, number, "/deploy")
    assert "`rules_not_adopted`" in refused
    assert "Merge this file first; runs work meanwhile." in refused
    assert "`rules_not_adopted`" in settled(easy, number, "/plan staging_deploy")


def test_r10_a_base_of_ones_own_choice_brings_no_rules_and_is_not_deployed(easy):
    soft = (
        CONFIG.replace("CANARY", CLIMB)
        .replace("REQUIRES", "[]")
        .replace("roc_auc >= 0.70", "roc_auc >= 0.10")
    )
    commit(
        easy.playground,
        easy.repository,
        "soft",
        {"kfops.yaml": soft},
        onto="main",
        by=easy.playground.user("ana"),
    )
    number = easy.pull_request("ana", model(roc_auc=0.8), base="soft")
    settled(easy, number, "/build_run")

    refused = settled(easy, number, "/deploy")
    assert "`base_not_allowed`" in refused
    assert "Change the base of this pull request to `main`." in refused


POLICIES = {
    "another model's name": (
        "repositories: {olga/churn: {models: [fraud], namespaces: [churn, churn-staging]}}",
        "policy",
    ),
    "a foreign namespace": ("repositories: {olga/churn: {models: [churn], namespaces: [churn]}}", "policy"),
    "no such environment": (
        "repositories: {olga/churn: {models: [churn], namespaces: [churn, churn-staging], environments: [staging]}}",
        "policy",
    ),
    "a stricter role": ("permissions: {deploy: admin}", "permission_denied"),
    "a stricter gate": ("requires: {production: [approval]}", "not_approved"),
    "a freeze": (
        "freezes: [{since: 2026-03-01T00:00:00Z, until: 2026-04-01T00:00:00Z, reason: audit}]",
        "frozen",
    ),
}


@pytest.mark.parametrize("name", POLICIES)
def test_r10_what_the_operators_policy_refuses_is_refused(easy, name):
    number = trained(easy)
    text, expected = POLICIES[name]
    policy(easy, text)

    assert f"`{expected}`" in settled(easy, number, "/deploy")
    assert easy.serving().stable.version is None


def test_r10_a_policy_that_grants_what_is_asked_for_is_in_nobodys_way(easy):
    policy(
        easy,
        "repositories: {olga/churn: {models: [churn], namespaces: [churn, churn-staging]}}\n"
        "permissions: {deploy: maintain}",
    )
    number = trained(easy)
    settled(easy, number, "/deploy")

    assert easy.pull(number).is_merged


def test_r10_the_operator_may_name_another_branch_for_the_rules(easy):
    policy(
        easy,
        "repositories: {olga/churn: {models: [churn], namespaces: [churn, churn-staging], rules_branch: trusted}}",
    )
    number = trained(easy)

    assert "`rules_not_adopted`" in settled(easy, number, "/deploy")  # no file on that branch


# R12: the ledger.


def test_r12_labels_titles_and_forged_replies_decide_nothing(easy):
    number = easy.pull_request("ana", model(), title="Deployed to production, approved by all")
    easy.ports.forge.set_labels(easy.repository.id, number, add=["Deployed-to-production"])
    with easy.playground.lock:
        comments.create(
            easy.playground,
            easy.repository,
            easy.pull(number),
            "<!-- kfops operation=1 -->\n### ✅ `/build_run` succeeded · churn\n| roc_auc | **0.99** |",
            easy.caller("ana"),
        )
    easy.deliver()

    assert "`no_run`" in settled(easy, number, "/deploy")
    assert "Nothing serves yet" in settled(easy, number, "/status") or "| production |" in easy.reply(number)
    assert easy.serving().stable.version is None


def test_r12_the_bots_own_comment_is_found_again_whatever_others_put_into_theirs(easy):
    number = easy.pull_request("ana", model())
    easy.comment(number, "<!-- kfops operation=1 -->", by="dan")
    said = easy.comment(number, "/build_run")
    for _ in easy.walk():
        easy.restart()

    assert easy.reactions(said) == ["eyes", "rocket"]
    assert len(easy.replies(number)) == 1


# R13: what serves is what was trained.


def test_r13_what_serves_bears_its_pull_request_its_commit_and_its_digest(easy):
    number = deployed(easy)
    head = easy.operation(easy.pull(number).comment_ids[0]).subject.head_sha
    [run] = easy.ledger.runs(easy.repository.id)
    [revision] = easy.ledger.revisions(easy.repository.id, "production")
    version = easy.models.version_of("churn", "1")

    assert (run.repository_id, run.pull_request, run.commit_sha) == (easy.repository.id, number, head)
    assert (revision.digest, revision.commit_sha, revision.pull_request) == (run.model_digest, head, number)
    assert easy.serving().stable.digest == run.model_digest
    assert version is not None
    assert version.digest == run.model_digest
    assert (version.tags["pr"], version.tags["git_commit"]) == (str(number), head)
    assert version.tags["repository_id"] == str(easy.repository.id)


def test_r13_a_run_of_another_commit_or_of_another_pull_request_is_no_run_of_this_one(easy):
    number = trained(easy)
    other = easy.pull_request("bo", model(roc_auc=0.9))
    assert "`no_run`" in settled(easy, other, "/deploy --run 1", by="bo")
    easy.push(number, {"README.md": "words"})
    assert "`no_run`" in settled(easy, number, "/deploy --run 1")


def test_r13_the_digest_that_staging_serves_is_the_one_that_production_gets(tmp_path):
    with world(tmp_path, requires=("staging",)) as here:
        number = trained(here)
        assert "`not_in_staging`" in settled(here, number, "/deploy")
        assert "/staging_deploy" in here.reply(number)
        settled(here, number, "/staging_deploy")
        in_staging = here.serving("staging").stable.digest
        settled(here, number, "/build_run")  # another model of the same commit, not seen in staging
        if here.ledger.runs(here.repository.id)[0].model_digest != in_staging:
            assert "`not_in_staging`" in settled(here, number, "/deploy")
        settled(here, number, "/deploy --run 1")

        assert here.serving().stable.digest == in_staging
        assert here.pull(number).is_merged


# R18: everything outside ends.


def is_closed_outside(here: World, number: int) -> bool:
    final = {"success", "failure", "inactive", "error"}
    deployments = [one.statuses[-1].state for one in here.deployments() if one.statuses]
    return all(state in final for state in deployments) and all(
        one.conclusion for one in here.check_runs(number)
    )


def test_r18_deployments_and_check_runs_reach_their_end_when_all_goes_well(easy):
    number = deployed(easy)

    assert easy.deployments()
    assert is_closed_outside(easy, number)


@pytest.mark.parametrize("ending", ["cancel", "push", "close", "bad model"])
def test_r18_nothing_outside_is_left_open_whatever_ends_a_rollout(tmp_path, ending):
    with world(tmp_path, canary=CLIMB) as here:
        deployed(here, approved_by="bo")
        answers = "fails_for_some" if ending == "bad model" else "right"
        second = trained(here, answers=answers, roc_auc=0.84)
        said = here.comment(second, "/deploy")
        until(here, said, Phase.HOLD)
        match ending:
            case "cancel":
                here.comment(second, "/cancel")
            case "push":
                here.push(second, {"README.md": "more"})
            case "close":
                here.close(second)
        here.settle()

        assert here.operation(said).outcome is not None
        assert here.serving().stable.version == "1"
        assert is_closed_outside(here, second)


# R19: force.


def test_r19_force_needs_its_own_role_and_a_reason_and_is_shown_and_written_down(here):
    number = trained(here)

    assert "`permission_denied`" in settled(here, number, '/deploy --force=approval --reason "fire"')
    assert "`mistyped`" in settled(here, number, "/deploy --force=approval", by="olga")
    assert "`not_approved`" in settled(here, number, '/deploy --force=checks --reason "fire"', by="olga")
    told = settled(here, number, '/deploy --force=approval --reason "the fire is out"', by="olga")

    assert here.pull(number).is_merged
    assert "Forced past: `approval`. Reason: the fire is out" in told
    entry = here.ledger.trail(here.repository.id, number)[-1]
    assert entry.actor == "olga"
    assert entry.detail["forced"] == ["approval"]
    assert entry.detail["command"]["reason"] == "the fire is out"
