"""Retraining by schedule: at its moment, once, from the default branch, told in one issue, and never deployed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from tests.support.model_repository import CONFIG
from tests.support.world import World, model, world

from kfops.config.policy import OPEN_POLICY, Policy
from kfops.domain.model_version import Alias
from kfops.domain.operation import Kind, Operation, Outcome
from kfops.playground.state import Issue
from kfops.ports.errors import Refused
from kfops.workflow.context import Options
from kfops.workflow.scheduling import EVERY, READ_EVERY, Scheduled, Scheduling, arrival_of_moment

MONDAYS = "schedule: {retrain: 0 3 * * 1}\n"
MONDAY = datetime(2026, 3, 9, 3, tzinfo=UTC)  # the first one after the world's noon
WEEK = timedelta(weeks=1)


@pytest.fixture
def here(tmp_path):
    with world(tmp_path, config=CONFIG + MONDAYS) as made:
        made.pull_request("ana", model())  # by which the bot has heard of the repository
        yield made


def bot(here: World, owner: str = "one", policy: Policy = OPEN_POLICY) -> Callable[[], int]:
    """What a bot does every 20 seconds."""
    here.options = Options(data_dir=here.options.data_dir, policy=policy, secrets=here.options.secrets)
    return Scheduling(here.forge, here.ledger, here.clock, policy, owner).look


def until(here: World, moment: datetime) -> None:
    here.clock.at = max(here.clock.at, moment)


def retrainings(here: World) -> list[Operation]:
    return [one for one in here.operations() if one.kind is Kind.RETRAIN]


def the_issue(here: World) -> Issue:
    (found,) = here.repository.issues.values()
    return found


def told(here: World) -> str:
    return the_issue(here).body or ""


def test_at_its_moment_the_default_branch_is_trained_and_the_issue_tells(here):
    look = bot(here)
    assert look() == 0, "the schedule was only seen; what lay before it is nobody's to catch up"
    until(here, MONDAY - timedelta(seconds=1))
    assert look() == 0

    until(here, MONDAY + timedelta(seconds=5))
    assert look() == 1
    assert look() == 0
    here.settle()
    (one,) = retrainings(here)
    assert (one.outcome, one.subject.head_sha) == (
        Outcome.SUCCEEDED,
        here.forge.branch_head(here.repository.id, "main"),
    )
    found = the_issue(here)
    assert (found.title, found.labels, found.is_open) == (
        "Kfops: retraining of churn",
        ["Kfops-retraining"],
        True,
    )
    body = told(here)
    assert "✅ `retraining` succeeded · churn" in body
    assert "scheduled for 2026-03-09 03:00 UTC" in body
    assert "| metric | retrained |" in body
    assert "`roc_auc`" in body
    assert "`/build_run` trains and `/deploy` canaries and merges" in body
    assert "The next retraining is due on 2026-03-16 03:00 UTC." in body


def test_a_retrained_model_is_never_deployed(here):
    look = bot(here)
    look()
    until(here, MONDAY)
    look()
    here.settle()
    assert here.serving("production").stable.version is None
    assert here.models.by_alias("churn", Alias.CHAMPION) is None
    number = here.pull_request("ana", model(roc_auc=0.9))
    (one,) = retrainings(here)
    here.comment(number, f"/deploy --run {one.id}")
    here.settle()
    assert "no_run" in here.reply(number), (
        "a deployed model's run has this pull request and this commit (R13)"
    )


def test_the_way_into_production_that_the_issue_names_is_one(here):
    look = bot(here)
    look()
    until(here, MONDAY)
    look()
    here.settle()
    assert "git commit --allow-empty" in told(here)
    number = here.pull_request("ana", {}, title="Retrain churn")
    here.comment(number, "/build_run\n/deploy")
    here.settle()
    assert here.pull(number).is_merged
    assert here.serving("production").stable.version is not None


def test_one_issue_is_edited_week_after_week_and_keeps_what_was_before(here):
    look = bot(here)
    look()
    for week in range(3):
        until(here, MONDAY + week * WEEK)
        assert look() == 1
        here.settle()
    body = told(here)
    assert "scheduled for 2026-03-23 03:00 UTC" in body
    assert "#### Earlier" in body
    assert body.count("| ✅ | 2026-03-") == 2
    calls = [one for one in here.weather.calls if one.startswith("POST") and one.endswith("/issues")]
    assert len(calls) == 1


def test_weeks_without_a_bot_are_caught_up_once(here):
    bot(here)()
    until(here, MONDAY + 3 * WEEK + timedelta(days=2))
    here.restart()
    look = bot(here, "two")
    assert look() == 1
    here.settle()
    assert look() == 0
    (one,) = retrainings(here)
    assert one.subject.command["moment"] == (MONDAY + 3 * WEEK).isoformat()


def test_two_replicas_start_it_once(here):
    one, two = bot(here, "one"), bot(here, "two")
    one()
    until(here, MONDAY)
    here.clock.at += timedelta(minutes=2)  # whose turn it was is over
    assert one() + two() == 1
    here.settle()
    assert len(retrainings(here)) == 1


def test_a_replica_that_knows_no_better_adds_nothing_to_a_moment(here):
    """One that took its turn, slept over the other's whole round, and goes on."""
    look = bot(here)
    look()
    until(here, MONDAY)
    assert look() == 1
    late = Scheduled("churn", "0 3 * * 1", "main", MONDAY - WEEK)
    here.ledger.accept([arrival_of_moment(here.repository.id, late, MONDAY, here.clock.now())])
    here.settle()
    assert len(retrainings(here)) == 1


def test_one_that_lasts_past_the_next_moment_is_not_joined_by_another(here):
    here.commit_to_main(
        {"kfops.yaml": rules(here).replace("0 3 * * 1", "'* * * * *'"), **model(steps={"train": 150.0})}
    )
    look = bot(here)
    look()
    here.turn(timedelta(minutes=1))
    assert look() == 1
    for _ in range(2):
        here.turn(timedelta(minutes=1))
        assert look() == 0
    here.settle()
    assert look() == 1, "what was missed meanwhile is caught up once"
    assert len(retrainings(here)) == 2


def rules(here: World) -> str:
    content = here.forge.file(here.repository.id, "kfops.yaml", "main")
    assert content is not None
    return content.decode()


def test_a_failing_retraining_is_told_in_the_same_issue(here):
    look = bot(here)
    look()
    until(here, MONDAY)
    look()
    here.settle()
    here.commit_to_main(model(fails="train"))
    until(here, MONDAY + WEEK)
    look()
    here.settle()
    body = told(here)
    assert "❌ `retraining` failed in train · churn" in body
    assert "mend it in a pull request" in body
    assert "| ✅ | 2026-03-09" in body
    assert retrainings(here)[-1].reason_code == "run_failed"


def test_rules_that_broke_are_told_at_the_next_moment(here):
    look = bot(here)
    look()
    here.commit_to_main({"kfops.yaml": "version: 1\nmodel: Churn!\n"})
    until(here, MONDAY)
    assert look() == 1
    here.settle()
    assert "rules_invalid" in told(here)
    assert "kfops.yaml:2:8" in told(here)


def test_a_schedule_that_was_changed_or_taken_out_counts_from_then_on(here):
    look = bot(here)
    look()
    until(here, MONDAY - timedelta(days=2))
    here.commit_to_main({"kfops.yaml": rules(here).replace("0 3 * * 1", "0 4 * * *")})
    assert look() == 0, "yesterday's four o'clock was in no schedule then"
    until(here, MONDAY - timedelta(days=1) + timedelta(hours=1))
    assert look() == 1
    here.settle()
    here.commit_to_main({"kfops.yaml": rules(here).replace("schedule: {retrain: 0 4 * * *}\n", "")})
    until(here, MONDAY + timedelta(hours=2))
    assert look() == 0


def test_the_policy_forbids_and_the_issue_says_so(here):
    grant: dict[str, Any] = {"models": ["churn"], "namespaces": ["churn", "churn-staging"], "retrain": False}
    policy = Policy.model_validate_json('{"version": 1}').model_copy(
        update={"repositories": {"olga/churn": Policy.model_validate(
            {"version": 1, "repositories": {"olga/churn": grant}}, strict=False
        ).repositories["olga/churn"]}}
    )  # fmt: skip
    look = bot(here, policy=policy)
    look()
    until(here, MONDAY)
    look()
    here.settle()
    assert "The server's policy keeps no schedules of this repository." in told(here)
    assert retrainings(here)[0].reason_code == "policy"
    assert not here.pipelines.runs


def test_an_issue_that_somebody_deleted_is_made_anew(here):
    look = bot(here)
    look()
    until(here, MONDAY)
    look()
    here.settle()
    here.repository.issues.clear()
    until(here, MONDAY + WEEK)
    look()
    here.settle()
    assert "2026-03-16" in told(here)


def test_it_can_be_cancelled_from_a_pull_request(here):
    here.commit_to_main(model(steps={"train": 20.0}))
    number = here.pull_request("ana", model())
    look = bot(here)
    look()
    until(here, MONDAY)
    look()
    here.turn(timedelta(seconds=5))
    (one,) = retrainings(here)
    assert f"`/cancel {one.id}` in a pull request stops it" in told(here)
    here.comment(number, f"/cancel {one.id}")
    here.settle()
    assert "🚫 `retraining` canceled" in told(here)


def test_status_and_the_trail_know_it(here):
    here.commit_to_main(model(steps={"train": 20.0}))
    number = here.pull_request("ana", model())
    look = bot(here)
    look()
    until(here, MONDAY)
    look()
    here.turn(timedelta(seconds=5))
    here.comment(number, "/status")
    here.turn(timedelta(seconds=1))
    body = here.reply(number)
    assert "/retrain" in body
    (issue,) = here.repository.issues
    assert f"By the schedule `0 3 * * 1`; next: 2026-03-16 03:00 UTC; told in #{issue}." in body
    here.settle()
    (entry,) = [one for one in here.ledger.trail(here.repository.id) if one.action == "retrain"]
    assert (entry.actor, entry.pull_request) == ("schedule", 0)
    assert here.ledger.verify(here.repository.id) is None


def test_a_repository_that_is_gone_is_asked_for_now_and_then_only(here):
    asked: list[int] = []

    def gone(repository_id: int) -> None:
        asked.append(repository_id)
        raise Refused("404")

    forge: Any = SimpleNamespace(repository=gone)
    scheduling = Scheduling(forge, here.ledger, here.clock, OPEN_POLICY, "one")
    for _ in range(int(2 * READ_EVERY / EVERY)):
        assert scheduling.look() == 0
        here.clock.at += EVERY
    assert len(asked) == 2


def test_looking_costs_the_forge_a_call_now_and_then(here):
    look = bot(here)
    look()
    before = len(here.weather.calls)
    for _ in range(int(READ_EVERY / EVERY) - 1):
        here.clock.at += EVERY
        look()
    assert len(here.weather.calls) == before
