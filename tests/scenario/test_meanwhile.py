"""What changes between a command and its effect: a merge elsewhere, a freeze, a policy, another one in the environment."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.support.servers.forge_here import commit
from tests.support.ways import deployed, said, settled, trained, until
from tests.support.world import CONFIG, World, world

from kfops.config.policy import load_policy
from kfops.domain.rollout import Phase
from kfops.playground.actions import merging, pulls
from kfops.playground.state import Role

CLIMB = (
    "{steps: [5, 50], hold: 10s, min_requests: 30, max_error_increase: 0.2, max_latency_ratio: 5,"
    " patience: 40s, ask_timeout: 5s, watch: 10s}"
)
NO_MERGE = CONFIG.replace("requires: REQUIRES", "requires: REQUIRES, merge: none")
GRANT = "repositories: {{olga/churn: {{models: [churn], namespaces: [churn, churn-staging], environments: [{}]}}}}"


@pytest.fixture
def here(tmp_path):
    with world(tmp_path, canary=CLIMB) as made:
        yield made


def canary(here: World, phase: Phase = Phase.HOLD) -> tuple[int, int]:
    """A second model on its way: its pull request and the comment that asked."""
    deployed(here)
    number = trained(here, roc_auc=0.84)
    asked = here.comment(number, "/deploy")
    until(here, asked, phase)
    return number, asked


def policy(here: World, text: str) -> None:
    here.options = replace(here.options, policy=load_policy(f"version: 1\n{text}", filename="policy.yaml"))


def rebase(here: World, number: int, branch: str) -> None:
    forge = here.playground
    commit(forge, here.repository, branch, {}, onto="main", by=forge.user("olga"))
    with forge.lock:
        pulls.edit(forge, here.repository, here.pull(number), here.caller("cleo"), base=branch)
    here.deliver()


def test_r8_r10_a_merge_into_another_branch_is_not_the_merge_and_production_goes_back(here):
    number, asked = canary(here, Phase.WATCH)
    rebase(here, number, "scratch")
    with here.playground.lock:
        merging.merge(here.playground, here.repository, here.pull(number), here.caller("cleo"))
    here.settle()

    assert here.operation(asked).reason_code == "merge_refused"
    assert here.serving().stable.version == "1"
    assert "it was merged into scratch, not into main" in "\n".join(here.replies(number))


def test_r8_r10_a_base_that_changes_during_a_canary_without_a_merge_stops_it_too(tmp_path):
    with world(tmp_path, canary=CLIMB, config=NO_MERGE) as here:
        settled(here, trained(here), "/deploy")
        number = trained(here, roc_auc=0.84)
        asked = here.comment(number, "/deploy")
        until(here, asked, Phase.HOLD)
        rebase(here, number, "scratch")
        here.settle()

        assert here.operation(asked).reason_code == "rolled_back"
        assert "Only pull requests into the branch that the rules come from" in "\n".join(
            here.replies(number)
        )


def freeze(here: World, after: timedelta) -> None:
    since = (here.clock.at + after).isoformat()
    policy(here, f"freezes: [{{since: {since}, until: 2027-01-01T00:00:00Z, reason: audit}}]")


def test_r8_r10_a_freeze_that_begins_during_a_canary_shifts_no_more_traffic(here):
    number, asked = canary(here)
    freeze(here, timedelta(0))
    here.settle()

    assert here.operation(asked).reason_code == "rolled_back"
    assert here.serving().stable.version == "1"
    assert "policy freezes deployments here now" in "\n".join(here.replies(number))


def test_what_has_all_traffic_already_is_merged_in_a_freeze_too(here):
    number, _ = canary(here, Phase.WATCH)
    freeze(here, timedelta(0))
    here.settle()

    assert here.pull(number).is_merged
    assert here.serving().stable.version == "2"


def test_r8_r10_an_environment_that_the_operator_takes_away_is_promoted_into_no_more(here):
    number, asked = canary(here)
    policy(here, GRANT.format("staging"))
    here.settle()

    assert here.operation(asked).reason_code == "rolled_back"
    assert not here.pull(number).is_merged


def lost(here: World, number: int, text: str, by: str = "ana") -> int:
    """A comment whose webhook comes an hour late."""
    here.is_mail_held = True
    comment = here.comment(number, text, by=by)
    here.clock.at += timedelta(hours=1)
    here.is_mail_held = False
    return comment


@pytest.mark.parametrize("text", ["/canary promote", "/cancel", "/unlock production"])
def test_r3_what_means_something_else_by_now_is_told_and_not_done(here, text):
    number = trained(here)
    said(here, number, '/lock production --reason "mine"', by="bo") if "unlock" in text else here.comment(
        number, "/deploy"
    )
    comment = lost(here, number, text)
    here.turn()

    assert here.operation(comment).reason_code == "too_late"


def test_r5_a_promotion_by_hand_that_was_edited_meanwhile_promotes_nothing(here):
    number, _ = canary(here)
    here.is_mail_held = True
    comment = here.comment(number, "/canary promote", by="bo")
    here.edit_comment(comment, "please do not promote", by="bo")
    here.is_mail_held = False
    here.turn()

    assert here.operation(comment).reason_code == "comment_changed"


def test_r6_whoever_may_only_run_cancels_runs_and_no_rollout(tmp_path):
    with world(tmp_path, canary=CLIMB, config=f"{CONFIG}permissions: {{run: read}}\n") as here:
        here.give("dan", Role.READ)
        number, asked = canary(here)
        rolls = here.operation(asked).id

        assert "`permission_denied`" in said(here, number, f"/cancel {rolls}", by="dan")
        trains = here.comment(number, "/build_run", by="dan")
        here.turn()
        assert f"operation {here.operation(trains).id}" in said(
            here, number, f"/cancel {here.operation(trains).id}", by="dan"
        )
        said(here, number, f"/cancel {rolls}", by="cleo")
        here.settle()
        assert here.operation(asked).reason_code == "rolled_back"


def test_r14_a_rollout_whose_environment_another_operation_took_meanwhile_undoes_nothing_of_it(here):
    """The bot is away for longer than the environment's lease; a rollback comes first when it is back."""
    deployed(here, roc_auc=0.81)
    number, asked = canary(here)
    here.comment(number, '/rollback --to 1 --reason "scores drift"', by="cleo")
    here.clock.at += timedelta(minutes=16)
    here.settle()

    assert here.serving().stable.version == "1"
    active = next(one for one in here.ledger.revisions(here.repository.id, "production") if one.is_active)
    assert active.version == "1"
    assert here.operation(asked).reason_code == "rolled_back"
