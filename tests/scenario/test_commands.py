"""The commands beside the main job, as people see them: the whole bot, the clock in the test's hand."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.support.ways import deployed, said, trained, until
from tests.support.world import model, world

from kfops.domain.rollout import Phase
from kfops.domain.run import ENDED, RunState

CLIMB = (
    "{steps: [5, 50], hold: 2s, min_requests: 30, max_error_increase: 0.2, max_latency_ratio: 5, watch: 1s}"
)


@pytest.fixture
def here(tmp_path):
    with world(tmp_path) as made:
        yield made


def test_a_lock_holds_deployments_off_until_it_is_let_go(here):
    number = trained(here)
    held = said(here, number, '/lock production --reason "sale weekend"', by="cleo")
    assert "**production is held** until it is unlocked: sale weekend" in held
    assert "cleo" in said(here, number, "/status")

    refused = said(here, number, "/deploy")
    assert "`locked`" in refused
    assert "sale weekend" in refused
    assert "/unlock production" in refused
    assert "`locked`" in said(here, number, '/lock production --reason "mine"', by="bo")

    assert "**production is free.** It was held by cleo" in said(here, number, "/unlock production", by="bo")
    here.comment(number, "/deploy")
    here.settle()
    assert here.pull(number).is_merged


def test_a_lock_ends_by_itself_when_it_was_asked_for_a_time(here):
    number = trained(here)
    said(here, number, '/lock production --reason "load test" --for 2h', by="bo")
    assert "`locked`" in said(here, number, "/deploy")

    here.turn(timedelta(hours=2, seconds=1))
    here.comment(number, "/deploy")
    here.settle()
    assert here.pull(number).is_merged


def test_a_lock_is_for_an_environment_that_there_is(here):
    number = here.pull_request("ana", model())

    assert "`environment_unknown`" in said(here, number, '/lock prodution --reason "typing"')
    assert "one of staging, production" in here.reply(number)
    assert "`environment_unknown`" in said(here, number, "/unlock prodution")


def test_an_operations_own_lock_is_not_let_go_by_hand(tmp_path):
    with world(tmp_path, canary=CLIMB) as here:
        deployed(here)
        second = trained(here, roc_auc=0.84)
        asked = here.comment(second, "/deploy")
        until(here, asked, Phase.HOLD)

        refused = said(here, second, "/unlock production", by="bo")
        assert "`locked`" in refused
        assert f"/cancel {here.operation(asked).id}" in refused


def test_a_reader_may_ask_and_not_act(here):
    number = here.pull_request("ana", model())

    for asked in ("/lock production --reason x", "/unlock production", "/cancel", "/build_run", "/deploy"):
        assert "`permission_denied`" in said(here, number, asked, by="dan"), asked
    for asked in ("/help", "/status", "/plan /status"):
        assert "asked by dan" in said(here, number, asked, by="dan")
        assert "reason_code" not in here.reply(number)


def test_help_tells_each_person_what_they_may_and_why_not_the_rest(here):
    number = here.pull_request("ana", model())
    for by in ("ana", "dan"):
        here.comment(number, "/help", by=by)
    here.settle()
    may, barred = here.replies(number)

    assert "Not for you here" not in may
    assert "Not for you here" in barred
    first, _, rest = barred.partition("Not for you here")
    assert all(name in first for name in ("/status", "/plan", "/help"))
    assert all(name in rest for name in ("/deploy", "/build_run", "/lock", "/ok-to-test"))
    assert "needs the role `maintain`" in rest


# What `/plan` says of a command, at the beginning: nothing was built, nothing serves.
AT_THE_BEGINNING = {
    "/build": ("go ahead", "Compile `pipeline.py` in the sandbox"),
    "/run": ("refused", "`no_package`"),
    "/build_run --set seed=7": ("go ahead", "Set `seed` = `7`."),
    "/build_run --set data=other.csv": ("refused", "`not_overridable`"),
    "/staging_deploy": ("refused", "`no_run`"),
    "/deploy": ("refused", "`no_run`"),
    "/deploy nowhere": ("refused", "`environment_unknown`"),
    "/deploy --sha 0123456789ab": ("refused", "`sha_mismatch`"),
    '/deploy --force=checks --reason "flaky"': ("refused", "`permission_denied`"),
    '/rollback --reason "drill"': ("refused", "`no_revision`"),
    "/canary pause": ("refused", "`no_rollout`"),
    "/canary status": ("go ahead", "Answer at once"),
    "/cancel": ("refused", "`nothing_to_cancel`"),
    "/lock staging --reason x --for 2h": ("go ahead", "Hold `staging` for 2h"),
    "/unlock staging": ("go ahead", "Let `staging` go; nobody holds it now."),
    f"/ok-to-test {'0' * 40}": ("refused", "`sha_mismatch`"),
    "/status": ("go ahead", "nothing changes"),
    "/help": ("go ahead", "nothing changes"),
}


def test_a_plan_of_every_command_names_the_gate_or_the_steps_and_does_nothing(here):
    number = here.pull_request("ana", model())
    for command, (decision, words) in AT_THE_BEGINNING.items():
        told = said(here, number, f"/plan {command}")
        assert f"it would {'go ahead' if decision == 'go ahead' else 'be refused'}." in told, (command, told)
        assert words in told, (command, told)

    assert {one.kind.value for one in here.operations()} == {"plan"}
    assert here.ledger.runs(here.repository.id) == ()
    assert here.serving().stable.version is None
    assert here.check_runs(number) == []
    assert here.deployments() == []


def test_a_plan_of_a_deployment_tells_its_steps_and_what_it_waits_for(tmp_path):
    with world(tmp_path, canary=CLIMB) as here:
        deployed(here)
        second, third = trained(here, roc_auc=0.84), trained(here, roc_auc=0.85)

        told = said(here, second, "/plan /deploy")
        assert "start version 2" in told
        assert "beside version 1" in told
        assert "Canary: 5 %, 50 % of users' requests, each for at least 2s" in told
        assert "merge (squash)" in told
        assert "Label it `Deployed-to-production`" in told

        asked = here.comment(second, "/deploy")
        until(here, asked, Phase.HOLD)
        number = here.operation(asked).id
        assert f"Stop operation {number}, `/deploy`: all traffic goes back" in said(
            here, second, "/plan /cancel"
        )
        assert f"Pass `abort` on to operation {number}" in said(here, second, "/plan canary abort")
        assert f"1. Wait for operation {number}." in said(here, third, "/plan deploy")
        assert here.operation(asked).outcome is None


def test_a_plan_of_a_rollback_names_the_revision(here):
    deployed(here)
    deployed(here, roc_auc=0.84)
    other = here.pull_request("ana", model())

    told = said(here, other, '/plan rollback --reason "drill"')
    assert "Serve version 1" in told
    assert here.serving().stable.version == "2"


def test_cancel_stops_a_run_that_waits_and_one_that_trains(here):
    number = here.pull_request("ana", model())
    trains = here.comment(number, "/build_run")
    here.turn()
    waits = here.comment(number, "/build_run")
    here.turn()
    told = said(here, number, "/cancel")
    here.settle()

    assert all(f"operation {here.operation(one).id}" in told for one in (trains, waits))
    assert [here.operation(one).reason_code for one in (trains, waits)] == ["canceled", "canceled"]
    assert "Canceled by ana." in "\n".join(here.replies(number))


@pytest.mark.parametrize("stop_at", range(1, 9))
def test_cancel_at_every_step_of_a_run_leaves_nothing_under_way(here, stop_at):
    number = here.pull_request("ana", model())
    asked = here.comment(number, "/build_run")
    for step in here.walk():
        if step == stop_at:
            here.comment(number, "/cancel")
    ended = here.operation(asked)

    assert ended.reason_code in {"canceled", "done"}
    assert all(one.conclusion for one in here.check_runs(number))
    statuses = [
        here.pipelines.status(one.identity) for one in ended.effects.values() if one.name.startswith("run:")
    ]
    assert all(status.state in ENDED for status in statuses)


def test_cancel_finds_the_run_that_was_submitted_just_before_the_process_ended(here, monkeypatch):
    number = here.pull_request("ana", model(steps={"train": 120.0}))  # longer than a lease
    asked = here.comment(number, "/build_run")
    for _ in here.walk():
        if here.operation(asked).phase == "submit":
            break

    def ends(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as dying:
        dying.setattr(here.ledger, "save", ends)
        with pytest.raises(KeyboardInterrupt):
            here.step()
    here.restart()
    here.comment(number, "/cancel")
    here.settle()

    [run] = here.pipelines.runs
    assert here.operation(asked).reason_code == "canceled"
    assert here.pipelines.status(run).state is RunState.CANCELED


@pytest.mark.parametrize("phase", [Phase.PREPARE, Phase.CHECK, Phase.HOLD, Phase.WATCH])
def test_cancel_in_every_phase_of_a_canary_gives_all_traffic_back(tmp_path, phase):
    with world(tmp_path, canary=CLIMB) as here:
        deployed(here)
        second = trained(here, roc_auc=0.84)
        asked = here.comment(second, "/deploy")
        until(here, asked, phase)
        here.comment(second, "/cancel")
        here.settle()

        assert here.serving().stable.version == "1"
        assert here.serving().candidate_weight == 0
        assert here.reactions(asked) == ["eyes", "confused"]
        assert not here.pull(second).is_merged
        assert "ana aborted the rollout" in "\n".join(here.replies(second))


def test_cancel_of_what_has_ended_or_never_was_says_so(here):
    number = trained(here)

    assert "`nothing_to_cancel`" in said(here, number, "/cancel")
    assert "`nothing_to_cancel`" in said(here, number, "/cancel 1")
    assert "`nothing_to_cancel`" in said(here, number, "/cancel 99")


def test_cancel_with_a_number_reaches_another_pull_request_of_the_repository(here):
    one = here.pull_request("ana", model())
    other = here.pull_request("bo", model())
    asked = here.comment(one, "/build_run")
    here.turn()

    assert "`nothing_to_cancel`" in said(here, other, "/cancel", by="bo")
    said(here, other, f"/cancel {here.operation(asked).id}", by="bo")
    here.settle()
    assert here.operation(asked).reason_code == "canceled"


def test_a_rollout_is_paused_looked_at_and_resumed(tmp_path):
    with world(tmp_path, canary=CLIMB) as here:
        deployed(here)
        second = trained(here, roc_auc=0.84)
        asked = here.comment(second, "/deploy")
        until(here, asked, Phase.HOLD)

        assert "It pauses at its next look" in said(here, second, "/canary pause")
        here.turn(timedelta(minutes=30))
        assert here.serving().candidate_weight == 5
        assert "5 % on the candidate" in said(here, second, "/canary status", by="dan")
        assert "`permission_denied`" in said(here, second, "/canary promote", by="cleo")
        said(here, second, "/canary resume")
        here.settle()
        assert here.pull(second).is_merged


def test_a_mistake_is_headed_by_what_was_typed(here):
    number = here.pull_request("ana", model())
    told = said(here, number, "/deplyo --sha abc")

    assert "### ⛔ `/deplyo` refused" in told
    assert "Did you mean /deploy?" in told
    assert "^^^^^^^" in told
