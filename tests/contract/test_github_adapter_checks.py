"""R16: the checks that a branch requires, by table, and from the playground."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.support import github_forge
from tests.support.github_forge import Stage

from kfops.adapters.github.forge import OWN_CHECKS
from kfops.adapters.github.required import Reported, Required, reported, required, standing
from kfops.domain.pull_request import Check, CheckState
from kfops.playground.state import RequiredCheck
from kfops.ports.forge import CheckConclusion, CheckReport

OWN = 7
S, P, F, M = CheckState.SUCCESS, CheckState.PENDING, CheckState.FAILURE, CheckState.MISSING


def run(
    number: int, name: str, app: int | None, conclusion: str | None, status: str = "completed"
) -> dict[str, Any]:
    shown = {"id": app} if app is not None else None
    return {"id": number, "name": name, "app": shown, "status": status, "conclusion": conclusion}


def status(number: int, context: str, state: str) -> dict[str, Any]:
    return {"id": number, "context": context, "state": state}


@pytest.mark.parametrize(
    ("runs", "statuses", "expected"),
    [
        pytest.param([], [], M, id="nobody reported"),
        pytest.param([run(1, "ci", 1, "success")], [], S, id="a run"),
        pytest.param([run(1, "ci", 1, "neutral")], [], S, id="neutral"),
        pytest.param([run(1, "ci", 1, "skipped")], [], S, id="skipped"),
        pytest.param([run(1, "ci", 1, "failure")], [], F, id="failed"),
        pytest.param([run(1, "ci", 1, "stale")], [], F, id="stale"),
        pytest.param([run(1, "ci", 1, "some-day")], [], F, id="a conclusion of tomorrow"),
        pytest.param([run(1, "ci", 1, None)], [], F, id="completed without a conclusion"),
        pytest.param([run(1, "ci", 1, None, "queued")], [], P, id="queued"),
        pytest.param([run(1, "ci", 1, "success", "some-day")], [], P, id="a status of tomorrow"),
        pytest.param([run(2, "ci", 1, "success"), run(1, "ci", 1, "failure")], [], S, id="the newest counts"),
        pytest.param(
            [run(1, "ci", 1, "success"), run(2, "ci", 1, None, "in_progress")], [], P, id="run again"
        ),
        pytest.param(
            [run(2, "ci", 1, "success"), run(1, "ci", 2, "failure")], [], F, id="two apps, one failed"
        ),
        pytest.param([run(2, "ci", None, "success")], [], S, id="an app that is gone"),
        pytest.param([run(2, "CI", 1, "success")], [], M, id="another name"),
        pytest.param([], [status(1, "ci", "success")], S, id="a status"),
        pytest.param([], [status(1, "ci", "pending")], P, id="a pending status"),
        pytest.param([], [status(1, "ci", "error")], F, id="an erring status"),
        pytest.param([], [status(1, "ci", "some-day")], F, id="a state of tomorrow"),
        pytest.param([], [status(1, "ci", "failure"), status(2, "ci", "success")], S, id="the newest status"),
        pytest.param(
            [run(1, "ci", 1, "success")], [status(9, "ci", "failure")], F, id="both, the worse counts"
        ),
        pytest.param(
            [run(1, "ci", 1, "success"), run(2, "ci", OWN, None, "queued")], [], S, id="beside the bot's own"
        ),
    ],
)
def test_r16_how_a_check_stands(runs: list[Any], statuses: list[Any], expected: CheckState) -> None:
    found = standing([Required("ci")], reported(runs, statuses), own_app=OWN, own_names=["kfops"])
    assert found == (Check("ci", expected),)


@pytest.mark.parametrize(
    ("needed", "found", "own_app", "expected"),
    [
        pytest.param([Required("ci", 1)], [Reported("ci", 2, S)], OWN, (Check("ci", M),), id="another app's"),
        pytest.param(
            [Required("ci", 1)], [Reported("ci", None, S)], OWN, (Check("ci", M),), id="a status, bound"
        ),
        pytest.param(
            [Required("ci", 1), Required("ci")],
            [Reported("ci", 2, S)],
            OWN,
            (Check("ci", M),),
            id="asked twice",
        ),
        pytest.param([Required("kfops", OWN)], [], OWN, (), id="bound to the bot"),
        pytest.param([Required("kfops")], [], OWN, (), id="named as the bot's"),
        pytest.param([Required("kfops")], [], None, (), id="named as the bot's, with a token"),
        pytest.param([Required("gate")], [Reported("gate", OWN, P)], OWN, (), id="only the bot reports it"),
        pytest.param(
            [Required("kfops", 1)], [], OWN, (Check("kfops", M),), id="the bot's name, bound to another"
        ),
        pytest.param(
            [Required("kfops")],
            [Reported("kfops", 1, F)],
            OWN,
            (Check("kfops", F),),
            id="another's by the bot's name",
        ),
        pytest.param([], [Reported("ci", 1, F)], OWN, (), id="nothing is required"),
    ],
)
def test_r16_whose_check_it_is(
    needed: list[Required], found: list[Reported], own_app: int | None, expected: tuple[Check, ...]
) -> None:
    assert standing(needed, found, own_app=own_app, own_names=["kfops"]) == expected


def protection(**asked: Any) -> dict[str, Any]:
    return {"protection": {"enabled": True, "required_status_checks": asked}}


@pytest.mark.parametrize(
    ("branch", "rules", "expected"),
    [
        pytest.param({}, [], (), id="no protection is shown"),
        pytest.param({"protection": {"enabled": False}}, [], (), id="off"),
        pytest.param(protection(enforcement_level="off", contexts=["ci"]), [], (), id="checks are off"),
        pytest.param(protection(contexts=["ci"]), [], (Required("ci"),), id="contexts"),
        pytest.param(
            protection(contexts=["ci", "old"], checks=[{"context": "ci", "app_id": 3}]),
            [],
            (Required("ci", 3), Required("old")),
            id="checks and contexts",
        ),
        pytest.param(
            protection(checks=[{"context": "ci", "app_id": -1}]), [], (Required("ci"),), id="any app"
        ),
        pytest.param(
            {},
            [
                {"type": "pull_request", "parameters": {}},
                {
                    "type": "required_status_checks",
                    "parameters": {
                        "required_status_checks": [{"context": "lint"}, {"context": "t", "integration_id": 4}]
                    },
                },
                {"type": "required_status_checks"},
            ],
            (Required("lint"), Required("t", 4)),
            id="rulesets",
        ),
    ],
)
def test_r16_what_is_required(branch: Any, rules: list[Any], expected: tuple[Required, ...]) -> None:
    assert required(branch, rules) == expected


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with github_forge.stage(tmp_path_factory.mktemp("checks")) as made:
        yield made


def _report(stage: Stage, name: str, sha: str, context: str, state: str) -> None:
    template = "/repos/{owner}/{repo}/statuses/{sha}"
    body = {"state": state, "context": context}
    stage.world.as_("bob")("POST", template, 201, owner="ada", repo=name, sha=sha, body=body)


def test_r16_from_protection_and_rulesets_over_all_pages(stage: Stage) -> None:
    number_of, _, head = stage.pull("rules")
    playground = stage.world.playground
    playground.protect(
        "ada/rules",
        "main",
        checks=["classic", RequiredCheck("kfops", stage.world.app_id), RequiredCheck("bound", 99)],
    )
    playground.add_rule(
        "ada/rules", "required_status_checks", {"required_status_checks": [{"context": "ruled"}]}
    )
    for at in range(130):
        _report(stage, "rules", head, f"filler-{at}", "success")
    _report(stage, "rules", head, "ruled", "failure")
    _report(stage, "rules", head, "ruled", "success")
    _report(stage, "rules", head, "bound", "success")
    forge = stage.forge()
    forge.report_check(number_of, CheckReport("kfops", head, "Running", "", "op-1"))
    found = set(forge.required_checks(number_of, "main", head))
    assert found == {Check("classic", M), Check("ruled", S), Check("bound", M)}
    done = CheckReport("classic", head, "t", "s", "op-2", CheckConclusion.SUCCESS)
    stage.forge().report_check(number_of, done)
    assert Check("classic", M) not in stage.with_token().required_checks(number_of, "main", head)


def test_r16_nothing_is_asked_of_commits_where_nothing_is_required(stage: Stage) -> None:
    number_of, _, head = stage.pull("free")
    forge = stage.forge()
    assert forge.required_checks(number_of, "main", head) == ()
    assert not any("/commits/" in name for name in forge.calls)


@pytest.mark.parametrize("kind", ["build", "run", "build_run", "staging_deploy", "deploy"])
def test_r16_a_deploy_does_not_wait_for_what_the_bot_would_report(kind: str) -> None:
    assert standing([Required(f"kfops/{kind}")], [], own_app=None, own_names=OWN_CHECKS) == ()


def test_a_branch_with_a_slash(stage: Stage) -> None:
    tree, _, head = stage.world.with_pull("slashes")
    tree.commit("release/1.0", {"x": "y"})
    number_of = stage.world.playground.repository("ada/slashes").id
    stage.world.playground.protect("ada/slashes", "release/1.0", checks=["ci"])
    assert stage.forge().required_checks(number_of, "release/1.0", head) == (Check("ci", M),)
    assert not stage.forge().is_up_to_date(number_of, "release/1.0", head)
