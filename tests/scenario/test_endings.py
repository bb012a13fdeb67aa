"""Every way in which a command ends without success, told by its reason code."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.support.in_memory.serving import Behaviour
from tests.support.ways import trained
from tests.support.weather import Fault
from tests.support.world import CONFIG, SECRET, World, model, world


@pytest.fixture
def here(tmp_path):
    with world(tmp_path) as made:
        yield made


def ends(here: World, number: int, text: str, by: str = "ana") -> str:
    """The reason code that it ended with; the reply tells it too."""
    said = here.comment(number, text, by=by)
    here.settle()
    code = str(here.operation(said).reason_code)
    assert f"`{code}`" in here.reply(number), here.reply(number)
    return code


def test_a_value_that_does_not_fit_its_parameter(here):
    number = here.pull_request("ana", model())

    assert ends(here, number, "/build_run --set seed=many") == "bad_parameter"
    assert ends(here, number, "/build_run --set data=x") == "not_overridable"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"kfops.yaml": None}, "config_missing"),
        ({"kfops.yaml": "version: 1\nmodle: churn\n"}, "config_invalid"),
        ({"pipeline.py": "def broken(:\n"}, "compile_failed"),
        ({"pipeline.py": None}, "compile_failed"),
        (model(fails="train"), "run_failed"),
        (
            {
                **model(),
                "kfops.yaml": CONFIG.replace("timeout: 1h", "timeout: 2s")
                .replace("CANARY", "{}")
                .replace("REQUIRES", "[]"),
            },
            "timed_out",
        ),
        (
            {**model(), "pipeline.py": model()["pipeline.py"].replace("'roc_auc': 0.8", "'other': 1")},
            "no_model",
        ),
    ],
)
def test_what_a_commit_can_do_wrong(here, change, expected):
    number = here.pull_request("ana", change)

    assert ends(here, number, "/build_run") == expected


def test_rules_on_the_default_branch_that_cannot_be_read(here):
    number = here.pull_request("ana", model())
    here.commit_to_main({"kfops.yaml": "version: [1\n"})

    for text in ("/build_run", "/deploy", '/rollback --reason "x"', "/lock production --reason x"):
        assert ends(here, number, text) == "rules_invalid"
    assert "Mend it on `main`." in here.reply(number)


def test_a_command_behind_one_that_failed_is_skipped(here):
    number = here.pull_request("ana", model(fails="train"))
    said = here.comment(number, "/build_run\n/deploy")
    here.settle()

    assert [one.reason_code for one in here.operations() if one.subject.comment_id == said] == [
        "run_failed",
        "earlier_failed",
    ]


def test_a_run_whose_process_dies_is_tried_once_more_and_then_given_up(here):
    number = here.pull_request("ana", model())
    said = here.comment(number, "/build_run")
    for _ in here.walk():
        for name in here.pipelines.runs:
            here.pipelines.lose(name)

    assert here.operation(said).reason_code == "run_lost"
    assert len(here.pipelines.runs) == 2
    assert "this is attempt 2" in here.reply(number)


def test_a_merge_that_the_forge_refuses_restores_the_champion(here):
    number = trained(here, roc_auc=0.84)
    said = here.comment(number, "/deploy")
    has_conflict = False
    for _ in here.walk():
        if (here.operation(said).facts.get("rollout") or {}).get("phase") == "watch" and not has_conflict:
            here.commit_to_main(model(roc_auc=0.1))
            has_conflict = True

    assert has_conflict
    assert here.operation(said).reason_code == "merge_refused"
    assert here.serving().stable.version is None
    assert not here.pull(number).is_merged


def test_r15_what_a_candidate_answers_reaches_the_deployments_history_without_effect(here):
    token = "ghp_" + "a1B2" * 9
    said = f"Ask @olga about {SECRET}\nor \x1b[31m\u202e{token} <!-- and so on {'x' * 100}".encode()
    here.serving_engine.behave = lambda _: Behaviour(lambda _: (500, said))
    number = trained(here, roc_auc=0.84)
    here.comment(number, "/deploy")
    here.settle()

    told = here.deployments()[-1].statuses[-1].description
    assert "HTTP 500: Ask @\u200bolga about *** or ***" in told
    assert len(told) <= 140
    assert told.replace("\u200b", "").isprintable()


def test_a_forge_that_stays_away_is_waited_for_and_then_told(here):
    number = here.pull_request("ana", model())
    said = here.comment(number, "/build_run")
    here.turn()
    here.weather.falls = lambda _, what: Fault.SERVER_ERROR if "/git" in what or "contents" in what else None
    waits = here.comment(number, "/status")
    ends_at = here.clock.at + timedelta(hours=3)
    for _ in here.walk():
        if here.clock.at > ends_at:
            here.weather.falls = lambda _number, _what: None

    assert here.operation(said).reason_code == "done"
    assert here.operation(waits).reason_code == "outside_unavailable"
    assert "Comment the command again." in here.reply(number)


def test_an_engine_that_refuses_is_told_with_its_own_words(here):
    number = here.pull_request("ana", model())
    said = here.comment(number, "/build_run")
    for _ in here.walk():
        here.pipelines.runs.clear()  # somebody tidied up there

    assert here.operation(said).reason_code == "outside_refused"
    assert "there is no run op-1-1" in here.reply(number)


def test_a_defect_is_told_with_the_operations_number_and_nothing_else(here, monkeypatch):
    number = here.pull_request("ana", model())
    monkeypatch.setattr(here.pipelines, "compile", lambda _order: 1 / 0)

    assert ends(here, number, "/build_run") == "internal_error"
    assert "The operator finds the reason under operation 1." in here.reply(number)
    assert "ZeroDivisionError" not in here.reply(number)
