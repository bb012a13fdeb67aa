"""Scripted failures through the real Envoy, at a share of 25 % and 40 requests a second: what users saw is counted."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.support import canary_models as models
from tests.support.canary_stage import CONFIG, RATE_PER_S, Played, Stage, canary, stage

from kfops.adapters.local.sandbox import NoSandbox, probe
from kfops.demo.traffic import Load
from kfops.domain.operation import Outcome
from kfops.domain.rollout import Phase, Reason
from kfops.ports.serving import ArmName

pytestmark = pytest.mark.xdist_group("live")

PULLS = {
    "champion": {"kind": models.GOOD},
    "fails": {"kind": models.FAILS},
    "slow": {"kind": models.SLOW},
    "dies": {"kind": models.DIES},
    "contrary": {"kind": models.CONTRARY, "trained": "no"},
    "broken": {"kind": models.BROKEN},
    "hungry": {"kind": models.HUNGRY},
    "sleepy": {"kind": models.SLEEPY},
    "status": {"kind": models.FAILS, "sample": ("month", models.UNKNOWN)},
    "shape": {"kind": models.SHORT},
    "not finite": {"kind": models.NOT_FINITE},
    "naps": {"kind": models.NAPS},
    "skew": {"kind": models.GOOD, "trained": "no"},
    "quiet": {"kind": models.GOOD},
    "asked": {"kind": models.GOOD},
}
GOOD = [models.request("month")]


@pytest.fixture(scope="module")
def here(tmp_path_factory) -> Iterator[Stage]:
    """With the champion in production, deployed as the first model is."""
    found = probe()
    sandbox = NoSandbox() if isinstance(found, str) else found
    with stage(tmp_path_factory.mktemp("canary"), sandbox, PULLS) as made:
        first = made.played("champion", made.say("champion", "/deploy"))
        assert first.operation.outcome is Outcome.SUCCEEDED, first.reply
        yield made


def assert_nobody_else_was_hurt(here: Stage, played: Played):
    """Champion traffic lost nothing, and `RolledBack` was written when the candidate's counter stood still."""
    back, load = played.rollout.rollback, played.load
    assert played.operation.outcome is Outcome.ROLLED_BACK, played.reply
    assert load is not None
    assert {one.version for one in load.losses} <= {played.facts.model_version}, load.losses
    assert played.champion_errors == 0
    assert sum(load.by_status.values()) == load.sent
    assert back.still_at is not None
    assert back.total == here.standstill().total == played.answered_by_candidate
    rolled_back = next(one.at for one in played.rollout.timeline if one.phase is Phase.ROLLED_BACK)
    assert back.shown_at <= back.still_at <= rolled_back
    served = here.serving.observe(here.place())
    assert (served.stable.version, served.candidate_weight) == ("1", 0)


def after_the_verdict_ms(here: Stage, played: Played) -> float:
    """Until the last request on the candidate, by the clock of Envoy's access log."""
    back, last = played.rollout.rollback, here.standstill().last_request_at
    assert last == back.last_request_at
    return 1000 * (last - back.wished_at).total_seconds()


def assert_no_user_saw_it(here: Stage, name: str, reason: Reason, *words: str, sample=GOOD) -> Played:
    played = here.deploy(name, sample)
    rollout, load = played.rollout, played.load
    assert (played.operation.outcome, rollout.reason) == (Outcome.ROLLED_BACK, reason), played.reply
    assert not rollout.rollback.was_exposed
    assert set(load.by_version) == {"1"}
    assert not load.losses
    assert set(load.by_status) == {200}
    for word in (*words, "No user", "Restored: version **1**"):
        assert word in played.reply, played.reply
    return played


def test_a_canary_that_fails_three_calls_in_ten_is_taken_back_within_five_seconds(here: Stage):
    bodies = [models.request(models.UNKNOWN if number in {0, 3, 7} else "month") for number in range(10)]
    for _ in range(3):  # a machine that does something else just then says nothing of the bot
        played = here.deploy("fails", bodies)
        back, load = played.rollout.rollback, played.load
        assert_nobody_else_was_hurt(here, played)
        late_ms = after_the_verdict_ms(here, played)
        print(f"30 % failing: last request on the canary {late_ms:.1f} ms after the verdict")
        if late_ms <= 100:
            break
    assert late_ms <= 100
    took = (back.last_request_at - played.rollout.steps[0].began).total_seconds()
    print(f"30 % failing: {load.lost} bad answers, {took:.2f} s at 25 % of {RATE_PER_S:.0f} requests/s")
    assert played.rollout.reason is Reason.ERRORS
    assert load.lost <= 15
    assert took <= 5
    for words in (
        "answers of the candidate were errors",
        "Restored: version **1**",
        "after its first bad answer",
    ):
        assert words in played.reply


def test_a_canary_three_times_slower_is_taken_back(here: Stage):
    played = here.deploy("slow", GOOD)
    assert_nobody_else_was_hurt(here, played)
    print(f"slow: last request on the canary {after_the_verdict_ms(here, played):.1f} ms after the verdict")
    assert (played.rollout.reason, played.load.lost) == (Reason.SLOW, 0)
    assert "slower than 2 times the champion's p95" in played.reply


def test_a_canary_that_dies_at_its_share_is_taken_back_and_says_how(here: Stage):
    with here.load(GOOD) as users:
        comment = here.say("dies", "/deploy")
        here.until(
            lambda _: (found := here.rollout(comment)) is not None and found.phase is Phase.HOLD, comment
        )
        answer = here.serving.ask(here.place(), ArmName.CANDIDATE, models.request(models.DEATH), 5)
        assert answer.status is None
        played = here.played("dies", comment)
        load = users.stop()
    assert (played.operation.outcome, played.rollout.reason) == (Outcome.ROLLED_BACK, Reason.DIED)
    assert "exit code 7" in played.rollout.rollback.failure.message
    assert load.lost == load.by_status[503] <= 15, load.losses  # those that were on their way to it
    assert here.serving.observe(here.place()).stable.version == "1"
    print(f"dies at 25 %: {load.lost} bad answers of {load.sent}")


def test_a_canary_whose_answers_are_wrong_never_sees_a_user(here: Stage):
    played = assert_no_user_saw_it(here, "contrary", Reason.GOLDEN_WORSE, "held-out rows")
    golden = played.rollout.golden
    assert (golden.rows, golden.metric) == (120, "roc_auc")
    assert golden.candidate < 0.2
    assert golden.champion > 0.7


@pytest.mark.parametrize(
    ("name", "reason", "words"),
    [
        ("broken", Reason.DOES_NOT_START, "No module named"),
        ("hungry", Reason.OUT_OF_MEMORY, "memory"),
        ("status", Reason.CHECK_STATUS, "HTTP 500"),
        ("shape", Reason.CHECK_SHAPE, "2 rows were asked"),
        ("not finite", Reason.CHECK_NOT_FINITE, "not a finite number"),
        ("naps", Reason.CHECK_SLOW, "no answer within 1 s"),
        ("skew", Reason.CHECK_SKEW, "row 1 was `no` in training and is `yes` as served"),
    ],
)
def test_a_candidate_that_cannot_serve_is_told_apart_and_never_sees_a_user(here: Stage, name, reason, words):
    assert_no_user_saw_it(here, name, reason, words)


def test_without_traffic_a_replay_of_held_out_rows_decides_and_a_rollback_goes_back(here: Stage):
    """In staging, where nobody calls at first; one that never gets ready changes nothing there."""
    first = here.played("champion", here.say("champion", "/staging_deploy"))
    assert first.operation.outcome is Outcome.SUCCEEDED, first.reply
    second = here.played("quiet", here.say("quiet", "/staging_deploy"))
    assert (second.operation.outcome, second.rollout.reason) == (Outcome.SUCCEEDED, Reason.REPLAYED), (
        second.reply
    )
    replay = second.rollout.replay
    assert (replay.pairs, replay.disagreements, replay.candidate_errors, replay.labelled) == (120, 0, 0, 120)
    assert "120 requests replayed" in second.reply
    never = here.played("sleepy", here.say("sleepy", "/staging_deploy"))
    assert (never.operation.outcome, never.rollout.reason) == (Outcome.ROLLED_BACK, Reason.NEVER_READY)
    assert "No user" in never.reply

    with Load(here.predict("staging"), GOOD, RATE_PER_S) as users:
        back = here.played("quiet", here.say("quiet", '/rollback staging --reason "a drill"'))
        report = users.stop()
    assert back.operation.outcome is Outcome.SUCCEEDED, back.reply
    assert "**staging serves version 1 again.** Reason: a drill" in back.reply
    assert here.serving.observe(here.place("staging")).stable.version == "1"
    assert not report.losses
    assert set(report.by_version) == {"1", second.facts.model_version}
    took = back.operation.ended_at - back.operation.created_at
    print(
        f"rollback: {took.total_seconds():.1f} s from the comment to its end, 0 of {report.sent} requests lost"
    )


def test_without_traffic_a_person_is_asked_and_silence_restores_the_champion(here: Stage):
    here.world.commit_to_main(
        {"kfops.yaml": CONFIG.replace("CANARY", canary("ask")).replace("REQUIRES", "[]")}
    )
    played = here.played("asked", here.say("asked", "/deploy"))
    assert (played.operation.outcome, played.rollout.reason) == (Outcome.ROLLED_BACK, Reason.NOBODY_ANSWERED)
    assert any(one.phase is Phase.ASK for one in played.rollout.timeline)
    assert "Nobody answered" in played.reply
    assert here.serving.observe(here.place()).stable.version == "1"
