"""The forge's patience is a budget: how many calls one `/build_run` and one `/deploy` cost."""

from __future__ import annotations

from collections import Counter

import httpx
import pytest
from tests.support.live import Live, live
from tests.support.ways import settled
from tests.support.world import World, model, world

from kfops.adapters.local.sandbox import probe

RUN, DEPLOY = 9, 24  # of the forge's patience, edits apart
KEPT_FOR_AN_HOUR = {
    "POST /app/installations/{installation_id}/access_tokens",
    "GET /repos/{owner}/{repo}/installation",
    "POST /repos/{owner}/{repo}/labels",  # once in a repository's life
    "git fetch",  # git, not the API
}


def calls(world: Live) -> dict[str, float]:
    text = httpx.get(f"http://127.0.0.1:{world.environment['KFOPS_PORT']}/metrics").text
    lines = [line for line in text.splitlines() if line.startswith("kfops_forge_calls_total{")]
    counted = {line.split('"')[1]: float(line.rsplit(" ", 1)[1]) for line in lines}
    return {name: count for name, count in counted.items() if name not in KEPT_FOR_AN_HOUR}


def spent(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    return {
        name: count - before.get(name, 0) for name, count in after.items() if count != before.get(name, 0)
    }


def fixed(spent_calls: dict[str, float]) -> float:
    """Calls of the forge's patience: not those that only asked whether something changed (a 304 is free)."""
    unchanged = sum(count for name, count in spent_calls.items() if name.endswith(" 304"))
    return sum(spent_calls.values()) - 2 * unchanged - rhythm(spent_calls)


def rhythm(spent_calls: dict[str, float]) -> float:
    """What grows with time and so with the load of this machine: edits, and the check run of what takes longer."""
    return sum(count for name, count in spent_calls.items() if name.startswith("PATCH "))


def asked(here: World, number: int, text: str) -> list[str]:
    """What a command cost, edits and what is kept for an hour apart; a 304 is free."""
    weather = here.weather
    weather.calls.clear()
    weather.unchanged.clear()
    settled(here, number, text)
    calls = Counter(weather.calls) - Counter(weather.unchanged)
    return [
        one
        for one in calls.elements()
        if not one.startswith("PATCH ")
        and not one.endswith(("/access_tokens", "/installation", "/churn/labels"))
    ]


def test_a_run_and_a_deployment_stay_within_their_budget_of_calls(tmp_path):
    with world(tmp_path, requires=("approval", "checks", "up-to-date")) as here:
        number = here.pull_request("ana", model())
        run = asked(here, number, "/build_run")
        here.approve(number, by="bo")
        deploy = asked(here, number, "/deploy")

    assert len(run) <= RUN, run
    assert len(deploy) <= DEPLOY, deploy


@pytest.mark.slow
@pytest.mark.skipif(isinstance(probe(), str), reason=f"no sandbox starts here: {probe()}")
def test_so_do_those_of_a_whole_bot_with_real_parts(tmp_path):
    with live(tmp_path, requires="[approval, checks, up-to-date]") as world:
        number = world.open_pull("first", "README.md", lambda text: f"{text}\nA first model.\n")
        before = calls(world)
        world.done("ada", number, "/build_run")
        after_run = calls(world)
        head = world.pull(number)["head"]["sha"]
        approval = {"event": "APPROVE", "commit_id": head}
        world.post("bob", f"/repos/ada/churn/pulls/{number}/reviews", approval)
        world.done("ada", number, "/deploy")
        after_deploy = calls(world)

    run, deploy = spent(before, after_run), spent(after_run, after_deploy)
    assert fixed(run) <= RUN, run
    assert fixed(deploy) <= DEPLOY, deploy
