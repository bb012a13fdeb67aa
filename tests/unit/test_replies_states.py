from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from kfops.domain.canary_facts import ArmCounts, Counts
from kfops.domain.evidence import Comparison, MetricRow, Word
from kfops.domain.facts import AnswerFacts, DeployFacts, GateFact, ParameterFact, Refusal, RunFacts
from kfops.domain.operation import Kind, Operation, Outcome, Subject
from kfops.domain.pull_request import Actor
from kfops.domain.rollout import (
    Event,
    Evidence,
    Phase,
    Reason,
    Rollback,
    Rollout,
    RolloutPlan,
    Step,
    Verdict,
)
from kfops.domain.run import CurvePoint, Failure, FailureKind, Progress, RunState, RunStatus
from kfops.domain.run import Step as RunStep
from kfops.rules.replies import View, marker, render
from kfops.rules.replies.answers import HelpLine, help_body

START = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
SHA = "abc1234" + "0" * 33


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def operation(kind: Kind, phase: str, outcome: Outcome | None = None, code: str | None = None) -> Operation:
    subject = Subject(1, 7, 70, 0, {"kind": kind.value}, Actor(5, "ann"), "", START, head_sha=SHA)
    return Operation(12, kind, subject, "k", phase, {}, START, START, outcome=outcome, reason_code=code)


def shown(one: Operation, facts: Any, secrets: tuple[str, ...] = ()) -> str:
    return render(View(one, facts, "https://forge.test/acme/churn", at(90), secrets))


def snapshot(name: str) -> str:
    """What the reply looks like, kept beside this file to be read and reviewed."""
    return (
        (Path(__file__).parent / "replies_states" / f"{name}.md")
        .read_text(encoding="utf-8")
        .removesuffix("\n")
    )


RUN = RunFacts(
    model="churn",
    parameters=(
        ParameterFact("seed", "7", "7", "7"),
        ParameterFact("time_budget", "120", "60", "60", is_overridden=True),
    ),
    status=RunStatus(
        RunState.RUNNING,
        steps=(
            RunStep("validate", RunState.SUCCEEDED, 4.0, "7,043 rows"),
            RunStep("train", RunState.RUNNING, 61),
        ),
        progress=Progress("train", 60.0, 120.0, trials=412, learner="lgbm", metric="roc_auc", best=0.8473),
    ),
    began_at=START,
)
PLAN = RolloutPlan()
STEP = Step(
    5,
    at(10),
    at(40),
    Counts(ArmCounts(420, 30, p95_ms=12.5), ArmCounts(8000, 8, p95_ms=11.0)),
    evidence=Evidence(errors_bad=5.0, errors_good=-3.0),
    verdict=Verdict.ROLL_BACK,
    reason=Reason.ERRORS,
)
DEPLOY = DeployFacts(
    "production",
    model="churn",
    model_version="12",
    model_digest="d" * 64,
    champion_version="9",
    champion_digest="c" * 64,
    run_operation_id=11,
    began_at=START,
)
BACK = Rollout(
    PLAN,
    Phase.ROLLED_BACK,
    START,
    at(45),
    steps=(STEP,),
    verdict=Verdict.ROLL_BACK,
    reason=Reason.ERRORS,
    verdict_sentence="30 of 420 answers were errors.",
    rollback=Rollback(at(40), at(38.2), at(40.5), 420, at(40.5), at(41), at(40.4)),
    timeline=(Event(at(40), Phase.ABORT, "30 of 420 answers were errors."),),
)


def test_a_running_run_shows_how_far_it_is() -> None:
    assert shown(operation(Kind.BUILD_RUN, "follow"), RUN) == snapshot("running")


def test_a_failed_run_shows_the_step_its_last_words_and_the_place() -> None:
    failure = Failure(
        FailureKind.STEP,
        "KeyError: 'churned'",
        "validate",
        "rows read\nKeyError: 'churned'",
        "steps/check me.py",
        14,
        "Set `target: churn` in `kfops.yaml`.",
    )
    facts = replace(RUN, status=RunStatus(RunState.FAILED, failure=failure), parameters=(), ended_at=at(9))
    assert shown(operation(Kind.BUILD_RUN, "closing", Outcome.FAILED, "run_failed"), facts) == snapshot(
        "failed"
    )


def test_a_succeeded_run_shows_evidence_beside_production() -> None:
    rows = (
        MetricRow("roc_auc", 0.8552, 0.8384, 0.0168, 0.0041, 0.0303, Word.BETTER),
        MetricRow("f1", 0.7057, 0.7181, -0.0124, -0.0251, 0.0003, Word.WITHIN_NOISE),
    )
    facts = replace(
        RUN,
        status=RunStatus(RunState.SUCCEEDED, curve=(CurvePoint(1, 0.79), CurvePoint(60, 0.8473))),
        comparison=Comparison(rows, 1761),
        champion_version="9",
        model_version="12",
        model_link="https://mlflow.test/#/models/churn/12",
        gates=(GateFact("roc_auc >= 0.8: roc_auc 0.83 >= 0.8 holds", holds=True),),
        ended_at=at(151),
    )
    assert shown(operation(Kind.BUILD_RUN, "closing", Outcome.SUCCEEDED, "done"), facts) == snapshot(
        "succeeded"
    )


def test_a_refusal_names_rule_found_expected_and_fix() -> None:
    facts = replace(
        DEPLOY,
        refusal=Refusal(
            "checks_not_green", "A required check is not green.", "`tests` failed", "green", "Mend `tests`."
        ),
        model_version="",
        champion_version="",
    )
    assert shown(operation(Kind.DEPLOY, "closing", Outcome.REFUSED, "checks_not_green"), facts) == snapshot(
        "refused"
    )


def test_a_rollback_tells_what_was_restored_and_how_long_users_were_exposed() -> None:
    facts = replace(DEPLOY, rollout=BACK, ended_at=at(45))
    assert shown(operation(Kind.DEPLOY, "closing", Outcome.ROLLED_BACK, "rolled_back"), facts) == snapshot(
        "back"
    )


def test_a_deployment_names_its_merge() -> None:
    done = replace(
        BACK, phase=Phase.DONE, verdict_sentence="It is no worse.", rollback=None, steps=(), timeline=()
    )
    facts = replace(
        DEPLOY, rollout=done, merge_sha="fedcba9" + "1" * 33, label="Deployed-to-production", ended_at=at(60)
    )
    assert shown(operation(Kind.DEPLOY, "closing", Outcome.SUCCEEDED, "done"), facts) == snapshot("deployed")


def test_a_canary_that_asks_says_what_to_type() -> None:
    asking = replace(BACK, phase=Phase.ASK, rollback=None, weight=5, sentence="Nobody calls.")
    text = shown(operation(Kind.DEPLOY, "rollout"), replace(DEPLOY, rollout=asking))
    assert "waiting for a person" in text.splitlines()[2]
    assert text.splitlines()[-1].startswith("**Next:** `/canary promote`")


def test_the_marker_is_always_there() -> None:
    for kind, facts in (
        (Kind.RUN, RunFacts()),
        (Kind.DEPLOY, DeployFacts("production")),
        (Kind.HELP, AnswerFacts()),
    ):
        for outcome in (None, *Outcome):
            text = shown(operation(kind, "gate", outcome, "canceled"), facts)
            assert text.startswith(marker(12))
            assert "asked by ann" in text


def test_help_says_why_not() -> None:
    text = help_body(
        [HelpLine("/run", "run it", who="write"), HelpLine("/deploy [ENV]", "deploy", "Needs `maintain`.")]
    )
    assert "| `/run` | run it | write |" in text
    assert "| `/deploy [ENV]` | Needs `maintain`. | – |" in text


def test_secrets_are_masked_before_they_are_escaped() -> None:
    facts = replace(RUN, notes=("it says p@ss_word|1 here",))
    text = shown(operation(Kind.RUN, "follow"), facts, ("p@ss_word|1",))
    assert "word" not in text
